//! The sockets of a role: public for streams, ingest for webhooks, admin always.

use crate::{
    config::{Listen, Role},
    http,
    limits::Limits,
};
use axum::Router;
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} (listen.{name}): another process may hold it; change [listen] or stop that process"
)]
pub struct BindError {
    /// Its key under `[listen]`.
    pub name: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// What the operating system said.
    pub source: io::Error,
}

/// The bound sockets.
pub(super) struct Listeners {
    /// Where the role streams.
    public: Option<TcpListener>,
    /// Where the role takes webhooks, unless on the public one.
    ingest: Option<TcpListener>,
    admin: TcpListener,
}

impl Listeners {
    /// Binds all that the role has, or none.
    pub(super) fn bind(listen: &Listen, role: Role, limits: &Limits) -> Result<Self, BindError> {
        let bind =
            |name, address| http::bind(address, limits).map_err(|source| BindError { name, address, source });
        let is_shared = role.streams() && listen.ingest == listen.public;
        let has_ingest = role.takes_webhooks() && !is_shared;
        Ok(Self {
            public: role.streams().then(|| bind("public", listen.public)).transpose()?,
            ingest: has_ingest.then(|| bind("ingest", listen.ingest)).transpose()?,
            admin: bind("admin", listen.admin)?,
        })
    }

    /// `listen` with the real addresses of what is bound.
    pub(super) fn addresses(&self, listen: Listen) -> std::io::Result<Listen> {
        let real = |listener: &Option<TcpListener>, configured| {
            listener.as_ref().map_or(Ok(configured), TcpListener::local_addr)
        };
        let public = real(&self.public, listen.public)?;
        let shared_or_configured = if listen.ingest == listen.public { public } else { listen.ingest };
        let ingest = real(&self.ingest, shared_or_configured)?;
        Ok(Listen { public, ingest, admin: self.admin.local_addr()? })
    }

    /// Each socket with what it serves; what the role does not have is `None`.
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
