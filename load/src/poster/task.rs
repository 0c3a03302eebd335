//! The jobs of the publisher: what it posts, when, and how much of it.

use crate::{
    plan::{Dialect, EVENTS_PER_PAYMENT},
    report::as_f64,
};
use anyhow::{Result, ensure};

/// What decides when an event is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// This many events per second.
    Rate(f64),
    /// This many events in flight until each is acknowledged.
    Acked(usize),
    /// This many events in flight until each has reached every stream that watches it.
    Delivered(usize),
}

/// One job of the publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) pace: Pace,
    /// The number of the first event. Earlier tasks posted those before it.
    pub(crate) first: usize,
    /// Most events that the task posts.
    pub(crate) most: usize,
    pub(crate) seconds: f64,
    /// Most connections that the task opens.
    pub(crate) connections: usize,
    /// Whether it creates the payments' channels instead of posting to them.
    pub(crate) creates: bool,
}

impl Task {
    /// How many connections are opened unless the pace decides.
    const CONNECTIONS: usize = 64;

    /// A task that posts this many events as fast as they are acknowledged.
    pub(crate) fn batch(first: usize, most: usize) -> Self {
        let pace = Pace::Acked(Self::CONNECTIONS);
        Self { pace, first, most, seconds: 120.0, connections: Self::CONNECTIONS, creates: false }
    }

    /// Fails if the rate makes no sense, or would fill the payments' logs before the time is over.
    pub(crate) fn ensure_fits(&self, dialect: Dialect, payments: usize) -> Result<()> {
        let Pace::Rate(rate) = self.pace else { return Ok(()) };
        ensure!((1e-6..=1e9).contains(&rate), "the rate must be above 0, and a billion per second at most");
        let needed = rate * self.seconds / as_f64(EVENTS_PER_PAYMENT as u64);
        ensure!(
            dialect == Dialect::Plain || needed <= as_f64(payments as u64),
            "a payment takes {EVENTS_PER_PAYMENT} events, so this rate and time need at least {:.0} payments",
            needed.ceil()
        );
        Ok(())
    }
}
