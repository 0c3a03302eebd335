//! The sink for hyper: an HTTP body that drives its stream whenever the connection can take more. It serves HTTP/2, and every
//! response whose socket does not leave HTTP.
//!
//! hyper polls the body only while it has room to write, so no frame waits in memory for a reader that takes none. Apart from
//! this file the stream room knows nothing of HTTP.

use super::{
    begun::{Begun, Detachable},
    drive::Next,
    inspect::StreamId,
    realm::RealmStream,
    reason::Ending,
    residents::Resident,
};
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

/// How long the last bytes get to be written before the body fails, since both HTTP versions drop what they have not yet
/// written when a body fails. Loopback and local networks take the bytes within a few milliseconds.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// The body ends without its last chunk (HTTP/2: by a reset), so that every client comes back.
#[derive(Debug, thiserror::Error)]
#[error("the stream ends here on purpose, and the client is to return")]
pub struct Cut;

/// The body of one SSE response.
pub struct Body {
    /// Bytes that hyper has not taken yet.
    out: BytesMut,
    phase: BodyPhase,
    timer: Pin<Box<Sleep>>,
}

enum BodyPhase {
    /// The stream has begun, and may still leave.
    Begun(Detachable),
    /// The stream goes on.
    Streaming(Box<Streaming>),
    /// A stream of all payments goes on.
    Realm(Box<RealmStream>),
    /// The last bytes were handed to hyper, which has not had a turn to write them.
    LastBytes,
    /// hyper had its turn; the body fails when the timer is up.
    Cutting,
    /// The body has ended.
    Over,
}

/// An open stream.
struct Streaming {
    begun: Box<Begun>,
    resident: Arc<Resident>,
    /// The history that the drive waits for.
    reading: Option<BoxFuture<'static, Arc<History>>>,
}

impl Body {
    /// The body of an open stream.
    pub(super) fn stream(begun: Detachable) -> Self {
        Self::new(BytesMut::new(), BodyPhase::Begun(begun))
    }

    /// The body of a stream of all payments, which begins with these bytes.
    pub(super) fn realm(stream: RealmStream, out: BytesMut) -> Self {
        Self::new(out, BodyPhase::Realm(Box::new(stream)))
    }

    /// The handle by which the stream can leave the body, if it has not left or ended.
    #[must_use]
    pub fn detachable(&self) -> Option<Detachable> {
        match &self.phase {
            BodyPhase::Begun(begun) => Some(begun.clone()),
            _ => None,
        }
    }

    /// A refusal that an `EventSource` survives: these bytes, then an unclean end.
    pub(super) fn refusal(out: BytesMut) -> Self {
        Self::new(out, BodyPhase::LastBytes)
    }

    fn new(out: BytesMut, phase: BodyPhase) -> Self {
        Self { out, phase, timer: Box::pin(sleep_until(Instant::now())) }
    }

    /// Waits until there is something in `out`, or the end. Called while `out` is empty.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        if let BodyPhase::Begun(begun) = &self.phase {
            let Some(mut begun) = begun.take() else {
                self.phase = BodyPhase::Over;
                return Poll::Ready(Ok(()));
            };
            self.out = std::mem::take(&mut begun.out);
            let info = begun.drive.info(StreamId::Http(0), &begun.node.moment());
            let resident = begun.node.residents.add(info, Arc::clone(&begun.bell));
            self.phase = BodyPhase::Streaming(Box::new(Streaming { begun, resident, reading: None }));
            return Poll::Ready(Ok(()));
        }
        let ending = match &mut self.phase {
            BodyPhase::Streaming(streaming) => {
                ready!(streaming.poll(&mut self.out, self.timer.as_mut(), context))
            }
            BodyPhase::Realm(stream) => ready!(stream.poll(&mut self.out, self.timer.as_mut(), context)),
            _ => return self.poll_last_bytes(context),
        };
        match ending {
            None => return Poll::Ready(Ok(())),
            Some(Ending::Clean) => self.phase = BodyPhase::Over,
            Some(Ending::Cut) => self.phase = BodyPhase::LastBytes,
        }
        self.poll_last_bytes(context)
    }

    /// Waits until the last bytes have had their turn, and then fails.
    fn poll_last_bytes(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        match self.phase {
            BodyPhase::Begun(_) | BodyPhase::Streaming(_) | BodyPhase::Realm(_) | BodyPhase::Over => {
                return Poll::Ready(Ok(()));
            }
            // hyper writes when it has to wait for the body, so this waits in any case: on a machine so busy that this very
            // call is late, the timer alone might be up before anything was written.
            BodyPhase::LastBytes => {
                self.phase = BodyPhase::Cutting;
                self.timer.as_mut().reset(Instant::now() + LAST_BYTES);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            BodyPhase::Cutting => {}
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(Cut))
    }
}

impl Streaming {
    /// Drives the stream until it has written something (`None`) or ends.
    fn poll(
        &mut self,
        out: &mut BytesMut,
        mut timer: Pin<&mut Sleep>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Ending>> {
        let Begun { node, drive, bell, .. } = &mut *self.begun;
        loop {
            let at = node.moment();
            if let Some(reading) = &mut self.reading
                && let Poll::Ready(history) = reading.as_mut().poll(context)
            {
                self.reading = None;
                drive.catch_up(&history, &at, out);
            }
            // Registers for the next ring before the drive looks for news, so that no ring is missed.
            let rung = bell.poll_rung(context).is_ready();
            self.resident.note_lag(drive.lag());
            if self.resident.dismissed().is_some_and(|why| drive.dismiss(why, &at, out)) {
                return Poll::Ready(None);
            }
            match drive.step(&at, out) {
                Next::Write => return Poll::Ready(None),
                Next::End(ending) => return Poll::Ready(Some(ending)),
                Next::Read => {
                    let behind = drive.behind();
                    self.reading = behind.map(|(_, topic)| Box::pin(node.hub.history_in_time(topic)) as _);
                }
                Next::Wait(_) if rung => {}
                Next::Wait(until) => {
                    timer.as_mut().reset(Instant::from_std(until));
                    ready!(timer.as_mut().poll(context));
                }
            }
        }
    }
}

impl RealmStream {
    /// Drives the stream until it has written something (`None`) or ends.
    fn poll(
        &mut self,
        out: &mut BytesMut,
        mut timer: Pin<&mut Sleep>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Ending>> {
        loop {
            // Registers for the next ring before the drive looks for news, so that no ring is missed.
            let rung = self.bell.poll_rung(context).is_ready();
            let at = self.node.moment();
            if self.resident.dismissed().is_some_and(|why| self.drive.dismiss(why, &at, out)) {
                return Poll::Ready(None);
            }
            match self.drive.step(&at, out) {
                Next::Write => return Poll::Ready(None),
                Next::End(ending) => return Poll::Ready(Some(ending)),
                // It has no lanes that could be behind.
                Next::Read => {}
                Next::Wait(_) if rung => {}
                Next::Wait(until) => {
                    timer.as_mut().reset(Instant::from_std(until));
                    ready!(timer.as_mut().poll(context));
                }
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
            && let Err(cut) = ready!(self.poll_more(context))
        {
            self.phase = BodyPhase::Over;
            return Poll::Ready(Some(Err(cut)));
        }
        let out = self.out.split().freeze();
        // An idle stream keeps no buffer.
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
    async fn the_last_bytes_get_their_turn_to_be_written_before_the_end() {
        let mut body = Body::refusal(BytesMut::from("the last bytes"));
        let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
        assert!(poll().is_pending(), "the connection writes what it has");
        assert!(poll().is_pending(), "the bytes are on their way");
        tokio::time::advance(LAST_BYTES * 2).await;
        assert!(matches!(poll(), Poll::Ready(Some(Err(Cut)))));
        assert!(matches!(poll(), Poll::Ready(None)));
    }
}
