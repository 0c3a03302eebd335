//! The listener's router as a service for hyper, for one connection.
//!
//! It tells every request who its client is, ends the connection's silence with the first of them, and knows whether a request
//! runs, so that an idle connection can make room for others. It refuses a request whose head says too much, and adds to every
//! response the header that forbids browsers to guess its content type. It does not know the version of HTTP or the routes.

use super::{
    admission::{Entrance, Silent},
    idle::{Quiet, Running},
    refusal::Refusal,
};
use crate::peer::Peer;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body as _, Frame, SizeHint};
use hyper::{Request, Version, body::Incoming, service::Service};
use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};
use tower::Service as _;

/// What is known about a request besides what it says itself. An extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The client.
    pub(super) peer: Peer,
    /// Whether the connection may be kept for long: if there are places for others. A request of HTTP/2 takes no place.
    pub(super) has_room: bool,
}

/// Routes the requests of one connection.
pub(super) struct Routed {
    router: Router,
    /// The client of the connection; a request may come from another one, behind a proxy.
    peer: Peer,
    entrance: Arc<Entrance>,
    /// Held until the first request. Boxed, so that it costs the rest of the connection's life next to nothing.
    silent: Cell<Option<Box<Silent>>>,
    quiet: Arc<Quiet>,
}

impl Routed {
    /// Serves the requests of `peer`, who came in by `entrance`, by `router`.
    pub(super) fn new(
        router: Router,
        peer: Peer,
        entrance: Arc<Entrance>,
        silent: Silent,
        quiet: Arc<Quiet>,
    ) -> Self {
        Self { router, peer, entrance, silent: Cell::new(Some(Box::new(silent))), quiet }
    }
}

impl Routed {
    /// The same client, answered by another router.
    pub(super) fn answered_by(self, router: Router) -> Self {
        Self { router, ..self }
    }
}

impl Service<Request<Incoming>> for Routed {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        drop(self.silent.take());
        if let Some(refusal) = Refusal::of(request.headers()) {
            return Box::pin(std::future::ready(Ok(refuse(refusal))));
        }
        let run = Arc::<Run>::default();
        let mut request = request.map(|body| {
            if body.is_end_stream() {
                run.begin(&self.quiet);
                return Body::empty();
            }
            // Until all of it is there, the client is as good as silent.
            self.quiet.touch();
            Body::new(Arriving { body, quiet: Arc::clone(&self.quiet), run: Arc::clone(&run) })
        });
        let peer = self.entrance.proxies().client(self.peer, request.headers());
        let has_room = request.version() >= Version::HTTP_2 || self.entrance.has_room();
        request.extensions_mut().insert(Arrival { peer, has_room });
        // Called without `poll_ready`, because a router is always ready.
        let answering = self.router.clone().call(request);
        Box::pin(async move {
            let answer = answering.await;
            if answer.as_ref().is_ok_and(is_stream) {
                run.becomes_stream();
            }
            run.end();
            answer.map(hardened)
        })
    }
}

/// The answer to a request that no route gets to see.
pub(super) fn refuse(problem: impl IntoResponse) -> Response {
    hardened(problem.into_response())
}

/// Adds what every response has.
fn hardened(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether the answer is a stream of events, and not only the head of one, which a HEAD asks for.
fn is_stream(answer: &Response) -> bool {
    const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
    answer.headers().get(header::CONTENT_TYPE) == Some(&EVENTS) && !answer.body().is_end_stream()
}

/// One request: it runs from the moment when it has arrived as a whole until there is an answer.
#[derive(Default)]
struct Run(Mutex<Option<Running>>);

impl Run {
    fn begin(&self, quiet: &Arc<Quiet>) {
        self.running().get_or_insert_with(|| quiet.run());
    }

    fn becomes_stream(&self) {
        if let Some(running) = self.running().take() {
            running.becomes_stream();
        }
    }

    fn end(&self) {
        drop(self.running().take());
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is arriving. When it is there, its request runs.
struct Arriving {
    body: Incoming,
    quiet: Arc<Quiet>,
    run: Arc<Run>,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.run.begin(&self.quiet);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
