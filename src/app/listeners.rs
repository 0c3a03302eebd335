//! The sockets that a role listens on: `public` for streams, `ingest` for webhooks, and `admin` for every role.

use crate::{
    config::{Listen, ListenerKind, Role},
    http,
    limits::Limits,
};
use axum::Router;
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} (listen.{listener}); another process may be using it, so change the address under [listen] or stop that process"
)]
pub struct BindError {
    /// The listener that the socket is for.
    pub listener: ListenerKind,
    /// The address that was configured.
    pub address: SocketAddr,
    /// The error of the operating system.
    pub source: io::Error,
}

/// The bound sockets.
pub(super) struct Listeners {
    /// `None` if the role serves no streams.
    public: Option<TcpListener>,
    /// `None` if the role takes no webhooks, or takes them on the public socket.
    ingest: Option<TcpListener>,
    admin: TcpListener,
}

impl Listeners {
    /// Binds the sockets of the role: all of them or, with an error, none.
    pub(super) fn bind(listen: &Listen, role: Role, limits: &Limits) -> Result<Self, BindError> {
        let bind = |listener, address| {
            http::bind(address, limits).map_err(|source| BindError { listener, address, source })
        };
        let is_shared = role.streams() && listen.ingest == listen.public;
        let has_ingest = role.takes_webhooks() && !is_shared;
        Ok(Self {
            public: role.streams().then(|| bind(ListenerKind::Public, listen.public)).transpose()?,
            ingest: has_ingest.then(|| bind(ListenerKind::Ingest, listen.ingest)).transpose()?,
            admin: bind(ListenerKind::Admin, listen.admin)?,
        })
    }

    /// `listen` with the real addresses of the bound sockets, which differ where port 0 was configured.
    pub(super) fn addresses(&self, listen: Listen) -> std::io::Result<Listen> {
        let real = |listener: &Option<TcpListener>, configured| {
            listener.as_ref().map_or(Ok(configured), TcpListener::local_addr)
        };
        let public = real(&self.public, listen.public)?;
        let shared_or_configured = if listen.ingest == listen.public { public } else { listen.ingest };
        let ingest = real(&self.ingest, shared_or_configured)?;
        Ok(Listen { public, ingest, admin: self.admin.local_addr()? })
    }

    /// Each socket with the routes that it serves. `public` and `webhooks` are `None` if the role does not have them.
    pub(super) fn with_routes(
        self,
        public: Option<Router>,
        webhooks: Option<Router>,
        admin: Router,
    ) -> Vec<(TcpListener, Router)> {
        let mut served = vec![(self.admin, admin)];
        let (mut public, mut webhooks) = (public.unwrap_or_default(), webhooks.unwrap_or_default());
        match self.ingest {
            Some(listener) => served.push((listener, std::mem::take(&mut webhooks))),
            None => public = public.merge(webhooks),
        }
        served.extend(self.public.map(|listener| (listener, public)));
        served
    }
}
