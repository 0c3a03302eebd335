//! The sweep: removes logs that are past their time to live, a little at a time.
//!
//! Reads and appends do not depend on it, since they look at the time themselves. The sweep only frees disk space, so it may be slow,
//! and it must not delay appends: each step looks at a bounded number of logs, stops early if these had much to remove, and remembers
//! where to go on.

use super::{layout, tree::Tree};
use crate::store::StoreError;
use std::time::{Duration, Instant};

/// The time between two steps.
const EVERY: Duration = Duration::from_secs(1);

/// Logs that one step looks at. 512 of them take about a millisecond; ten million logs are gone through in half a day.
const LOGS: usize = 512;

/// Keys after which a step removes no further log: about a millisecond too.
const KEYS: usize = 2048;

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

    /// Makes one step: removes logs whose last event was appended before `deadline_ms`.
    pub(super) fn step(&mut self, tree: &Tree, deadline_ms: i64) -> Result<(), StoreError> {
        self.next = Instant::now() + EVERY;
        let mut batch = tree.batch();
        let mut stale = Vec::new();
        let mut last = None;
        let mut looked = 0;
        for pair in batch.after(layout::METAS, &self.last_meta).take(LOGS) {
            let (key, value) = pair?;
            let meta: layout::Meta = layout::decode(&value)?;
            if meta.last.unix_ms() < deadline_ms {
                stale.extend(batch.keys_of(&key)?);
                stale.push(key.clone());
            }
            last = Some(key);
            looked += 1;
            if stale.len() >= KEYS {
                looked = LOGS;
                break;
            }
        }
        stale.into_iter().for_each(|key| batch.remove(key));
        // A sync is not worth its cost: what comes back after a crash is removed again.
        batch.commit(false)?;
        self.last_meta = last.filter(|_| looked == LOGS).map(|key| key.to_vec()).unwrap_or_default();
        Ok(())
    }
}
