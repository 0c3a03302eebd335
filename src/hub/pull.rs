//! What a topic tells its watchers: the updates that follow a cursor, and where the log ends.

use super::frame::Frame;
use crate::payment::{Cursor, Phase, Time};
use std::sync::Arc;

/// What a watcher's pull returns.
#[derive(Clone, Debug)]
pub enum Pull {
    /// No entry follows the cursor.
    Current,
    /// The entries after the cursor, all of them, in order.
    Frames(Vec<Arc<Frame>>),
    /// The topic does not keep what the watcher needs; it has to read the history.
    Behind,
}

/// The end of a log, as far as the topic knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogEnd {
    /// The last entry.
    pub cursor: Cursor,
    /// The payment's phase after it.
    pub phase: Option<Phase>,
    /// When its delivery was received.
    pub last_at: Option<Time>,
}
