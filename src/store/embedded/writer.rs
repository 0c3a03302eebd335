//! The one writer: a thread that takes the commands that wait, writes them as one batch, syncs once, and only then answers.
//!
//! While a sync runs, the next batch gathers. So the batches grow with the load, and nothing waits for a timer. Everything
//! that is decided about an append (seen before? whose log? full?) is decided here, by one thread, on what is stored and
//! on what this batch has written so far.

use super::{
    clock::{Clock, Now},
    command::{Answer, Command},
    erase, layout,
    records::RecordLogs,
    sweep::Sweep,
    tree::{Batch, Tree},
    work_queue::WorkQueues,
};
use crate::{
    payment::{Cursor, Event, Tag, Time},
    store::{
        Appended, Conflict, Head, MAX_LOG, Notice, NoticeBody, RecordLog, Reference, Referent, StoreError,
    },
};
use std::sync::{
    Arc, Mutex, PoisonError,
    mpsc::{Receiver, RecvTimeoutError},
};
use tokio::sync::broadcast;

/// The most commands of one batch. At 30 µs of work each, a batch delays the commands behind it by at most some 10 ms; with so many
/// commands to share it, the cost of the fsync is far below 1 % for each.
const BATCH: usize = 256;

/// The effects of a batch besides its writes.
#[derive(Default)]
struct Effects {
    answers: Vec<Answer>,
    notices: Vec<Notice>,
    /// Whether the batch has to be synced before anybody is answered.
    durable: bool,
}

/// The state of the writer's thread.
pub(super) struct Writer {
    pub(super) tree: Tree,
    pub(super) commands: Receiver<Command>,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
    /// The durable heads, which other threads read.
    pub(super) published: Arc<Mutex<Vec<Head>>>,
    /// The heads as of the batch that is being written.
    pub(super) heads: Vec<Head>,
    /// The records of all sources.
    pub(super) records: RecordLogs,
    /// The pending confirmations.
    pub(super) work: WorkQueues,
    /// How long a log lives after its last event, in milliseconds.
    pub(super) history_ms: i64,
    pub(super) clock: Clock,
    pub(super) sweep: Sweep,
}

/// Ends the process if the writer's thread panics: a gateway without its writer would refuse every webhook and still look alive.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the store's writer has a defect; the process ends, so that a restart can go on from what is durable"
            );
            std::process::abort();
        }
    }
}

impl Writer {
    /// Works until the last sender is dropped and everything that it sent is done.
    pub(super) fn run(mut self) {
        let _guard = AbortOnPanic;
        loop {
            match self.commands.recv_timeout(self.sweep.due_in()) {
                Ok(first) => self.batch(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.sweep.due_in().is_zero() {
                let deadline_ms = (self.clock)().unix_ms().saturating_sub(self.history_ms);
                if let Err(error) = self.sweep.step(&self.tree, deadline_ms) {
                    // The next pass finds again what this step left behind.
                    tracing::warn!(%error, "expired logs were not removed");
                }
            }
        }
        if let Err(error) = self.tree.persist() {
            tracing::error!(%error, "the last records of the delivery logs may be lost");
        }
    }

    fn batch(&mut self, first: Command) {
        let tree = self.tree.clone();
        let mut batch = tree.batch();
        let now = Now::by(&self.clock);
        let mut effects = Effects::default();
        let rest: Vec<Command> = self.commands.try_iter().take(BATCH - 1).collect();
        for command in std::iter::once(first).chain(rest) {
            self.apply(command, &mut batch, now, &mut effects);
        }
        let Effects { answers, notices, durable } = effects;
        if let Err(error) = batch.commit(durable) {
            // After a failed fsync the kernel may drop the dirty pages and mark them clean: a second fsync would
            // succeed without them, and a read may show data that is on no disk. What this process knows about its data
            // cannot be trusted any more. A restart replays what is on disk, and providers retry what was not
            // acknowledged.
            tracing::error!(%error, "a commit failed; the process ends, so that nothing is acknowledged that is not durable");
            std::process::abort();
        }
        if durable {
            self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.heads);
        }
        // Notices are sent first, so that whoever is answered can rely on them.
        for notice in notices {
            // The send fails if nobody watches, which is no error.
            let _watchers = self.notices.send(Arc::new(notice));
        }
        answers.into_iter().for_each(Answer::send);
    }

    /// Applies one command, as part of a batch.
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
                let result = self.records.write(batch, &record);
                let Some(reply) = reply else {
                    if let Err(error) = result {
                        tracing::warn!(%error, "a record of a delivery was lost");
                    }
                    return;
                };
                effects.durable = true;
                Answer::Done(reply, result)
            }
            Command::Enqueue { source, payment, after, reply } => {
                let result = self.work.enqueue(batch, (source, payment), after, now);
                Answer::Done(reply, result.map(|is_new| effects.durable |= is_new))
            }
            Command::Claim { source, terms, reply } => {
                Answer::Claim(reply, self.work.claim(&source, terms, now))
            }
            Command::Settle { pending, settlement, reply } => {
                Answer::Done(reply, self.work.settle(batch, &pending, settlement, now))
            }
            Command::Backlogs { reply } => Answer::Backlogs(reply, self.work.backlogs(now.wall)),
            Command::Erase { erasure, reply } => {
                let erased = erase::erase(batch, &mut self.heads, &mut self.work, &erasure);
                let result = erased.map(|(erased, notice)| {
                    effects.durable |= !erased.is_nothing() || notice.is_some();
                    effects.notices.extend(notice);
                    erased
                });
                Answer::Erased(reply, result)
            }
            Command::EraseRecords { keys, reply } => {
                let result = erase::remove_records(batch, keys);
                effects.durable = true;
                Answer::Erased(reply, result)
            }
            Command::Ping { reply } => Answer::Done(reply, Ok(())),
        };
        effects.answers.push(answer);
    }

    /// Appends an event. Reads and checks everything before the first write, so that an error leaves the batch as it was.
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
                return Ok((seen_before(batch, event, layout::Seen::decode(&seen)?, digest)?, None));
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
            .ok_or_else(|| StoreError::Corrupt("a partition has no head".into()))?;
        let previous = *head;
        let seq = meta.as_ref().map_or(0, |meta| meta.seq) + 1;
        let cursor = Cursor { tag: Tag::from_random(rand::random()), seq };
        let pos = previous.pos + 1;
        let provider = meta.map_or_else(|| Arc::clone(&event.provider), |meta| meta.provider);
        let to = Referent::Entry { subject: subject.clone(), seq };
        let reference = Reference { pos, tag: cursor.tag, to };
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
        batch.trim_feed(partition, pos);
        *head = Head { pos, tag: cursor.tag };
        let body = NoticeBody::Appended { seq, event: Arc::clone(event) };
        let notice = Notice { partition, pos, previous: previous.tag, tag: cursor.tag, body };
        Ok((Appended::New { cursor }, Some(notice)))
    }
}

/// Whether a record must be durable before its sender goes on. A quarantined event is acknowledged because its record is durable; a line
/// of the delivery log may be lost when the power fails.
pub(super) const fn must_last(log: RecordLog) -> bool {
    matches!(log, RecordLog::Quarantine)
}

/// The answer to an append whose identity was seen before.
fn seen_before(
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
