//! The work queues of pending confirmations, in the order in which these are due.
//!
//! The writer owns them. All pending confirmations are in memory, and on disk what a restart has to know of each. Leases and the spacing of
//! claims are in memory only: they bind claimants of this process, so after a restart all that is due can be claimed.
//!
//! In memory, due times are those of the steady clock, so that a wall clock that is set back holds up nothing. On disk they are wall times;
//! a restart cuts a delay that is longer than any delay can be.

use super::{batch::Batch, clock::Now, command::Backlogs, layout};
use crate::{
    payment::{Name, Time},
    store::{Backlog, Claim, ClaimTerms, MAX_PAUSE, MAX_PENDING, Pending, QueueKind, Settlement, StoreError},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

/// The work queues of all sources.
#[derive(Default)]
pub(super) struct WorkQueues(HashMap<Arc<str>, WorkQueue>);

/// The work queue of one source.
#[derive(Default)]
struct WorkQueue {
    items: HashMap<Name, WorkItem>,
    /// Each item once, by when it may be claimed: when it is due, or when the lease on it ends.
    claimable: BTreeSet<(Instant, Name)>,
    /// Each item once, by the time since which it is pending.
    since: BTreeSet<(Time, Name)>,
    /// The earliest time of the next claim, if there was a claim before.
    next: Option<Instant>,
}

/// One pending confirmation.
struct WorkItem {
    stored: layout::PendingConfirmation,
    /// The time by which it stands in `claimable`.
    claimable: Instant,
    /// The ticket of the last claim, until that is settled.
    ticket: Option<u64>,
    /// When it is due by the hints that came after that claim, if there were any.
    hinted: Option<Instant>,
}

impl WorkQueues {
    /// The queues as they were written to disk.
    pub(super) fn restored(stored: Vec<layout::PendingConfirmation>, now: Now) -> Self {
        let mut queues = Self::default();
        for item in stored {
            // An item that is pending since a time in the future was written before the clock was set back.
            let is_sound = item.since <= now.wall;
            let pause = if is_sound { span(now.wall, item.due).min(MAX_PAUSE) } else { Duration::ZERO };
            queues.0.entry(Arc::clone(&item.source)).or_default().add(item, now.after(pause));
        }
        queues
    }

    /// Adds a pending confirmation, or brings it forward.
    pub(super) fn enqueue(
        &mut self,
        batch: &mut Batch<'_>,
        (source, payment): (Arc<str>, Name),
        after: Duration,
        now: Now,
    ) -> Result<(), StoreError> {
        let queue = self.0.entry(Arc::clone(&source)).or_default();
        let (wanted, is_full) = (now.after(after), queue.items.len() >= MAX_PENDING);
        let (stored, due) = match queue.items.get_mut(&payment) {
            Some(item) if item.ticket.is_some() => {
                item.hinted = Some(item.hinted.map_or(wanted, |due| due.min(wanted)));
                (item.stored.delay, item.stored.attempts) = (None, 0);
                return Ok(());
            }
            Some(item) if item.claimable <= wanted && item.stored.delay.is_none() => return Ok(()),
            Some(WorkItem { stored, claimable, .. }) => {
                let due = wanted.min(*claimable);
                let written = now.wall_time_of(due);
                (
                    layout::PendingConfirmation { due: written, delay: None, attempts: 0, ..stored.clone() },
                    due,
                )
            }
            None if is_full => return Err(StoreError::TooManyPending),
            None => {
                let due = now.wall_time_of(wanted);
                let (since, delayed_since) = (now.wall, now.wall);
                let (delay, attempts) = (None, 0);
                let stored = layout::PendingConfirmation {
                    source,
                    payment,
                    since,
                    due,
                    delay,
                    attempts,
                    delayed_since,
                };
                (stored, wanted)
            }
        };
        write(batch, &stored)?;
        queue.remove(&stored.payment);
        queue.add(stored, due);
        Ok(())
    }

    /// Claims the pending confirmation that has been due longest.
    pub(super) fn claim(&mut self, source: &str, terms: ClaimTerms, now: Now) -> Claim {
        let Some(queue) = self.0.get_mut(source) else { return Claim::Nothing };
        let Some((claimable, payment)) = queue.claimable.first().cloned() else { return Claim::Nothing };
        let wait = queue.next.map_or(claimable, |next| next.max(claimable)).duration_since(now.steady);
        if !wait.is_zero() {
            return Claim::Later(wait);
        }
        queue.next = Some(now.after(terms.spacing));
        queue.move_to(&payment, now.after(terms.lease));
        let Some(item) = queue.items.get_mut(&payment) else { return Claim::Nothing };
        let ticket = rand::random();
        (item.ticket, item.hinted) = (Some(ticket), None);
        let layout::PendingConfirmation { source, payment, since, delay, attempts, delayed_since, .. } =
            item.stored.clone();
        Claim::Pending(Pending { source, payment, delay, attempts, delayed_since, since, ticket })
    }

    /// Settles a claim. This need not be durable: after a crash, a payment is at worst asked for once more.
    pub(super) fn settle(
        &mut self,
        batch: &mut Batch<'_>,
        pending: &Pending,
        settlement: Settlement,
        now: Now,
    ) -> Result<(), StoreError> {
        let Some(queue) = self.0.get_mut(&pending.source) else { return Ok(()) };
        let Some(item) = queue.items.get(&pending.payment) else { return Ok(()) };
        if item.ticket != Some(pending.ticket) {
            return Ok(());
        }
        let hinted = item.hinted;
        let mut stored = item.stored.clone();
        let again = settlement.delay().map(|(_, after)| now.after(after));
        let Some(due) = [again, hinted].into_iter().flatten().min() else {
            batch.remove(layout::confirmation(&pending.source, &pending.payment))?;
            queue.remove(&pending.payment);
            return Ok(());
        };
        stored.due = now.wall_time_of(due);
        let delay = settlement.delay().map(|(delay, _)| delay).filter(|_| hinted.is_none());
        if delay.is_none() || delay != stored.delay {
            (stored.delay, stored.attempts, stored.delayed_since) = (delay, 0, now.wall);
        }
        stored.attempts = stored.attempts.saturating_add(u32::from(delay.is_some()));
        if matches!(settlement, Settlement::Done | Settlement::Doubted { .. }) {
            stored.since = now.wall;
        }
        if let Settlement::Paused { after } = settlement {
            queue.next = queue.next.max(Some(now.after(after)));
        }
        write(batch, &stored)?;
        queue.remove(&pending.payment);
        queue.add(stored, due);
        Ok(())
    }

    /// Removes the pending confirmations of a payment from all queues but those of the sources `others` and of parts, and returns how many there were.
    /// A claim that is under way loses its ticket, so its settlement changes nothing.
    pub(super) fn forget(
        &mut self,
        batch: &mut Batch<'_>,
        payment: &Name,
        others: &BTreeSet<Arc<str>>,
    ) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for (source, queue) in self.0.iter_mut().filter(|(source, _)| {
            QueueKind::of(source) == QueueKind::Confirmations && !others.contains(*source)
        }) {
            if queue.items.contains_key(payment) {
                batch.remove(layout::confirmation(source, payment))?;
                queue.remove(payment);
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// The backlog of each queue of this kind of work that holds anything.
    pub(super) fn backlogs(&self, of: QueueKind, now: Time) -> Backlogs {
        let backlog = |(source, queue): (&Arc<str>, &WorkQueue)| {
            let (oldest, _) = queue.since.first()?;
            let backlog = Backlog { count: queue.items.len() as u64, oldest: span(*oldest, now) };
            Some((Arc::clone(source), backlog))
        };
        self.0.iter().filter(|(queue, _)| QueueKind::of(queue) == of).filter_map(backlog).collect()
    }

    /// The items of a queue that have been pending longest, and since when.
    pub(super) fn oldest(&self, queue: &str, limit: usize) -> Vec<(Name, Time)> {
        let since = self.0.get(queue).into_iter().flat_map(|queue| &queue.since);
        since.take(limit).map(|(since, name)| (name.clone(), *since)).collect()
    }
}

impl WorkQueue {
    fn add(&mut self, stored: layout::PendingConfirmation, claimable: Instant) {
        let (payment, since) = (stored.payment.clone(), stored.since);
        self.claimable.insert((claimable, payment.clone()));
        self.since.insert((since, payment.clone()));
        self.items.insert(payment, WorkItem { stored, claimable, ticket: None, hinted: None });
    }

    fn remove(&mut self, payment: &Name) {
        if let Some(item) = self.items.remove(payment) {
            self.claimable.remove(&(item.claimable, payment.clone()));
            self.since.remove(&(item.stored.since, payment.clone()));
        }
    }

    fn move_to(&mut self, payment: &Name, claimable: Instant) {
        if let Some(item) = self.items.get_mut(payment) {
            let before = std::mem::replace(&mut item.claimable, claimable);
            self.claimable.remove(&(before, payment.clone()));
            self.claimable.insert((claimable, payment.clone()));
        }
    }
}

fn write(batch: &mut Batch<'_>, stored: &layout::PendingConfirmation) -> Result<(), StoreError> {
    batch.put(layout::confirmation(&stored.source, &stored.payment), layout::encode(stored)?)
}

/// The time from one moment to a later one; zero if it is earlier.
fn span(from: Time, to: Time) -> Duration {
    Duration::from_millis(u64::try_from(to.since_ms(from)).unwrap_or_default())
}
