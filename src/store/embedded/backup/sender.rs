//! The sender of a backup: a thread that reads what an open store held at one moment, and gives way to everything else.
//!
//! The moment is one of the tree, with the groups of the journal that the tree lacked then. Both are there without a stop of the writer or the
//! carrier, so a backup can also be taken when the disk is full. The groups are read first, since their segments are written again
//! sooner or later.

use super::{
    super::{
        carrier,
        change::Change,
        journal::{self, Disk},
        layout,
        recent::{Frozen, Recent},
    },
    stream::Encoder,
};
use crate::store::{Backup, StoreError};
use bytes::Bytes;
use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Sender, error::SendTimeoutError},
};

/// The length of what is sent at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The chunks that may wait for the receiver.
const CHUNKS: usize = 2;

/// How long the receiver may take for a chunk. It writes to its disk and waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the thread looks whether the store is being closed, while it waits for the receiver.
const LOOK: Duration = Duration::from_millis(100);

/// How often the groups of the journal are looked for anew because they were overwritten meanwhile.
const TRIES: usize = 5;

/// The state of the thread.
struct Sending {
    recent: Arc<Recent>,
    journal: Box<dyn Disk>,
    to: Sender<Result<Bytes, StoreError>>,
    runtime: Handle,
    /// When the last chunk was taken.
    since: Instant,
}

/// Starts the thread, given the files of the journal.
pub(in crate::store::embedded) fn send(
    recent: Arc<Recent>,
    journal: Box<dyn Disk>,
) -> io::Result<(Backup, JoinHandle<()>)> {
    let (to, chunks) = mpsc::channel(CHUNKS);
    let mut sending = Sending { recent, journal, to, runtime: Handle::current(), since: Instant::now() };
    let thread = thread::Builder::new().name("store-backup".into()).spawn(move || {
        carrier::give_way();
        if let Err(error) = sending.run() {
            // The receiver may be gone too.
            let _unheard = sending.pass(Err(error));
        }
    })?;
    Ok((chunks, thread))
}

impl Sending {
    fn run(&mut self) -> Result<(), StoreError> {
        let recent = Arc::clone(&self.recent);
        let (Frozen { tree, lines, .. }, groups) = moment(&recent, &*self.journal)?;
        let mut encoder = Encoder::new();
        for pair in tree.after(&[], &[]) {
            let (key, value) = pair?;
            // The journal of the copy begins anew.
            if &*key != layout::CARRIED {
                encoder.pair(&key, &value);
                self.pass_full(&mut encoder)?;
            }
        }
        for group in groups {
            encoder.changes(&group);
            self.pass_full(&mut encoder)?;
        }
        let mut changes = Vec::new();
        for (key, value) in lines {
            Change::Pair { key, value }.write_to(&mut changes)?;
            if changes.len() >= CHUNK_BYTES {
                encoder.changes(&std::mem::take(&mut changes));
                self.pass_full(&mut encoder)?;
            }
        }
        encoder.changes(&changes);
        self.pass(Ok(encoder.end()))
    }

    fn pass_full(&mut self, encoder: &mut Encoder) -> Result<(), StoreError> {
        if encoder.waiting() < CHUNK_BYTES {
            return Ok(());
        }
        // Half of the time is left to others, also on a machine whose processors and disk nobody else seems to want.
        let worked = self.since.elapsed();
        self.runtime.block_on(async { tokio::time::sleep(worked).await });
        self.pass(Ok(encoder.take()))
    }

    /// Waits until the receiver takes a chunk, but not when the store is closed.
    fn pass(&mut self, mut chunk: Result<Bytes, StoreError>) -> Result<(), StoreError> {
        let until = Instant::now() + PATIENCE;
        while !self.recent.lock().is_closing {
            match self.runtime.block_on(self.to.send_timeout(chunk, LOOK)) {
                Err(SendTimeoutError::Timeout(again)) if Instant::now() < until => chunk = again,
                Err(_) => return Err(StoreError::Unavailable("nobody takes the backup".into())),
                Ok(()) => {
                    self.since = Instant::now();
                    return Ok(());
                }
            }
        }
        Err(StoreError::Unavailable("it is being closed".into()))
    }
}

/// What the store holds now, with the groups of the journal that the tree lacks.
fn moment<'a>(recent: &'a Recent, journal: &dyn Disk) -> Result<(Frozen<'a>, Vec<Vec<u8>>), StoreError> {
    for _ in 0..TRIES {
        let frozen = recent.freeze();
        let groups = journal::read_between(journal, frozen.tree.carried()?, frozen.last)
            .map_err(|error| StoreError::Unavailable(format!("its journal: {error}")))?;
        if let Some(groups) = groups {
            return Ok((frozen, groups));
        }
    }
    Err(StoreError::Unavailable("its journal is written faster than it can be read".into()))
}
