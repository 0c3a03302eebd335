//! Removes logs that are past their time to live, a little at a time.
//!
//! Reads and appends do not need it: they look at the time themselves. It is only about room on disk, so it may be slow,
//! and must never be in the way: each step looks at so many logs, stops early if they had much to remove, and remembers
//! where it stood.

use super::{layout, tree::Tree};
use crate::store::StoreError;
use std::time::{Duration, Instant};

/// Between two steps.
const EVERY: Duration = Duration::from_secs(1);

/// Logs that one step looks at. 512 of them take about a millisecond; ten million logs are gone through in half a day.
const LOGS: usize = 512;

/// Keys after which a step removes no further log: about a millisecond too.
const KEYS: usize = 2048;

/// Where the sweep stands.
pub(super) struct Sweep {
    /// The meta that was looked at last; empty at the beginning of a pass.
    place: Vec<u8>,
    next: Instant,
}

impl Sweep {
    /// At the beginning.
    pub(super) fn new() -> Self {
        Self { place: Vec::new(), next: Instant::now() + EVERY }
    }

    /// How long until the next step; zero if it is time.
    pub(super) fn due_in(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// One step: removes logs whose last event was appended before `deadline_ms`.
    pub(super) fn step(&mut self, tree: &Tree, deadline_ms: i64) -> Result<(), StoreError> {
        self.next = Instant::now() + EVERY;
        let mut batch = tree.batch();
        let mut stale = Vec::new();
        let mut last = None;
        let mut looked = 0;
        for pair in batch.after(layout::METAS, &self.place).take(LOGS) {
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
        // Not worth a sync: what comes back after a crash is removed again.
        batch.commit(false)?;
        self.place = last.filter(|_| looked == LOGS).map(|key| key.to_vec()).unwrap_or_default();
        Ok(())
    }
}
