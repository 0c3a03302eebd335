//! The one writer: a thread that takes what waits, writes it as one batch, syncs once, and only then answers.
//!
//! While a sync runs, the next batch gathers; so the batches grow with the load, and nothing waits for a timer. Everything
//! that is decided about an append (seen before? whose log? full?) is decided here, by one thread, on what is stored and
//! on what this batch has written so far.

use super::{
    Clock, layout,
    owed::{Now, Queues},
    sweep::Sweep,
    tree::{Batch, Tree},
};
use crate::{
    payment::{Cursor, Event, Name, Tag, Time},
    store::{
        Appended, Backlog, Claim, ClaimTerms, Conflict, FEED_LEN, Head, MAX_LOG, Notice, Owed,
        RECORDS_PER_SOURCE, Record, RecordLog, Reference, Settlement, StoreError,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};
use tokio::sync::{broadcast, oneshot};

/// Commands of one batch. At 30 µs of work each, one batch keeps those behind it waiting for at most some 10 ms, and its
/// part of the fsync is long below 1 % of each.
const BATCH: usize = 256;

/// Where an answer goes. Whoever asked may have left; that changes nothing.
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(super) enum Command {
    /// Append an event.
    Append { event: Arc<Event>, shared_ids: bool, reply: Reply<Appended> },
    /// Keep a record; without a reply, it need not be durable.
    Record { record: Box<Record>, reply: Option<Reply<()>> },
    /// Note that a confirmation is owed.
    Owe { source: Arc<str>, payment: Name, after: Duration, reply: Reply<()> },
    /// Give one of them to whoever asks.
    Claim { source: Arc<str>, terms: ClaimTerms, reply: Reply<Claim> },
    /// Do what became of it.
    Settle { owed: Box<Owed>, settlement: Settlement, reply: Reply<()> },
    /// Tell what is owed.
    Backlogs { reply: Reply<BTreeMap<Arc<str>, Backlog>> },
    /// Show that you are alive.
    Ping { reply: Reply<()> },
}

/// An answer that waits for its batch to be durable.
enum Answer {
    Append(Reply<Appended>, Result<Appended, StoreError>),
    Done(Reply<()>, Result<(), StoreError>),
    Claim(Reply<Claim>, Claim),
    Backlogs(Reply<BTreeMap<Arc<str>, Backlog>>, BTreeMap<Arc<str>, Backlog>),
}

impl Answer {
    fn send(self) {
        // A failed send means that nobody waits any more.
        let _gone = match self {
            Self::Append(reply, result) => reply.send(result).is_err(),
            Self::Done(reply, result) => reply.send(result).is_err(),
            Self::Claim(reply, claim) => reply.send(Ok(claim)).is_err(),
            Self::Backlogs(reply, backlogs) => reply.send(Ok(backlogs)).is_err(),
        };
    }
}

/// What a batch comes to, besides what it writes.
#[derive(Default)]
struct Effects {
    answers: Vec<Answer>,
    notices: Vec<Notice>,
    /// Whether it has to be synced before anybody is answered.
    durable: bool,
}

/// What the writer needs to live.
pub(super) struct Writer {
    pub(super) tree: Tree,
    pub(super) commands: Receiver<Command>,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
    /// The durable heads, for everyone to read.
    pub(super) published: Arc<Mutex<Vec<Head>>>,
    /// The heads as of the batch in work.
    pub(super) heads: Vec<Head>,
    /// The last record's number by key prefix. As many as there are sources, twice.
    pub(super) numbers: HashMap<Vec<u8>, u64>,
    /// The confirmations that are owed.
    pub(super) owed: Queues,
    pub(super) history_ms: i64,
    pub(super) clock: Clock,
    pub(super) sweep: Sweep,
}

/// Ends the process if its thread panics: a gateway whose writer is gone would refuse every webhook and still look alive.
struct EndWithUs;

impl Drop for EndWithUs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the store's writer has a defect: ending, so that a restart can go on from what is durable"
            );
            std::process::abort();
        }
    }
}

impl Writer {
    /// Works until the last sender is gone and what it sent is done.
    pub(super) fn run(mut self) {
        let _guard = EndWithUs;
        loop {
            match self.commands.recv_timeout(self.sweep.due_in()) {
                Ok(first) => self.batch(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.sweep.due_in().is_zero() {
                let deadline_ms = (self.clock)().unix_ms().saturating_sub(self.history_ms);
                if let Err(error) = self.sweep.step(&self.tree, deadline_ms) {
                    // What it left behind, the next pass finds again.
                    tracing::warn!(%error, "could not remove expired logs");
                }
            }
        }
        if let Err(error) = self.tree.persist() {
            tracing::error!(%error, "the last records of deliveries may be lost");
        }
    }

    fn batch(&mut self, first: Command) {
        let tree = self.tree.clone();
        let mut batch = tree.batch();
        let now = Now { wall: (self.clock)(), steady: Instant::now() };
        let mut effects = Effects::default();
        let rest: Vec<Command> = self.commands.try_iter().take(BATCH - 1).collect();
        for command in std::iter::once(first).chain(rest) {
            self.apply(command, &mut batch, now, &mut effects);
        }
        let Effects { answers, notices, durable } = effects;
        if let Err(error) = batch.commit(durable) {
            // After a failed fsync the kernel may have dropped the dirty pages and call them clean: a second fsync would
            // succeed without them, and what a read shows may be on no disk. Nothing that this process believes about
            // its data can be trusted any more. A restart replays what truly is there, and providers retry what was
            // not acknowledged.
            tracing::error!(%error, "a commit failed: ending, so that nothing is acknowledged that is not durable");
            std::process::abort();
        }
        if durable {
            self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.heads);
        }
        // Notices go first, so that whoever is answered can rely on the news being out.
        for notice in notices {
            // Fails if nobody watches, which is fine.
            let _watchers = self.notices.send(Arc::new(notice));
        }
        answers.into_iter().for_each(Answer::send);
    }

    /// Does one command, as part of a batch.
    fn apply(&mut self, command: Command, batch: &mut Batch<'_>, now: Now, effects: &mut Effects) {
        let answer = match command {
            Command::Append { event, shared_ids, reply } => {
                let result = self.append(batch, &event, shared_ids, now.wall).map(|(appended, notice)| {
                    effects.durable |= notice.is_some();
                    effects.notices.extend(notice);
                    appended
                });
                Answer::Append(reply, result)
            }
            Command::Record { record, reply } => {
                let result = self.record(batch, &record);
                let Some(reply) = reply else {
                    if let Err(error) = result {
                        tracing::warn!(%error, "lost a record of a delivery");
                    }
                    return;
                };
                effects.durable = true;
                Answer::Done(reply, result)
            }
            Command::Owe { source, payment, after, reply } => {
                let result = self.owed.owe(batch, (source, payment), after, now);
                Answer::Done(reply, result.map(|is_new| effects.durable |= is_new))
            }
            Command::Claim { source, terms, reply } => {
                Answer::Claim(reply, self.owed.claim(&source, terms, now))
            }
            Command::Settle { owed, settlement, reply } => {
                Answer::Done(reply, self.owed.settle(batch, &owed, settlement, now))
            }
            Command::Backlogs { reply } => Answer::Backlogs(reply, self.owed.backlogs(now.wall)),
            Command::Ping { reply } => Answer::Done(reply, Ok(())),
        };
        effects.answers.push(answer);
    }

    /// Reads and checks everything before its first write, so that an error leaves the batch as it was.
    fn append(
        &mut self,
        batch: &mut Batch<'_>,
        event: &Arc<Event>,
        shared_ids: bool,
        now: Time,
    ) -> Result<(Appended, Option<Notice>), StoreError> {
        let subject = &event.subject;
        let meta_key = layout::meta(subject);
        let meta: Option<layout::Meta> =
            batch.get(&meta_key)?.map(|meta| layout::decode(&meta)).transpose()?;
        let (meta, expired) = match meta {
            Some(meta) if now.since_ms(meta.last) > self.history_ms => (None, true),
            meta => (meta, false),
        };
        let seen_key = layout::seen(event);
        let digest = event.digest();
        if let Some(meta) = &meta {
            if let Some(seen) = batch.get(&seen_key)? {
                return Ok((again(batch, event, layout::Seen::decode(&seen)?, digest)?, None));
            }
            if meta.provider != event.provider && !shared_ids {
                return Ok((Appended::Conflict(Conflict::OtherProvider), None));
            }
            if meta.seq >= MAX_LOG as u64 {
                return Ok((Appended::Conflict(Conflict::LogFull), None));
            }
        }
        let partition = subject.partition();
        let head = self
            .heads
            .get_mut(usize::from(partition))
            .ok_or_else(|| StoreError::Corrupt("a partition without a head".into()))?;
        let previous = *head;
        let seq = meta.as_ref().map_or(0, |meta| meta.seq) + 1;
        let cursor = Cursor { tag: Tag::from_random(rand::random()), seq };
        let pos = previous.pos + 1;
        let provider = meta.map_or_else(|| Arc::clone(&event.provider), |meta| meta.provider);
        let reference = Reference { pos, tag: cursor.tag, subject: subject.clone(), seq };
        let writes = [
            (
                layout::entry(subject, seq),
                layout::encode(&layout::Stored { tag: cursor.tag, event: &**event })?,
            ),
            (layout::reference(partition, pos), layout::encode(&reference)?),
            (seen_key, layout::Seen { digest, seq }.encode()),
            (meta_key.clone(), layout::encode(&layout::Meta { seq, provider, last: now })?),
        ];
        let stale = if expired { batch.keys_of(&meta_key)? } else { Vec::new() };

        stale.into_iter().for_each(|key| batch.remove(key));
        writes.into_iter().for_each(|(key, value)| batch.put(key, value));
        if let Some(last) = pos.checked_sub(FEED_LEN).filter(|last| *last > 0) {
            batch.remove(layout::reference(partition, last));
        }
        *head = Head { pos, tag: cursor.tag };
        let notice = Notice { partition, pos, previous: previous.tag, cursor, event: Arc::clone(event) };
        Ok((Appended::New { cursor }, Some(notice)))
    }

    fn record(&mut self, batch: &mut Batch<'_>, record: &Record) -> Result<(), StoreError> {
        let prefix = layout::records(record.log, &record.source);
        let last = match self.numbers.get(&prefix) {
            Some(number) => *number,
            None => batch.keys(&prefix).next_back().transpose()?.map_or(Ok(0), |key| layout::number(&key))?,
        };
        let value = record.to_bytes()?;
        let number = last + 1;
        batch.put(layout::numbered(prefix.clone(), number), value);
        if let Some(oldest) = number.checked_sub(RECORDS_PER_SOURCE as u64).filter(|oldest| *oldest > 0) {
            batch.remove(layout::numbered(prefix.clone(), oldest));
        }
        self.numbers.insert(prefix, number);
        Ok(())
    }
}

/// Whether a record must be durable before its sender goes on: a quarantined event is acknowledged on the strength of it;
/// a line of the delivery log is not, and may be lost with the power.
pub(super) const fn must_last(log: RecordLog) -> bool {
    matches!(log, RecordLog::Quarantine)
}

/// The answer to an identity that was seen before.
fn again(
    batch: &Batch<'_>,
    event: &Event,
    seen: layout::Seen,
    digest: crate::payment::Digest,
) -> Result<Appended, StoreError> {
    if seen.digest != digest {
        return Ok(Appended::Conflict(Conflict::FactsDiffer));
    }
    let missing = || StoreError::Corrupt(format!("the log of {} lacks entry {}", event.subject, seen.seq));
    let original = batch.get(&layout::entry(&event.subject, seen.seq))?.ok_or_else(missing)?;
    let original: layout::Stored<serde::de::IgnoredAny> = layout::decode(&original)?;
    Ok(Appended::Duplicate { cursor: Cursor { tag: original.tag, seq: seen.seq } })
}
