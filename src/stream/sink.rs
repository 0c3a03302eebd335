//! The sink: an HTTP body that asks its session for more whenever the connection can take more.
//!
//! It is a true pull: hyper polls only while it has room to write, so no frame waits in memory for a reader that takes
//! none. Apart from this file the stream's room knows nothing of HTTP.

use super::session::{Session, Step};
use crate::hub::History;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// An unclean end must not overtake the last word: both HTTP versions drop what they have not yet written when a body
/// fails. Loopback and local networks take the bytes within a few milliseconds.
const LAST_WORD: Duration = Duration::from_millis(50);

/// The body ends without its last chunk (HTTP/2: by a reset), so that every client comes back.
#[derive(Debug, thiserror::Error)]
#[error("the stream ends here on purpose, and the client is to return")]
pub struct Cut;

/// The body of one SSE response.
pub struct Body {
    out: BytesMut,
    source: Source,
    timer: Pin<Box<Sleep>>,
}

enum Source {
    /// A stream, and the history that one of its lanes waits for.
    Session(Box<Session>, Option<Loading>),
    /// The last word was said, and waits for the connection to write it.
    Said,
    /// It had its turn to be written; the end follows when the timer is up.
    Cut,
    /// It is over, cleanly.
    Over,
}

struct Loading {
    lane: usize,
    history: BoxFuture<'static, Arc<History>>,
}

impl Body {
    /// The stream of a session, whose first words are in `out` already.
    pub(super) fn session(session: Session, out: BytesMut) -> Self {
        Self {
            out,
            source: Source::Session(Box::new(session), None),
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// A refusal that an `EventSource` survives: a few words, then an unclean end.
    pub(super) fn words(out: BytesMut) -> Self {
        Self { out, source: Source::Said, timer: Box::pin(sleep_until(Instant::now())) }
    }

    /// What comes next, if `out` is empty: something in `out`, or the end.
    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        match &mut self.source {
            Source::Over => return Poll::Ready(Ok(())),
            // A connection writes when it has to wait for us, so this waits in any case: on a machine so busy that this very
            // call is held up, the timer alone might be up before anything was written.
            Source::Said => {
                self.source = Source::Cut;
                self.timer.as_mut().reset(Instant::now() + LAST_WORD);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Source::Cut => {}
            Source::Session(session, loading) => {
                match poll_session(session, loading, &mut self.out, self.timer.as_mut(), context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(true)) => {
                        self.source = Source::Over;
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(Some(false)) => {
                        self.source = Source::Said;
                        return self.poll_source(context);
                    }
                }
            }
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(Cut))
    }
}

/// Drives a session until it has written something (`None`) or is at its end (`Some`: cleanly or not).
fn poll_session(
    session: &mut Session,
    loading: &mut Option<Loading>,
    out: &mut BytesMut,
    mut timer: Pin<&mut Sleep>,
    context: &mut Context<'_>,
) -> Poll<Option<bool>> {
    loop {
        if let Some(Loading { lane, history }) = loading
            && let Poll::Ready(history) = history.as_mut().poll(context)
        {
            session.tell(*lane, &history, out);
            *loading = None;
        }
        // Registers for the next ring before the session looks, so that none is missed.
        let rung = session.bell().poll_rung(context).is_ready();
        match session.step(Instant::now(), loading.is_some(), out) {
            Step::Wrote => return Poll::Ready(None),
            Step::End(why) => return Poll::Ready(Some(why.is_clean())),
            Step::Load(lane) => {
                *loading = session.history(lane).map(|history| Loading { lane, history: Box::pin(history) });
            }
            Step::Wait(_) if rung => {}
            Step::Wait(until) => {
                timer.as_mut().reset(until);
                ready!(timer.as_mut().poll(context));
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Cut>>> {
        if self.out.is_empty()
            && let Err(cut) = ready!(self.poll_source(context))
        {
            self.source = Source::Over;
            return Poll::Ready(Some(Err(cut)));
        }
        let out = self.out.split().freeze();
        // Keeps no buffer while the stream is idle.
        self.out = BytesMut::new();
        Poll::Ready(if out.is_empty() { None } else { Some(Ok(http_body::Frame::data(out))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use std::task::Waker;

    #[tokio::test(start_paused = true)]
    async fn the_last_word_gets_its_turn_to_be_written_before_the_end() {
        let mut body = Body::words(BytesMut::from("the last word"));
        let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
        assert!(poll().is_pending(), "the connection writes what it has");
        assert!(poll().is_pending(), "the bytes are on their way");
        tokio::time::advance(LAST_WORD * 2).await;
        assert!(matches!(poll(), Poll::Ready(Some(Err(Cut)))));
        assert!(matches!(poll(), Poll::Ready(None)));
    }
}
