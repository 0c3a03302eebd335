//! The connections that make room when all places are taken: those on which no request runs.
//!
//! A place is worth most to a client that has asked for something and waits. Whoever sends nothing, only half of a request, or does
//! not read an answer, gives its place up to others after a grace; who was idle for longest is first. A running request, a waiting
//! long poll and an open stream keep theirs. It does not know sockets or what requests mean.

use futures_util::future::{AbortHandle, AbortRegistration};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a connection may be idle even while others wait for its place: several round trips around the world.
const GRACE: Duration = Duration::from_millis(500);

/// The idle connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// A std mutex, since nothing is awaited while it is held. It is taken when a request begins and when it ends.
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// The place in the line of the next connection that becomes idle.
    next: u64,
    /// By place: since when the connection has been idle, and how to end it.
    waiting: BTreeMap<u64, (Instant, AbortHandle)>,
}

/// Whether one connection is idle. A new connection is.
#[derive(Debug)]
pub(super) struct Quiet {
    idle: Arc<Idle>,
    handle: AbortHandle,
    /// Locked after the line, if both are.
    state: Mutex<QuietState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct QuietState {
    /// The requests that run.
    running: u32,
    /// The place in the line while none runs.
    place: u64,
}

/// A request that runs on a connection. Dropping it ends it, unless it has become a stream.
#[derive(Debug)]
pub(super) struct Running {
    quiet: Arc<Quiet>,
    is_stream: bool,
}

impl Idle {
    /// The state of a new connection, and what ends its task when it has to make room.
    pub(super) fn quiet(self: &Arc<Self>) -> (Arc<Quiet>, AbortRegistration) {
        let (handle, registration) = AbortHandle::new_pair();
        let quiet = Quiet { idle: Arc::clone(self), handle, state: Mutex::default() };
        self.line().enter(&quiet);
        (Arc::new(quiet), registration)
    }

    /// Ends the connection that has been idle for longest, if it has had its grace. Returns whether there is one.
    pub(super) fn close_one(&self) -> bool {
        let mut line = self.line();
        let Some(first) = line.waiting.first_entry() else { return false };
        let (since, handle) = first.get();
        if since.elapsed() < GRACE {
            return false;
        }
        handle.abort();
        first.remove();
        true
    }

    /// How many connections are idle.
    pub(super) fn count(&self) -> usize {
        self.line().waiting.len()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Puts a connection at the end of the line.
    fn enter(&mut self, quiet: &Quiet) {
        let place = self.next;
        self.next += 1;
        quiet.state().place = place;
        self.waiting.insert(place, (Instant::now(), quiet.handle.clone()));
    }

    /// Takes a connection out of the line.
    fn leave(&mut self, quiet: &Quiet) {
        self.waiting.remove(&quiet.state().place);
    }
}

impl Quiet {
    fn state(&self) -> MutexGuard<'_, QuietState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something has come from the client: if it is idle, it goes back to the end of the line.
    pub(super) fn touch(&self) {
        let mut line = self.idle.line();
        if self.state().running == 0 {
            line.leave(self);
            line.enter(self);
        }
    }

    /// Says that a request has arrived as a whole. The connection is not idle before its end.
    pub(super) fn run(self: &Arc<Self>) -> Running {
        let mut line = self.idle.line();
        line.leave(self);
        self.state().running += 1;
        Running { quiet: Arc::clone(self), is_stream: false }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.idle.line().leave(self);
    }
}

impl Running {
    /// Says that the answer goes on without end. The connection is not idle again.
    pub(super) fn becomes_stream(mut self) {
        self.is_stream = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_stream {
            return;
        }
        let mut line = self.quiet.idle.line();
        let mut state = self.quiet.state();
        state.running -= 1;
        let is_idle = state.running == 0;
        drop(state);
        if is_idle {
            line.enter(&self.quiet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn idle() -> (Arc<Idle>, [(Arc<Quiet>, AbortRegistration); 2]) {
        let idle = Arc::<Idle>::default();
        let both = [idle.quiet(), idle.quiet()];
        (idle, both)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_is_closed_first_and_none_before_its_grace() {
        let (idle, [(first, _), (second, _)]) = idle();
        assert!(!idle.close_one());
        advance(GRACE / 2).await;
        // The first says something, so the second has been idle for longer.
        first.touch();
        advance(GRACE / 2).await;
        assert!(idle.close_one());
        assert_eq!((first.handle.is_aborted(), second.handle.is_aborted()), (false, true));
        assert!(!idle.close_one());
        advance(GRACE / 2).await;
        assert!(idle.close_one());
        assert!(!idle.close_one());
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_request_and_a_stream_are_not_closed() {
        let (idle, [(first, _), (second, _)]) = idle();
        let (one, other) = (first.run(), first.run());
        let stream = second.run();
        advance(2 * GRACE).await;
        first.touch();
        assert!(!idle.close_one());
        drop(one);
        stream.becomes_stream();
        advance(2 * GRACE).await;
        assert!(!idle.close_one(), "another request runs");
        drop(other);
        assert!(!idle.close_one(), "it has just answered");
        advance(GRACE).await;
        assert!(idle.close_one());
        assert!(first.handle.is_aborted() && !second.handle.is_aborted());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_a_connection_that_has_ended() {
        let (idle, [first, second]) = idle();
        let running = second.0.run();
        drop((first, second));
        drop(running);
        assert!(idle.line().waiting.is_empty());
    }
}
