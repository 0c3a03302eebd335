//! The listener's router as a service that hyper can call, for one connection.
//!
//! It adds the address of the client to every request. It does not know the version of HTTP or the routes.

use axum::{Router, body::Body, response::Response, routing::future::RouteFuture};
use hyper::{Request, body::Incoming, service::Service};
use std::{convert::Infallible, net::SocketAddr};
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
    type Future = RouteFuture<Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        // Called without `poll_ready`, because a router is always ready.
        self.router.clone().call(request)
    }
}
