//! What a reader is told and what it answers. Both can be sent to another process.

use crate::{pauses::Look, stats::Seen};
use serde::{Deserialize, Serialize};

/// A command to a reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Open streams until all processes together have this many.
    Open { upto: usize },
    /// Drop all connections at once.
    Drop,
    /// From now on report how many accepted events have not arrived. These are the accepted events of each stream's payment.
    Expect(Vec<u32>),
    /// Stop the churn.
    Calm,
    /// Forget the latencies recorded so far, because they belong to a warm-up.
    ForgetTimes,
    /// The machine's pauses, for a reader in another process than the one that watches for them. It is not answered.
    Looks(Vec<Look>),
    /// Send everything that was seen so far.
    Report,
    /// Send everything that was seen and end.
    Finish,
}

/// The state of a reader.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// How many commands it has taken, which tells a state before a command from one after it.
    pub(crate) commands: u64,
    /// How many streams have had their first message.
    pub(crate) ready: usize,
    /// When the last stream that was asked for had its first message.
    pub(crate) ready_at_us: Option<u64>,
    /// How many accepted events have not arrived, over all streams.
    pub(crate) missing: Option<u64>,
    pub(crate) deliveries: u64,
    pub(crate) failed: u64,
    /// Everything that was seen; only after [`Command::Report`] and [`Command::Finish`].
    pub(crate) seen: Option<Box<Seen>>,
}
