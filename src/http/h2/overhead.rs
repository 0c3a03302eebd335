//! How many frames that ask for nothing a client may send.
//!
//! Frames such as PRIORITY, WINDOW_UPDATE, PING, SETTINGS and RST_STREAM cost their sender a few bytes and cost us work. An
//! honest client sends them in proportion to what it receives: a WINDOW_UPDATE or two and perhaps a PING for a frame of data,
//! a PRIORITY for a request. So each frame of a response earns credit, time earns a little, and who has spent it all floods.
//!
//! The decisions are made here, without I/O and without a clock.

use super::frames::{DATA, END_STREAM_OR_ACK, FrameHead, HEADERS, SETTINGS};
use tokio::time::Instant;

/// The credit of a new connection, and the most that time alone restores: 15 control frames for each of 128 requests.
const BURST: u32 = 2_000;

/// The credit that a second earns. A client of 128 streams that answers each frame of ours is far below it at rest.
const PER_SECOND: u32 = 100;

/// The credit that a frame of a response earns: two WINDOW_UPDATEs (stream and connection), a PING and one more.
const PER_SENT: u32 = 4;

/// The most credit. A client that was busy elsewhere answers at once for all that it was sent, at most some megabytes of
/// small frames.
const MOST: u32 = 1 << 16;

/// What SETTINGS cost, since they change the window of every stream.
const SETTINGS_COST: u32 = 10;

/// The client sent too many frames that ask for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client floods the connection with control frames")]
pub(super) struct Flood;

/// The account of one connection.
pub(super) struct Overhead {
    credit: u32,
    /// Up to when time has earned credit.
    at: Instant,
}

impl Overhead {
    /// The account of a new connection.
    pub(super) const fn new(now: Instant) -> Self {
        Self { credit: BURST, at: now }
    }

    /// Charges a frame that the client sent.
    pub(super) fn received(&mut self, head: &FrameHead, now: Instant) -> Result<(), Flood> {
        let cost = cost(head);
        if self.credit < cost {
            self.earn(now);
        }
        self.credit = self.credit.checked_sub(cost).ok_or(Flood)?;
        Ok(())
    }

    /// Earns for a frame that was sent to the client.
    pub(super) fn sent(&mut self, head: &FrameHead) {
        if matches!(head.kind, DATA | HEADERS) {
            self.credit = (self.credit + PER_SENT).min(MOST);
        }
    }

    /// Earns for the whole seconds since the last time.
    fn earn(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs();
        if seconds > 0 {
            let earned = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(PER_SECOND);
            self.credit = self.credit.saturating_add(earned).min(BURST.max(self.credit));
            self.at = now;
        }
    }
}

/// What a frame costs. Requests and their bodies cost nothing here: they have bounds of their own.
const fn cost(head: &FrameHead) -> u32 {
    match head.kind {
        HEADERS => 0,
        DATA if head.len > 0 || head.flags & END_STREAM_OR_ACK != 0 => 0,
        SETTINGS if head.flags & END_STREAM_OR_ACK == 0 => SETTINGS_COST,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn frame(kind: u8, len: u32) -> FrameHead {
        FrameHead { len, kind, flags: 0, stream: 1 }
    }

    fn flood_after(kind: u8) -> u32 {
        let now = Instant::now();
        let mut overhead = Overhead::new(now);
        let len = if kind == DATA { 0 } else { 4 };
        (0..).find(|_| overhead.received(&frame(kind, len), now).is_err()).unwrap()
    }

    #[test]
    fn every_kind_of_control_frame_and_empty_data_is_counted() {
        assert_eq!(flood_after(SETTINGS), BURST / SETTINGS_COST);
        // DATA, PRIORITY, RST_STREAM, PING, WINDOW_UPDATE, CONTINUATION, and one that does not exist.
        for kind in [0, 2, 3, 6, 8, 9, 77] {
            assert_eq!(flood_after(kind), BURST, "type {kind}");
        }
    }

    #[test]
    fn requests_and_their_bodies_are_free() {
        let now = Instant::now();
        let mut overhead = Overhead::new(now);
        for _ in 0..10 * BURST {
            overhead.received(&frame(HEADERS, 50), now).unwrap();
            overhead.received(&frame(DATA, 50), now).unwrap();
        }
    }

    #[test]
    fn who_answers_what_it_receives_never_runs_out() {
        let now = Instant::now();
        let mut overhead = Overhead::new(now);
        // A client that was sent much and was busy meanwhile.
        for _ in 0..10_000 {
            overhead.sent(&frame(DATA, 600));
        }
        for _ in 0..30_000 {
            overhead.received(&frame(8, 4), now).unwrap();
        }
        for _ in 0..100_000 {
            overhead.sent(&frame(DATA, 600));
            for _ in 0..3 {
                overhead.received(&frame(8, 4), now).unwrap();
            }
        }
    }

    #[test]
    fn time_restores_no_more_than_the_burst() {
        let begin = Instant::now();
        let mut overhead = Overhead::new(begin);
        let mut spend = |count: u32, now| (0..count).try_for_each(|_| overhead.received(&frame(6, 8), now));
        spend(BURST, begin).unwrap();
        assert_eq!(spend(1, begin), Err(Flood));
        let later = begin + Duration::from_secs(3);
        spend(3 * PER_SECOND, later).unwrap();
        assert_eq!(spend(1, later), Err(Flood));
        let much_later = later + Duration::from_secs(1_000_000_000);
        spend(BURST, much_later).unwrap();
        assert_eq!(spend(1, much_later), Err(Flood));
    }
}
