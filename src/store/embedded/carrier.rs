//! The carrier: a thread that carries what the journal holds into the tree, in large sorted batches, and gives way to everything else.
//!
//! It takes a layer when the layer is large or old, or when the writer waits for room. While it works, readers see the layer as before;
//! when the tree holds it durably, the layer is dropped and its segments of the journal may be written again. So the work that
//! it may be behind with is bounded by the journal, and then the writer waits. Beside that it looks for logs that are past their time to
//! live, which the writer then removes.

use super::{
    clock::Clock,
    layer::Layer,
    layout,
    recent::Recent,
    sweep::Sweep,
    tree::{Moment, Writes},
};
use crate::store::{FEED_LEN, Reference, StoreError};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

/// When a layer is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    /// A layer that takes so many bytes of the journal is carried.
    pub(super) bytes: usize,
    /// A layer is carried after this time at the latest. Lines of the delivery logs are lost in a crash if they are younger.
    pub(super) after: Duration,
}

/// The pace of a data folder: some 12 000 events or five seconds.
pub(super) const PACE: Pace = Pace { bytes: 8 << 20, after: Duration::from_secs(5) };

/// The time after which a carrying that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// By how much the thread is nicer than the others. It gets a tenth of a processor that others want too, and all of one that nobody
/// wants.
#[cfg(unix)]
const NICENESS: i32 = 10;

/// The state of the carrier's thread.
pub(super) struct Carrier {
    pub(super) recent: Arc<Recent>,
    /// How long a log lives after its last event, in milliseconds.
    pub(super) history_ms: i64,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) sweep: Sweep,
    /// Where the oldest chunk of each feed may begin, by partition. What is before was removed.
    pub(super) oldest: HashMap<u8, u64>,
}

/// What the carrier has to do next.
enum Work {
    /// Carry this layer.
    Carry(Arc<Layer>),
    /// Look for logs that are past their time to live.
    Sweep,
    /// Carry what is left, and end.
    End,
}

/// Makes the calling thread, and those that it starts, give way to others. Where that cannot be, they run like all others.
pub(super) fn give_way() {
    #[cfg(unix)]
    let _as_it_was = rustix::process::nice(NICENESS);
}

impl Carrier {
    /// Works until the store is closed, and then carries what is left.
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Work::Carry(layer) => {
                    if let Err(error) = self.carry(&layer) {
                        tracing::error!(%error, "the store's tree cannot be written; events stay in the journal meanwhile");
                        self.rest();
                    }
                }
                Work::Sweep => {
                    let deadline_ms = (self.clock)().unix_ms().saturating_sub(self.history_ms);
                    match self.sweep.step(&self.recent.tree, deadline_ms) {
                        Ok(stale) => self.recent.lock().stale = stale,
                        // The next pass finds again what this step left behind.
                        Err(error) => tracing::warn!(%error, "expired logs were not removed"),
                    }
                }
                Work::End => return self.end(),
            }
        }
    }

    fn wait(&self) -> Work {
        let mut layers = self.recent.lock();
        loop {
            let is_due = layers.since.is_some_and(|since| since.elapsed() >= self.pace.after)
                || layers.active.bytes >= self.pace.bytes
                || layers.is_pressed
                || layers.carrying.is_some();
            if layers.is_closing {
                return Work::End;
            }
            if is_due && let Some(layer) = take(&mut layers) {
                return Work::Carry(layer);
            }
            let sweep = self.sweep.due_in();
            if sweep.is_zero() {
                return Work::Sweep;
            }
            let age = layers.since.map_or(Duration::ZERO, |since| since.elapsed());
            let waited = self.recent.due.wait_timeout(layers, self.pace.after.saturating_sub(age).min(sweep));
            layers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Carries both layers.
    fn end(&mut self) {
        while let Some(layer) = { take(&mut self.recent.lock()) } {
            if let Err(error) = self.carry(&layer) {
                tracing::error!(%error, "the store's tree cannot be written; the journal keeps what it lacks");
                return;
            }
        }
    }

    /// Waits before another try, but not when the store is closed.
    fn rest(&self) {
        let until = Instant::now() + RETRY_AFTER;
        let mut layers = self.recent.lock();
        while !layers.is_closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            layers = self.recent.due.wait_timeout(layers, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes the tree hold a layer, durably, and drops the layer.
    fn carry(&mut self, layer: &Layer) -> Result<(), StoreError> {
        let writes = self.writes_of(layer)?;
        self.recent.tree.write(writes)?;
        if self.recent.tree.has_failed() {
            // Some earlier work of the library failed, as on a full disk, and it gives no thread another try.
            tracing::error!(
                "the store's tree can be written again, but not merged; the process ends, so that a restart mends it"
            );
            std::process::abort();
        }
        let mut layers = self.recent.lock();
        layers.carried = layers.carried.max(layer.last_group);
        layers.is_pressed = false;
        // The last handle is the caller's, so that the layer is not dropped under the lock.
        layers.carrying = None;
        self.recent.carried.notify_all();
        Ok(())
    }

    /// What the tree has to be given for a layer.
    fn writes_of(&mut self, layer: &Layer) -> Result<Writes, StoreError> {
        let recent = Arc::clone(&self.recent);
        let tree = recent.tree.now();
        let mut writes = Writes::new();
        for (subject, log) in &layer.logs {
            if log.anew {
                writes.extend(tree.keys_of(subject)?.into_iter().map(|key| (key, None)));
            }
            for (seq, entry) in (log.first_seq()..).zip(&log.entries) {
                let seen = layout::Seen { digest: entry.digest, seq };
                writes.insert(layout::entry(subject, seq), Some(entry.stored.clone()));
                writes.insert(layout::seen(subject, entry.identity), Some(seen.encode().into()));
            }
            if let Some(meta) = &log.meta {
                writes.insert(layout::meta(subject), Some(layout::encode(meta)?.into()));
            }
        }
        replace(&tree, layer, &mut writes)?;
        for (partition, feed) in &layer.feeds {
            self.extend_feed(&tree, *partition, feed, &mut writes)?;
        }
        writes.extend(layer.pairs.iter().map(|(key, value)| (key.clone(), value.clone())));
        if layer.last_group > 0 {
            writes.insert(layout::CARRIED.to_vec(), Some(layer.last_group.to_be_bytes().to_vec().into()));
            if let Some(begun) = self.recent.index_begun() {
                let mark = layout::IndexMark { group: layer.last_group, begun };
                writes.insert(layout::INDEXED.to_vec(), Some(mark.encode().into()));
            }
        }
        Ok(writes)
    }

    /// Adds references to a feed in chunks, and removes the chunks that hold none of its newest [`FEED_LEN`].
    fn extend_feed(
        &mut self,
        tree: &Moment<'_>,
        partition: u8,
        references: &VecDeque<Reference>,
        writes: &mut Writes,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (references.front(), references.back()) else { return Ok(()) };
        let (first, first_kept) = (first.pos, (last.pos + 1).saturating_sub(FEED_LEN));
        let mut left = references.iter().peekable();
        while let Some(begin) = left.peek().map(|reference| reference.pos) {
            let items: Result<Vec<_>, _> = left.by_ref().take(layout::CHUNK).map(layout::encode).collect();
            let chunk = layout::chunk(items?.iter().map(Vec::as_slice));
            writes.insert(layout::reference(partition, begin), Some(chunk.into()));
        }
        let mut oldest = self.oldest.get(&partition).copied().unwrap_or_default();
        let mut chunks = tree.chunks(partition, oldest).chain([Ok(first)]);
        let mut begin = chunks.next().transpose()?;
        // A chunk ends where the next one begins.
        while let (Some(chunk), Some(next)) = (begin, chunks.next().transpose()?) {
            oldest = chunk;
            if next > first_kept || chunk >= first {
                break;
            }
            writes.insert(layout::reference(partition, chunk), None);
            (begin, oldest) = (Some(next), next);
        }
        self.oldest.insert(partition, oldest);
        Ok(())
    }
}

/// Puts references in place of those that the tree has.
fn replace(tree: &Moment<'_>, layer: &Layer, writes: &mut Writes) -> Result<(), StoreError> {
    let mut chunks = BTreeMap::new();
    for ((partition, pos), reference) in &layer.replaced {
        let Some((begin, items)) = tree.chunk_with(*partition, *pos)? else { continue };
        let items = chunks.entry((*partition, begin)).or_insert(items);
        let index = usize::try_from(pos - begin).unwrap_or(usize::MAX);
        if let Some(item) = items.get_mut(index) {
            *item = layout::encode(reference)?;
        }
    }
    let chunks = chunks.into_iter().map(|((partition, begin), items)| {
        let chunk = layout::chunk(items.iter().map(Vec::as_slice));
        (layout::reference(partition, begin), Some(chunk.into()))
    });
    writes.extend(chunks);
    Ok(())
}

/// Takes the layer that is to be carried: the one of which the last try failed, or the active one.
fn take(layers: &mut super::recent::Layers) -> Option<Arc<Layer>> {
    if layers.carrying.is_none() && !layers.active.is_empty() {
        layers.since = None;
        layers.carrying = Some(Arc::new(std::mem::take(&mut layers.active)));
    }
    layers.carrying.clone()
}
