//! The file descriptors of the process: how many it may have, and what they are kept for.
//!
//! Each connection takes one, and so does each file of the store. Were they given to whoever comes first, strangers' sockets
//! could take all of them, and then neither a health check nor a webhook would be accepted.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::num::NonZeroUsize;

/// The most files that the embedded store keeps open. The rest of `FILES` is for listeners, the log, connections to a Redis
/// server and to providers, and files that are open for a moment.
pub const STORE_FILES: usize = 64;

/// Descriptors for everything but connections of clients.
const FILES: usize = 160;

/// Descriptors for connections of the admin listener.
const ADMIN: usize = 64;

/// Descriptors that streams leave to webhooks.
const WEBHOOKS: usize = 160;

/// What the descriptors are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptors {
    /// How many the process may have.
    pub limit: usize,
    /// The most connections of the admin listener.
    pub admin: usize,
    /// The most connections of the other listeners together.
    pub clients: usize,
    /// The part of `clients` that streams leave to webhooks.
    pub webhooks: usize,
}

impl Descriptors {
    /// Raises the soft limit of the process to its hard limit, and divides what it may have.
    #[must_use]
    pub fn claim() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        {
            tracing::warn!(%error, "the soft limit of open files could not be raised to the hard limit");
        }
        let current = getrlimit(Resource::Nofile).current;
        // No limit at all, or one that is beyond any machine.
        let limit = current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let divided = Self::of(limit);
        let Self { admin, clients, webhooks, .. } = divided;
        tracing::info!(limit, clients, kept_for_webhooks = webhooks, admin, "file descriptors");
        divided
    }

    /// Divides `limit` descriptors. Where there are few, each part gets less, but never nothing.
    #[must_use]
    pub fn of(limit: usize) -> Self {
        let part = |most: usize, share: NonZeroUsize| (limit / share).clamp(1, most);
        let [quarter, eighth] = [4, 8].map(|share| NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN));
        let (files, admin, webhooks) = (part(FILES, quarter), part(ADMIN, eighth), part(WEBHOOKS, eighth));
        let clients = limit.saturating_sub(files + admin).max(2);
        Self { limit, admin, clients, webhooks: webhooks.min(clients - 1) }
    }

    /// The most connections of the public listener, if webhooks have a listener of their own.
    #[must_use]
    pub const fn public(&self) -> usize {
        self.clients - self.webhooks
    }

    /// The most connections of the ingest listener, if it has a socket of its own. A quarter is far more than providers need
    /// and leaves three to streams, should strangers find that socket.
    #[must_use]
    pub fn ingest(&self) -> usize {
        (self.clients / 4).max(self.webhooks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_costs_few_streams_where_there_are_many_descriptors() {
        let all = Descriptors::of(20_000);
        assert!(all.public() >= 19_500, "{all:?}");
        assert!(all.ingest() >= 4_000, "{all:?}");
    }

    #[test]
    fn every_part_gets_something_and_all_parts_fit() {
        for limit in [0, 1, 8, 20, 64, 256, 1024, 4096, 1 << 20, usize::MAX] {
            let all = Descriptors::of(limit);
            assert!(all.admin >= 1 && all.webhooks >= 1 && all.public() >= 1 && all.ingest() >= 1, "{all:?}");
            if limit >= 8 {
                assert!(all.clients + all.admin < limit, "{all:?}");
            }
        }
    }
}
