//! The sweep: finds logs that are past their time to live, a little at a time.
//!
//! Reads and appends do not depend on it, since they look at the time themselves. The sweep only frees disk space, so it may be slow: each
//! step looks at a bounded number of logs in the tree, stops early if many of them have ended, and remembers where to go on. The writer
//! removes what it found, since a log that ended by the tree may have begun anew meanwhile.

use super::{layout, tree::Tree};
use crate::{payment::Subject, store::StoreError};
use std::time::{Duration, Instant};

/// The time between two steps.
const EVERY: Duration = Duration::from_secs(1);

/// Logs that one step looks at. 512 of them take about a millisecond; ten million logs are gone through in half a day.
const LOGS: usize = 512;

/// Logs that one step finds, so that their removal is at most some megabytes of keys.
const FOUND: usize = 128;

/// The progress of the sweep.
pub(super) struct Sweep {
    /// The key of the meta that was looked at last; empty at the beginning of a pass.
    last_meta: Vec<u8>,
    next: Instant,
}

impl Sweep {
    /// A sweep at the beginning of a pass.
    pub(super) fn new() -> Self {
        Self { last_meta: Vec::new(), next: Instant::now() + EVERY }
    }

    /// The time until the next step; zero if the step is due.
    pub(super) fn due_in(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Makes one step: finds logs whose last event was appended before `deadline_ms`.
    pub(super) fn step(&mut self, tree: &Tree, deadline_ms: i64) -> Result<Vec<Subject>, StoreError> {
        self.next = Instant::now() + EVERY;
        let now = tree.now();
        let mut stale = Vec::new();
        let mut last = None;
        for (looked, pair) in (1..).zip(now.after(layout::METAS, &self.last_meta)) {
            let (key, value) = pair?;
            let meta: layout::Meta = layout::decode(&value)?;
            if meta.last.unix_ms() < deadline_ms {
                stale.push(layout::subject_of_meta(&key)?);
            }
            if looked == LOGS || stale.len() == FOUND {
                last = Some(key);
                break;
            }
        }
        self.last_meta = last.map(|key| key.to_vec()).unwrap_or_default();
        Ok(stale)
    }
}
