//! What of one response still waits to be sent, and whether it gets on.
//!
//! HTTP/2 has a window for each response and one for each connection. A client that opens none, or hardly any, would hold
//! its responses, and the places of their streams, for as long as it likes. A backlog gets on whenever a kibibyte or all the
//! rest of it has left; single bytes now and then do not count. Nothing is waiting on a stream without news, so silence is no
//! stall.
//!
//! The decisions are made here, without I/O and without a clock.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// Bytes that have to leave within the patience, if not all do: some 35 bytes a second with the default of 30 s.
const STEP_BYTES: usize = 1 << 10;

/// The bytes of one response that were handed over for sending and have not been sent.
pub(super) struct Backlog {
    /// Bytes that wait.
    waiting: usize,
    /// Bytes that left since `since`.
    left: usize,
    /// When the present step began. Without meaning while nothing waits.
    since: Instant,
    /// How long a step may take.
    patience: Duration,
    /// Who waits until nothing waits.
    waker: Option<Waker>,
}

impl Backlog {
    /// An empty backlog, each step of which may take as long as `patience`.
    pub(super) const fn new(patience: Duration, now: Instant) -> Self {
        Self { waiting: 0, left: 0, since: now, patience, waker: None }
    }

    /// Allows each step twice the time, for a stream: its reader is told that it has stalled if it reads in between.
    pub(super) fn be_patient(&mut self) {
        self.patience *= 2;
    }

    /// Adds bytes that wait from now on.
    pub(super) const fn add(&mut self, bytes: usize, now: Instant) {
        if self.waiting == 0 {
            self.left = 0;
            self.since = now;
        }
        self.waiting += bytes;
    }

    /// Takes away bytes that left. Returns whether the backlog got on by this.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        self.waiting = self.waiting.saturating_sub(bytes);
        self.left += bytes;
        let gets_on = self.waiting == 0 || self.left >= STEP_BYTES;
        if gets_on {
            self.left = 0;
            self.since = now;
        }
        if self.waiting == 0
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
        gets_on
    }

    /// When the response will have stalled, unless it gets on before. `None` while nothing waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.waiting > 0).then(|| self.since + self.patience)
    }

    /// Waits until nothing waits.
    pub(super) fn poll_empty(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.waiting == 0 {
            return Poll::Ready(());
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::Wake,
    };

    const PATIENCE: Duration = Duration::from_secs(30);

    fn at(begin: Instant, second: u64) -> Instant {
        begin + Duration::from_secs(second)
    }

    #[test]
    fn a_response_without_bytes_that_wait_never_stalls() {
        let begin = Instant::now();
        let mut backlog = Backlog::new(PATIENCE, begin);
        assert_eq!(backlog.deadline(), None);
        backlog.add(100, at(begin, 1000));
        assert_eq!(backlog.deadline(), Some(at(begin, 1030)));
        assert!(backlog.take(100, at(begin, 1001)));
        assert_eq!(backlog.deadline(), None);
        // The silence in between does not count.
        backlog.add(100, at(begin, 5000));
        assert_eq!(backlog.deadline(), Some(at(begin, 5030)));
    }

    #[test]
    fn a_byte_now_and_then_is_no_progress_but_a_kibibyte_is() {
        let begin = Instant::now();
        let mut backlog = Backlog::new(PATIENCE, begin);
        backlog.add(100_000, begin);
        for second in 0..29 {
            assert!(!backlog.take(1, at(begin, second)));
            assert_eq!(backlog.deadline(), Some(at(begin, 30)));
        }
        assert!(backlog.take(STEP_BYTES - 29, at(begin, 29)));
        assert_eq!(backlog.deadline(), Some(at(begin, 59)));
    }

    #[test]
    fn further_bytes_do_not_prolong_the_wait_of_the_first() {
        let begin = Instant::now();
        let mut backlog = Backlog::new(PATIENCE, begin);
        backlog.be_patient();
        backlog.add(10, begin);
        backlog.add(10, at(begin, 20));
        assert_eq!(backlog.deadline(), Some(at(begin, 60)));
    }

    #[test]
    fn who_waits_for_the_end_is_woken_when_all_has_left() {
        let begin = Instant::now();
        let mut backlog = Backlog::new(PATIENCE, begin);
        let (waker, woken) = flag();
        backlog.add(2, begin);
        assert!(backlog.poll_empty(&Context::from_waker(&waker)).is_pending());
        backlog.take(1, begin);
        assert!(!woken.load(Ordering::SeqCst));
        backlog.take(1, begin);
        assert!(woken.load(Ordering::SeqCst));
        assert!(backlog.poll_empty(&Context::from_waker(&waker)).is_ready());
    }

    /// A waker, and whether it was woken.
    fn flag() -> (Waker, Arc<AtomicBool>) {
        struct Flag(Arc<AtomicBool>);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let woken = Arc::default();
        (Waker::from(Arc::new(Flag(Arc::clone(&woken)))), woken)
    }
}
