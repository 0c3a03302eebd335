//! The one writer: a thread that takes the commands that wait, writes them to the journal as one group, syncs once, and only then answers.
//!
//! While a sync runs, the next batch gathers. So the batches grow with the load, and nothing waits for a timer. Everything
//! that is decided about an append (seen before? whose log? full?) is decided here, by one thread, on what is stored and
//! on what this batch has written so far.

use super::{
    audit::{self, AuditNumbers},
    batch::{Batch, MAX_CHANGE_BYTES},
    carrier::Pace,
    change::{Change, NewEntry},
    clock::{Clock, Now},
    command::{Answer, Command},
    erase,
    journal::{HEAD_BYTES, Journal},
    layer::Layer,
    receipts,
    recent::{Layers, Recent},
    records::RecordLogs,
    work_queue::WorkQueues,
};
use crate::{
    limits::LimitHit,
    metrics::{JournalUse, Metrics},
    payment::{Cursor, Event, Tag, Time},
    store::{Appended, Conflict, Head, MAX_LOG, Notice, NoticeBody, RecordLog, StoreError, labels::life_ms},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

/// The most commands of one batch. At 10 µs of work each, a batch delays the commands behind it by a few milliseconds at most; with so
/// many commands to share it, the cost of the fsync is far below 1 % for each.
const BATCH: usize = 256;

/// The length of a group after which it takes no further change, so that large events do not make large groups.
const GROUP_BYTES: usize = 1 << 20;

/// The room in the journal that a batch needs at most.
const ROOM_BYTES: usize = HEAD_BYTES + GROUP_BYTES + MAX_CHANGE_BYTES;

/// How long the writer waits for room in the journal before it refuses what waits. To carry a layer takes some 100 ms of a processor.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time without commands after which the end of the journal is marked.
const QUIET: Duration = Duration::from_millis(50);

/// How often the writer looks for what the sweep has found.
const TICK: Duration = Duration::from_secs(1);

/// How often the writer looks for what is held longer than it may be.
const HELD_TICK: Duration = Duration::from_secs(600);

/// The effects of a batch besides its writes.
#[derive(Default)]
struct Effects {
    answers: Vec<Answer>,
    notices: Vec<Notice>,
}

/// The state of the writer's thread.
pub(super) struct Writer {
    pub(super) recent: Arc<Recent>,
    pub(super) journal: Journal,
    pub(super) commands: Receiver<Command>,
    pub(super) notices: broadcast::Sender<Arc<Notice>>,
    /// The durable heads, which other threads read.
    pub(super) published: Arc<Mutex<Vec<Head>>>,
    /// The heads as of the batch that is being written.
    pub(super) heads: Vec<Head>,
    /// The records of all sources.
    pub(super) records: RecordLogs,
    /// The audit trail.
    pub(super) audit: AuditNumbers,
    /// The pending confirmations.
    pub(super) work: WorkQueues,
    /// How long a log lives after its last event, in milliseconds.
    pub(super) history_ms: i64,
    pub(super) clock: Clock,
    /// When the carrier takes a layer.
    pub(super) pace: Pace,
    pub(super) metrics: Arc<Metrics>,
    /// The memory of the last group, for the next one.
    pub(super) group: Vec<u8>,
    /// Whether the last group was acknowledged and nothing stands behind it. See [`Writer::mark`].
    pub(super) is_unmarked: bool,
    /// When the writer last looked for what the sweep has found.
    pub(super) ticked: Instant,
    /// When the writer looks next for what is held longer than it may be.
    pub(super) looks_for_held: Instant,
}

/// Ends the process if a thread of the store panics: a gateway without it would refuse every webhook and still look alive.
pub(super) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "a thread of the store has a defect; the process ends, so that a restart can go on from what is durable"
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
            let wait = if self.is_unmarked { QUIET } else { TICK };
            match self.commands.recv_timeout(wait) {
                Ok(first) => self.batch(first),
                Err(RecvTimeoutError::Timeout) => self.mark(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.forget_stale();
                self.forget_held();
                self.measure();
            }
        }
        self.mark();
    }

    fn batch(&mut self, first: Command) {
        if !self.wait_for_room() {
            return self.refuse(first);
        }
        let recent = Arc::clone(&self.recent);
        let mut batch = Batch::new(&recent, std::mem::take(&mut self.group));
        let now = Now::by(&self.clock);
        if let Some(mut index) = recent.index() {
            index.begin(now.wall);
        }
        let mut effects = Effects::default();
        self.apply(first, &mut batch, now, &mut effects);
        let mut left = BATCH - 1;
        while left > 0 && batch.group.len() < GROUP_BYTES {
            let Ok(command) = self.commands.try_recv() else { break };
            self.apply(command, &mut batch, now, &mut effects);
            left -= 1;
        }
        let Effects { answers, notices } = effects;
        self.commit(batch);
        // Notices are sent first, so that whoever is answered can rely on them.
        for notice in notices {
            // The send fails if nobody watches, which is no error.
            let _watchers = self.notices.send(Arc::new(notice));
        }
        answers.into_iter().for_each(Answer::send);
    }

    /// Makes a batch durable, and then lets everybody read it.
    fn commit(&mut self, batch: Batch<'_>) {
        let Batch { mut group, mut layer, .. } = batch;
        let is_written = group.len() > HEAD_BYTES;
        if is_written {
            layer.last_group = self.write(&mut group);
            layer.bytes = group.len();
            self.is_unmarked = true;
        }
        self.group = group;
        self.recent.absorb(layer, self.pace.bytes);
        if is_written {
            self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.heads);
        }
    }

    fn write(&mut self, group: &mut [u8]) -> u64 {
        match self.journal.append(group) {
            Ok(number) => number,
            Err(error) => {
                // After a failed fsync the kernel may drop the dirty pages and mark them clean: a second fsync would
                // succeed without them, and a read may show data that is on no disk. What this process knows about its data
                // cannot be trusted any more. A restart replays what is on disk, and providers retry what was not
                // acknowledged.
                tracing::error!(%error, "a commit failed; the process ends, so that nothing is acknowledged that is not durable");
                std::process::abort();
            }
        }
    }

    /// Writes an empty group behind one that was acknowledged. From then on, damage to that one is told from a write that a crash has
    /// interrupted, since something intact stands behind it.
    fn mark(&mut self) {
        if self.is_unmarked && self.has_room() {
            self.is_unmarked = false;
            let mut group = vec![0; HEAD_BYTES];
            let last_group = self.write(&mut group);
            self.recent.lock().absorb(Layer { last_group, bytes: group.len(), ..Layer::default() });
        }
    }

    fn has_room(&self) -> bool {
        let carried = self.recent.lock().carried;
        self.journal.has_room(ROOM_BYTES, carried)
    }

    /// Waits until the journal has room for the longest group. Gives up when the tree does not follow in time.
    fn wait_for_room(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while !self.has_room() {
            let mut layers = self.recent.lock();
            layers.is_pressed = true;
            self.recent.due.notify_all();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let carried = layers.carried;
            let is_behind = |layers: &mut Layers| layers.carried == carried;
            drop(self.recent.carried.wait_timeout_while(layers, left, is_behind));
        }
        true
    }

    /// Refuses what waits, since the journal has no room.
    fn refuse(&mut self, first: Command) {
        tracing::warn!("the store's tree is as far behind its journal as it may be; appends are refused");
        for command in std::iter::once(first).chain(self.commands.try_iter().take(BATCH - 1)) {
            self.metrics.limit_hits.count(LimitHit::StoreJournal);
            command.refuse(&StoreError::Unavailable("its tree is too far behind its journal".into()));
        }
    }

    /// Reports how far the tree is behind the journal.
    fn measure(&self) {
        let layers = self.recent.lock();
        let used = layers.active.bytes + layers.carrying.as_ref().map_or(0, |layer| layer.bytes);
        drop(layers);
        self.metrics.journal(JournalUse { used: used as u64, size: self.journal.size() as u64 });
    }

    /// Removes the logs that the sweep found, as far as they are still past their time to live.
    fn forget_stale(&mut self) {
        let stale = std::mem::take(&mut self.recent.lock().stale);
        if stale.is_empty() || !self.has_room() {
            return;
        }
        let now = (self.clock)();
        let recent = Arc::clone(&self.recent);
        if let Some(mut index) = recent.index() {
            index.begin(now);
        }
        let mut batch = Batch::new(&recent, std::mem::take(&mut self.group));
        for subject in stale {
            let life_ms = life_ms(self.history_ms, subject.kind());
            let outcome = batch.meta(&subject).and_then(|meta| match meta {
                Some(meta) if now.since_ms(meta.last) > life_ms => batch.add(Change::Forget(subject)),
                _ => Ok(()),
            });
            if let Err(error) = outcome {
                // The next pass of the sweep finds it again.
                tracing::warn!(%error, "an expired log was not removed");
            }
        }
        self.commit(batch);
    }

    /// Removes what is held longer than it may be, a part at a time.
    fn forget_held(&mut self) {
        if self.looks_for_held > Instant::now() || !self.has_room() {
            return;
        }
        let recent = Arc::clone(&self.recent);
        let mut batch = Batch::new(&recent, std::mem::take(&mut self.group));
        let is_more = RecordLogs::remove_ended(&mut batch, (self.clock)());
        self.commit(batch);
        let is_more = is_more.unwrap_or_else(|error| {
            tracing::warn!(%error, "bodies whose time is over were not removed");
            false
        });
        self.looks_for_held = Instant::now() + if is_more { TICK } else { HELD_TICK };
    }

    /// Applies one command, as part of a batch.
    fn apply(&mut self, command: Command, batch: &mut Batch<'_>, now: Now, effects: &mut Effects) {
        let answer = match command {
            Command::Append { event, shared_ids, reply } => {
                let result = self.append(batch, &event, shared_ids, now.wall).map(|(appended, notice)| {
                    effects.notices.extend(notice);
                    appended
                });
                Answer::Append(reply, result)
            }
            Command::Record { record, reply } => {
                let result = self.records.write(batch, &record).map(|removed| {
                    (0..removed).for_each(|_| self.metrics.limit_hits.count(LimitHit::QuarantineRecords));
                });
                let Some(reply) = reply else {
                    if let Err(error) = result {
                        tracing::warn!(%error, "a record of a delivery was lost");
                    }
                    return;
                };
                Answer::Done(reply, result)
            }
            Command::Hold { record, reply } => {
                let (record, body) = *record;
                Answer::Holding(reply, self.records.hold(batch, record, body, now.wall))
            }
            Command::SettleHeld { settled, reply } => {
                let (source, id, settlement) = *settled;
                Answer::Settling(reply, self.records.settle(batch, &source, id, settlement, now.wall))
            }
            Command::AddReceipts { batch: receipts } => {
                if let Err(error) = receipts::add(batch, receipts, now.wall) {
                    tracing::warn!(%error, "moments of receipts were lost");
                }
                return;
            }
            Command::ForgetReceipt { subject, reply } => {
                Answer::Done(reply, receipts::remove(batch, &subject))
            }
            Command::Audit { entry, reply } => Answer::Done(reply, self.audit.write(batch, &entry)),
            Command::Expire { keys, reply } => Answer::Expired(reply, audit::remove(batch, keys)),
            Command::Enqueue { source, payment, after, reply } => {
                Answer::Done(reply, self.work.enqueue(batch, (source, payment), after, now))
            }
            Command::Claim { source, terms, reply } => {
                Answer::Claim(reply, self.work.claim(&source, terms, now))
            }
            Command::Settle { pending, settlement, reply } => {
                Answer::Done(reply, self.work.settle(batch, &pending, settlement, now))
            }
            Command::Backlogs { of, reply } => Answer::Backlogs(reply, self.work.backlogs(of, now.wall)),
            Command::Oldest { queue, limit, reply } => Answer::Oldest(reply, self.work.oldest(&queue, limit)),
            Command::Erase { erasure, reply } => {
                let erased = erase::erase(batch, &mut self.heads, &mut self.work, &erasure);
                let result = erased.map(|(erased, notice)| {
                    effects.notices.extend(notice);
                    erased
                });
                Answer::Erased(reply, result)
            }
            Command::EraseRecords { keys, reply } => {
                let result = erase::remove_records(batch, &mut self.records, keys);
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
        let meta = batch.meta(subject)?;
        let (meta, anew) = match meta {
            Some(meta) if now.since_ms(meta.last) > life_ms(self.history_ms, subject.kind()) => (None, true),
            meta => (meta, false),
        };
        let (identity, digest) = (event.identity(), event.digest());
        if let Some(meta) = &meta {
            if let Some((seen, tag)) = batch.seen(subject, identity)? {
                let known = match seen.digest == digest {
                    true => Appended::Duplicate { cursor: Cursor { tag, seq: seen.seq } },
                    false => Appended::Conflict(Conflict::FactsDiffer),
                };
                return Ok((known, None));
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
        let (tag, pos) = (Tag::from_random(rand::random()), previous.pos + 1);
        let provider = meta.map_or_else(|| Arc::clone(&event.provider), |meta| meta.provider);
        let stored = NewEntry::stored(tag, event)?;
        let at = batch.stamp(partition, now);
        let subject = subject.clone();
        batch.add(Change::Entry(NewEntry {
            subject,
            seq,
            tag,
            pos,
            provider,
            at,
            anew,
            identity,
            digest,
            stored,
        }))?;
        *head = Head { pos, tag };
        let cursor = Cursor { tag, seq };
        let body = NoticeBody::Appended { seq, event: Arc::clone(event).into() };
        let notice = Notice { partition, pos, previous: previous.tag, tag, body };
        Ok((Appended::New { cursor }, Some(notice)))
    }
}

/// Whether a record must be durable before its sender goes on. A quarantined event is acknowledged because its record is durable; a line
/// of the delivery log may be lost in a crash, so it is kept in memory until the tree takes it.
pub(super) const fn must_last(log: RecordLog) -> bool {
    matches!(log, RecordLog::Quarantine)
}
