//! Confirmations that are owed, in the order in which they are due.
//!
//! The writer's own. All of them are in memory, and on disk what a restart has to know of each. Leases and the spacing of
//! claims are in memory alone: whom they bind ends with this process, so after a restart all that is due can be claimed.
//!
//! In memory, what is due is due by the steady clock, so that a wall clock that is set back holds up nothing. What was put off
//! on disk is not put off for longer than it can have been.

use super::{layout, tree::Batch};
use crate::{
    payment::{Name, Time},
    store::{Backlog, Claim, ClaimTerms, MAX_OWED, MAX_PAUSE, Owed, Settlement, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

/// One moment by two clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    /// For what is told and what outlives the process.
    pub(super) wall: Time,
    /// For what has to pass.
    pub(super) steady: Instant,
}

/// The debts of all sources.
#[derive(Default)]
pub(super) struct Queues(HashMap<Arc<str>, Queue>);

/// Those of one source.
#[derive(Default)]
struct Queue {
    debts: HashMap<Name, Debt>,
    /// Each once, by when it may be claimed: when it is due, or when the lease on it ends.
    claimable: BTreeSet<(Instant, Name)>,
    /// Each once, by since when it is owed.
    since: BTreeSet<(Time, Name)>,
    /// No claim before, if there was one.
    next: Option<Instant>,
}

struct Debt {
    stored: layout::Debt,
    /// As it stands in the queue's order.
    claimable: Instant,
    /// Of the last claim, until it is settled.
    ticket: Option<u64>,
    /// When it is due by the hints that came after that claim, if there were any.
    hinted: Option<Instant>,
}

impl Queues {
    /// As they stood on disk.
    pub(super) fn restored(debts: Vec<layout::Debt>, now: Now) -> Self {
        let mut queues = Self::default();
        for debt in debts {
            // What is owed since a time to come was noted before the clock was set back.
            let is_sound = debt.since <= now.wall;
            let pause = if is_sound { span(now.wall, debt.due).min(MAX_PAUSE) } else { Duration::ZERO };
            queues.0.entry(Arc::clone(&debt.source)).or_default().add(debt, soon(now, pause));
        }
        queues
    }

    /// Notes a debt. True if something is written that has to be made durable.
    pub(super) fn owe(
        &mut self,
        batch: &mut Batch<'_>,
        (source, payment): (Arc<str>, Name),
        after: Duration,
        now: Now,
    ) -> Result<bool, StoreError> {
        let queue = self.0.entry(Arc::clone(&source)).or_default();
        let (wanted, is_full) = (soon(now, after), queue.debts.len() >= MAX_OWED);
        let (debt, due) = match queue.debts.get_mut(&payment) {
            Some(debt) if debt.ticket.is_some() => {
                debt.hinted = Some(debt.hinted.map_or(wanted, |due| due.min(wanted)));
                (debt.stored.delay, debt.stored.attempts) = (None, 0);
                return Ok(false);
            }
            Some(debt) if debt.claimable <= wanted && debt.stored.delay.is_none() => return Ok(false),
            Some(Debt { stored, claimable, .. }) => {
                let due = wanted.min(*claimable);
                (layout::Debt { due: written(now, due), delay: None, attempts: 0, ..stored.clone() }, due)
            }
            None if is_full => return Err(StoreError::TooMuchOwed),
            None => {
                let due = written(now, wanted);
                let (since, delayed_since) = (now.wall, now.wall);
                let debt =
                    layout::Debt { source, payment, since, due, delay: None, attempts: 0, delayed_since };
                (debt, wanted)
            }
        };
        write(batch, &debt)?;
        queue.remove(&debt.payment);
        queue.add(debt, due);
        Ok(true)
    }

    /// Claims the debt that has been due longest.
    pub(super) fn claim(&mut self, source: &str, terms: ClaimTerms, now: Now) -> Claim {
        let Some(queue) = self.0.get_mut(source) else { return Claim::Nothing };
        let Some((claimable, payment)) = queue.claimable.first().cloned() else { return Claim::Nothing };
        let wait = queue.next.map_or(claimable, |next| next.max(claimable)).duration_since(now.steady);
        if !wait.is_zero() {
            return Claim::Later(wait);
        }
        queue.next = Some(soon(now, terms.spacing));
        queue.move_to(&payment, soon(now, terms.lease));
        let Some(debt) = queue.debts.get_mut(&payment) else { return Claim::Nothing };
        let ticket = rand::random();
        (debt.ticket, debt.hinted) = (Some(ticket), None);
        let layout::Debt { source, payment, since, delay, attempts, delayed_since, .. } = debt.stored.clone();
        Claim::Owed(Owed { source, payment, delay, attempts, delayed_since, since, ticket })
    }

    /// Does what became of a claim. It need not be durable: at worst a payment is asked for once more.
    pub(super) fn settle(
        &mut self,
        batch: &mut Batch<'_>,
        owed: &Owed,
        settlement: Settlement,
        now: Now,
    ) -> Result<(), StoreError> {
        let Some(queue) = self.0.get_mut(&owed.source) else { return Ok(()) };
        let Some(debt) = queue.debts.get(&owed.payment) else { return Ok(()) };
        if debt.ticket != Some(owed.ticket) {
            return Ok(());
        }
        let hinted = debt.hinted;
        let mut stored = debt.stored.clone();
        let again = settlement.delay().map(|(_, after)| soon(now, after));
        let Some(due) = [again, hinted].into_iter().flatten().min() else {
            batch.remove(layout::debt(&owed.source, &owed.payment));
            queue.remove(&owed.payment);
            return Ok(());
        };
        stored.due = written(now, due);
        let delay = settlement.delay().map(|(delay, _)| delay).filter(|_| hinted.is_none());
        if delay.is_none() || delay != stored.delay {
            (stored.delay, stored.attempts, stored.delayed_since) = (delay, 0, now.wall);
        }
        stored.attempts = stored.attempts.saturating_add(u32::from(delay.is_some()));
        if matches!(settlement, Settlement::Done | Settlement::Doubted { .. }) {
            stored.since = now.wall;
        }
        if let Settlement::Paused { after } = settlement {
            queue.next = queue.next.max(Some(soon(now, after)));
        }
        write(batch, &stored)?;
        queue.remove(&owed.payment);
        queue.add(stored, due);
        Ok(())
    }

    /// What each source is owed that is owed anything.
    pub(super) fn backlogs(&self, now: Time) -> BTreeMap<Arc<str>, Backlog> {
        let backlog = |(source, queue): (&Arc<str>, &Queue)| {
            let (oldest, _) = queue.since.first()?;
            let backlog = Backlog { count: queue.debts.len() as u64, oldest: span(*oldest, now) };
            Some((Arc::clone(source), backlog))
        };
        self.0.iter().filter_map(backlog).collect()
    }
}

impl Queue {
    fn add(&mut self, stored: layout::Debt, claimable: Instant) {
        let (payment, since) = (stored.payment.clone(), stored.since);
        self.claimable.insert((claimable, payment.clone()));
        self.since.insert((since, payment.clone()));
        self.debts.insert(payment, Debt { stored, claimable, ticket: None, hinted: None });
    }

    fn remove(&mut self, payment: &Name) {
        if let Some(debt) = self.debts.remove(payment) {
            self.claimable.remove(&(debt.claimable, payment.clone()));
            self.since.remove(&(debt.stored.since, payment.clone()));
        }
    }

    fn move_to(&mut self, payment: &Name, claimable: Instant) {
        if let Some(debt) = self.debts.get_mut(payment) {
            let before = std::mem::replace(&mut debt.claimable, claimable);
            self.claimable.remove(&(before, payment.clone()));
            self.claimable.insert((claimable, payment.clone()));
        }
    }
}

fn write(batch: &mut Batch<'_>, debt: &layout::Debt) -> Result<(), StoreError> {
    batch.put(layout::debt(&debt.source, &debt.payment), layout::encode(debt)?);
    Ok(())
}

fn soon(now: Now, span: Duration) -> Instant {
    // Beyond what can be counted, nothing is due any more.
    now.steady.checked_add(span).unwrap_or(now.steady)
}

/// When something is due, as it is written.
fn written(now: Now, due: Instant) -> Time {
    let ms = i64::try_from(due.duration_since(now.steady).as_millis()).unwrap_or(i64::MAX);
    Time::from_unix_ms(now.wall.unix_ms().saturating_add(ms)).unwrap_or(now.wall)
}

fn span(from: Time, to: Time) -> Duration {
    Duration::from_millis(u64::try_from(to.since_ms(from)).unwrap_or_default())
}
