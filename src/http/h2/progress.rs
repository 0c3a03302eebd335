//! Watches whether the response to a request gets on.
//!
//! The HTTP/2 library takes a response's bytes whether or not the client has opened a window, and does not say when they
//! leave. So each piece of a body reports it itself, when the library advances or drops it. The body ends only when all its
//! pieces have left; until then the request's task lives, and dropping the task resets the stream.

use super::{backlog::Backlog, stalls::Stalls};
use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// The progress of one response. A clone shares it.
#[derive(Clone)]
pub(super) struct Progress(Arc<Shared>);

struct Shared {
    backlog: Mutex<Backlog>,
    /// Those of the connection.
    stalls: Arc<Stalls>,
}

impl Progress {
    /// A response of which nothing waits. Its bytes may wait for `patience`, and those of a stream for twice as long.
    pub(super) fn new(patience: Duration, stalls: Arc<Stalls>) -> Self {
        let backlog = Mutex::new(Backlog::new(patience, Instant::now()));
        Self(Arc::new(Shared { backlog, stalls }))
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.0.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the body of the response.
    pub(super) fn watch(self, body: Body) -> Watched {
        // Of the bodies of the gateway, those of streams alone have no length.
        if http_body::Body::size_hint(&body).exact().is_none() {
            self.backlog().be_patient();
        }
        Watched { body, progress: self, phase: Phase::Untouched }
    }

    fn piece(&self, bytes: Bytes) -> Piece {
        if bytes.has_remaining() {
            self.backlog().add(bytes.remaining(), Instant::now());
        }
        Piece { bytes, progress: self.clone() }
    }

    fn left(&self, bytes: usize) {
        if bytes > 0 && self.backlog().take(bytes, Instant::now()) {
            self.0.stalls.got_on();
        }
    }

    /// Returns once the response has stalled. Whoever polls this has to poll it again after it has polled the body, as two
    /// branches of one `select!` are.
    pub(super) async fn stalled(&self) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            loop {
                let Some(deadline) = self.backlog().deadline() else {
                    timer = None;
                    return Poll::Pending;
                };
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                ready!(timer.as_mut().poll(context));
                if timer.deadline() >= deadline {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(deadline);
            }
        })
        .await;
    }
}

/// Some bytes of a body, which report when they leave.
pub(super) struct Piece {
    bytes: Bytes,
    progress: Progress,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        self.progress.left(bytes);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // What is dropped unsent belongs to a response that was reset, which is no progress.
        if self.bytes.has_remaining() {
            self.progress.backlog().take(self.bytes.remaining(), Instant::now());
        }
    }
}

/// The body of a response, in pieces that report when they leave.
pub(super) struct Watched {
    body: Body,
    progress: Progress,
    phase: Phase,
}

enum Phase {
    /// Nobody has asked for the body yet.
    Untouched,
    /// The body goes on.
    Streaming,
    /// The body has ended in this way, but its last pieces may still wait.
    Ending(Option<axum::Error>),
}

impl http_body::Body for Watched {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let this = &mut *self;
        loop {
            if let Phase::Ending(error) = &mut this.phase {
                ready!(this.progress.backlog().poll_empty(context));
                return Poll::Ready(error.take().map(Err));
            }
            this.phase = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    this.phase = Phase::Streaming;
                    let progress = &this.progress;
                    return Poll::Ready(Some(Ok(frame.map_data(|bytes| progress.piece(bytes)))));
                }
                Some(Err(error)) => Phase::Ending(Some(error)),
                None => Phase::Ending(None),
            };
        }
    }

    /// Only a body that is empty from the start ends at once.
    fn is_end_stream(&self) -> bool {
        matches!(self.phase, Phase::Untouched) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use http_body_util::BodyExt;
    use tokio::time::advance;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn progress() -> Progress {
        Progress::new(PATIENCE, Arc::default())
    }

    async fn piece(body: &mut Watched) -> Piece {
        body.frame().await.unwrap().unwrap().into_data().unwrap_or_else(|_| panic!("data"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_ends_only_when_its_pieces_have_left() {
        let progress = progress();
        let mut body = progress.clone().watch(Body::from("12345"));
        let mut first = piece(&mut body).await;
        assert!(!http_body::Body::is_end_stream(&body));
        assert!(body.frame().now_or_never().is_none());
        first.advance(3);
        assert!(body.frame().now_or_never().is_none());
        drop(first);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_waits_stalls_after_the_patience_and_a_stream_after_twice_that() {
        let finite = Body::from("answer");
        let stream = Body::from_stream(futures_util::stream::iter([Ok::<_, axum::Error>("news")]));
        for (body, patience) in [(finite, PATIENCE), (stream, 2 * PATIENCE)] {
            let progress = progress();
            let mut body = progress.clone().watch(body);
            let mut stalled = Box::pin(progress.stalled());
            advance(10 * PATIENCE).await;
            assert!(stalled.as_mut().now_or_never().is_none(), "nothing waits");
            let _waiting = piece(&mut body).await;
            assert!(stalled.as_mut().now_or_never().is_none());
            advance(patience - Duration::from_secs(1)).await;
            assert!(stalled.as_mut().now_or_never().is_none());
            advance(Duration::from_secs(2)).await;
            assert!(stalled.as_mut().now_or_never().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_gets_on_does_not_stall() {
        let progress = progress();
        let mut body = progress.clone().watch(Body::from(vec![0; 100 << 10]));
        let mut waiting = piece(&mut body).await;
        let mut stalled = Box::pin(progress.stalled());
        for _ in 0..99 {
            assert!(stalled.as_mut().now_or_never().is_none());
            advance(PATIENCE - Duration::from_secs(1)).await;
            waiting.advance(1 << 10);
        }
        assert!(stalled.as_mut().now_or_never().is_none());
        advance(PATIENCE + Duration::from_secs(1)).await;
        assert!(stalled.as_mut().now_or_never().is_some());
    }
}
