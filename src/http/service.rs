//! The listener's router as a service that hyper can call, for one connection.
//!
//! It adds the address of the client to every request, and to every response the header that forbids browsers to guess its
//! content type. It does not know the version of HTTP or the routes.

use super::refusal::Refusal;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::future::RouteFuture,
};
use hyper::{Request, body::Incoming, service::Service};
use pin_project_lite::pin_project;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use tower::Service as _;

/// The address of the client, as an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Routes the requests of one connection.
pub(super) struct Routed {
    router: Router,
    peer: Peer,
}

impl Routed {
    /// Serves the requests of `peer` by `router`.
    pub(super) const fn new(router: Router, peer: Peer) -> Self {
        Self { router, peer }
    }
}

impl Service<Request<Incoming>> for Routed {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if let Some(refusal) = Refusal::of(request.headers()) {
            return Answer::Refused { response: Some(refuse(refusal)) };
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        // Called without `poll_ready`, because a router is always ready.
        Answer::Routed { route: self.router.clone().call(request) }
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

pin_project! {
    /// The response to a request. No larger than the future of the router, since hyper keeps its room for as long as a
    /// connection is open.
    #[project = AnswerProjection]
    pub(super) enum Answer {
        /// A route answers.
        Routed { #[pin] route: RouteFuture<Infallible> },
        /// The request was refused.
        Refused { response: Option<Response> },
    }
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerProjection::Routed { route } => route.poll(context).map_ok(hardened),
            AnswerProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_keeps_no_room_for_a_refusal() {
        assert_eq!(size_of::<Answer>(), size_of::<RouteFuture<Infallible>>());
    }
}
