//! The responses of one connection that stalled: how many, and when there are too many.

use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Notify;

/// Responses that may stall one after the other while no other response of the connection gets on. Behind a proxy, the
/// connection carries the responses of many clients, and one client that does not read must not end those of the others.
const MOST_IN_A_ROW: u32 = 8;

/// Responses that may stall in the life of a connection: once for each that may be open at a time.
const MOST: u32 = 128;

/// The stalls of one connection.
#[derive(Default)]
pub(super) struct Stalls {
    /// Those since the last response that got on.
    in_a_row: AtomicU32,
    all: AtomicU32,
    too_many: Notify,
}

impl Stalls {
    /// Counts a response that stalled.
    pub(super) fn count(&self) {
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let all = self.all.fetch_add(1, Ordering::Relaxed) + 1;
        if in_a_row >= MOST_IN_A_ROW || all >= MOST {
            self.too_many.notify_one();
        }
    }

    /// Notes that a response got on.
    pub(super) fn got_on(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    /// Returns once there are too many.
    pub(super) async fn too_many(&self) {
        self.too_many.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn has_too_many(stalls: &Stalls) -> bool {
        stalls.too_many().now_or_never().is_some()
    }

    #[test]
    fn a_connection_ends_when_nothing_else_gets_on() {
        let stalls = Stalls::default();
        for _ in 1..MOST_IN_A_ROW {
            stalls.count();
        }
        assert!(!has_too_many(&stalls));
        stalls.count();
        assert!(has_too_many(&stalls));
    }

    #[test]
    fn one_stalled_client_behind_a_proxy_does_not_end_the_others_until_it_has_done_so_often() {
        let stalls = Stalls::default();
        for _ in 1..MOST {
            stalls.count();
            stalls.got_on();
        }
        assert!(!has_too_many(&stalls));
        stalls.count();
        assert!(has_too_many(&stalls));
    }
}
