//! The listener's router as a service for hyper, for one connection.
//!
//! It tells every request who its client is, and ends the connection's silence with the first of them. It does not know the
//! version of HTTP or the routes.

use super::admission::{Entrance, Silent};
use crate::peer::Peer;
use axum::{Router, body::Body, response::Response, routing::future::RouteFuture};
use hyper::{Request, Version, body::Incoming, service::Service};
use std::{cell::Cell, convert::Infallible, sync::Arc};
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
}

impl Routed {
    /// Serves the requests of `peer`, who came in by `entrance`, by `router`.
    pub(super) fn new(router: Router, peer: Peer, entrance: Arc<Entrance>, silent: Silent) -> Self {
        Self { router, peer, entrance, silent: Cell::new(Some(Box::new(silent))) }
    }
}

impl Service<Request<Incoming>> for Routed {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        drop(self.silent.take());
        let mut request = request.map(Body::new);
        let peer = self.entrance.proxies().client(self.peer, request.headers());
        let has_room = request.version() >= Version::HTTP_2 || self.entrance.has_room();
        request.extensions_mut().insert(Arrival { peer, has_room });
        // Called without `poll_ready`, because a router is always ready.
        self.router.clone().call(request)
    }
}
