//! Pending confirmations: the commands that run `work_queue.lua`, and their results. Pure.

use super::{
    plan::Plan,
    reply::{corrupt, list, parse, text},
    scripts::{WORK_QUEUE, digest},
};
use crate::{
    payment::{Name, Time},
    store::{Backlog, Claim, ClaimTerms, Delay, MAX_PENDING, Pending, QueueKind, Settlement, StoreError},
};
use redis::{Cmd, Value};
use std::time::Duration;

/// Builds the commands for one prefix.
#[derive(Debug)]
pub(super) struct Confirmations {
    plan: Plan,
    /// The digest of the script.
    script: String,
}

impl Confirmations {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, script: digest(WORK_QUEUE) }
    }

    /// Returns the command that adds a pending confirmation; [`added`] reads its result.
    pub(super) fn add(&self, source: &str, payment: &Name, after: Duration) -> Cmd {
        let mut command = self.command(source, "enqueue");
        command.arg(payment.as_str()).arg(ms(after)).arg(MAX_PENDING);
        command
    }

    /// Returns the command that notes that the queue holds something, a source its pending confirmations. It is apart from [`Self::add`], because the set
    /// of sources is one key for all of them and lies in another slot, to which the script cannot write.
    pub(super) fn add_queue(&self, queue: &str) -> Cmd {
        let mut command = redis::cmd("SADD");
        command.arg(self.queues_of(QueueKind::of(queue))).arg(queue);
        command
    }

    /// Returns the command that reads the names of all queues of one kind of work.
    pub(super) fn queues(&self, of: QueueKind) -> Cmd {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.queues_of(of));
        command
    }

    fn queues_of(&self, kind: QueueKind) -> String {
        match kind {
            QueueKind::Confirmations => self.plan.pending_sources(),
            QueueKind::Parts => self.plan.waiting_queues(),
        }
    }

    /// Returns the command that claims a confirmation; [`claimed`] reads its result.
    pub(super) fn claim(&self, source: &str, ticket: u64, terms: ClaimTerms) -> Cmd {
        let mut command = self.command(source, "claim");
        command.arg(ticket).arg(ms(terms.spacing)).arg(ms(terms.lease));
        command
    }

    /// Returns the command that settles a claimed confirmation.
    pub(super) fn settle(&self, pending: &Pending, settlement: Settlement) -> Cmd {
        let (delay, after) = settlement.delay().unzip();
        let is_paused = matches!(settlement, Settlement::Paused { .. });
        let mut command = self.command(&pending.source, "settle");
        command.arg(pending.payment.as_str()).arg(pending.ticket).arg(word(delay));
        command.arg(ms(after.unwrap_or_default())).arg(if is_paused { "paused" } else { "-" });
        command
    }

    /// Returns the command that removes a payment's pending confirmation; its result is how many there were. The sorted sets and the last
    /// claim hold the payment too.
    pub(super) fn forget(&self, source: &str, payment: &Name) -> Cmd {
        let mut command = self.command(source, "forget");
        command.arg(payment.as_str());
        command
    }

    /// Returns the command that asks for the backlog of a source; [`backlog`] reads its result.
    pub(super) fn backlog(&self, source: &str) -> Cmd {
        self.command(source, "backlog")
    }

    /// Returns the command that asks for the oldest items of a queue; [`oldest`] reads its result.
    pub(super) fn oldest(&self, queue: &str, limit: usize) -> Cmd {
        let mut command = self.command(queue, "oldest");
        command.arg(limit);
        command
    }

    fn command(&self, source: &str, what: &str) -> Cmd {
        let keys = self.plan.pending(source);
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.script).arg(keys.len()).arg(&keys[..]).arg(what);
        command
    }
}

/// Reads whether a confirmation was added.
pub(super) fn added(answer: &Value) -> Result<(), StoreError> {
    match text(answer) {
        Some("enqueued") => Ok(()),
        Some("full") => Err(StoreError::TooManyPending),
        _ => Err(corrupt("the result of adding a pending confirmation")),
    }
}

/// Reads the result of a claim; `ticket` is the one that the claim drew.
pub(super) fn claimed(answer: Value, source: &str, ticket: u64) -> Result<Claim, StoreError> {
    let words = list(answer)?;
    match (words.first().and_then(text), words.get(1..).unwrap_or_default()) {
        (Some("nothing"), []) => Ok(Claim::Nothing),
        (Some("later"), [Value::Int(ms)]) => Ok(Claim::Later(span(*ms))),
        (
            Some("pending"),
            [payment, Value::Int(since), delay, Value::Int(attempts), Value::Int(delayed_since)],
        ) => {
            let time = |ms: &i64| Time::from_unix_ms(*ms).map_err(|_| corrupt("a time"));
            let delays = [None, Some(Delay::Doubted), Some(Delay::Puzzled), Some(Delay::Failed)];
            let delay = delays.into_iter().find(|known| text(delay) == Some(word(*known)));
            Ok(Claim::Pending(Pending {
                source: source.into(),
                payment: parse(text(payment).unwrap_or_default())?,
                delay: delay.ok_or_else(|| corrupt("a delay"))?,
                attempts: u32::try_from(*attempts).unwrap_or(u32::MAX),
                delayed_since: time(delayed_since)?,
                since: time(since)?,
                ticket,
            }))
        }
        _ => Err(corrupt("the result of a claim")),
    }
}

/// Reads the oldest items of a queue, and since when they are pending.
pub(super) fn oldest(answer: Value) -> Result<Vec<(Name, Time)>, StoreError> {
    let words = list(answer)?;
    let pairs = words.chunks_exact(2).map(|pair| match pair {
        [name, since] => {
            let since = text(since).and_then(|since| since.parse().ok());
            let since = since.and_then(|ms| Time::from_unix_ms(ms).ok()).ok_or_else(|| corrupt("a time"))?;
            Ok((parse(text(name).unwrap_or_default())?, since))
        }
        _ => Err(corrupt("an item of a queue")),
    });
    pairs.collect()
}

/// Reads the backlog of one source: how many confirmations are pending, and for how long.
pub(super) fn backlog(answer: Value) -> Result<Backlog, StoreError> {
    match list(answer)?.as_slice() {
        [Value::Int(count), Value::Int(ms)] => {
            Ok(Backlog { count: u64::try_from(*count).unwrap_or_default(), oldest: span(*ms) })
        }
        _ => Err(corrupt("a backlog")),
    }
}

/// The word for a delay in the script.
const fn word(delay: Option<Delay>) -> &'static str {
    match delay {
        None => "-",
        Some(Delay::Doubted) => "doubted",
        Some(Delay::Puzzled) => "puzzled",
        Some(Delay::Failed) => "failed",
    }
}

fn span(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
