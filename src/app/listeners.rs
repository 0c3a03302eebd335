//! The sockets that a role listens on: `public` for streams, `ingest` for webhooks, and `admin` for every role.

use crate::{
    config::{Listen, ListenerKind, Proxying, Role},
    descriptors::Descriptors,
    http::{self, Entrance, Places},
    limits::Limits,
    metrics::Metrics,
};
use axum::Router;
use std::{io, net::SocketAddr, sync::Arc};
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

    /// Each socket with its entrance and the routes that it serves. `public` and `webhooks` are `None` if the role does not have
    /// them.
    pub(super) fn with_routes(
        self,
        public: Option<Router>,
        webhooks: Option<Router>,
        admin: Router,
        doors: &Doors<'_>,
    ) -> Vec<Served> {
        let Doors { descriptors, .. } = *doors;
        let is_shared = public.is_some() && webhooks.is_some() && self.ingest.is_none();
        let (mut public, mut webhooks) = (public.unwrap_or_default(), webhooks.unwrap_or_default());
        let own = Places::new(descriptors.admin, 0);
        let admin = doors.served(ListenerKind::Admin, self.admin, admin, descriptors.admin, &own);
        let mut served = vec![admin];
        let has_both = self.public.is_some() && self.ingest.is_some();
        // Where webhooks have a socket of their own, the two sockets keep places to each other; where they share one, streams do.
        let places = Places::new(descriptors.clients, if is_shared { descriptors.webhooks } else { 0 });
        let most = |kept: usize| if has_both { kept } else { descriptors.clients };
        match self.ingest {
            Some(listener) => {
                let (router, most) = (std::mem::take(&mut webhooks), most(descriptors.ingest()));
                served.push(doors.served(ListenerKind::Ingest, listener, router, most, &places));
            }
            None => public = public.merge(webhooks),
        }
        if let Some(listener) = self.public {
            let most = most(descriptors.public());
            served.push(doors.served(ListenerKind::Public, listener, public, most, &places));
        }
        served
    }
}

/// By what connections are let in.
pub(super) struct Doors<'a> {
    pub(super) descriptors: Descriptors,
    pub(super) proxying: &'a Proxying,
    /// `limits.connections`.
    pub(super) connections: usize,
    pub(super) metrics: &'a Arc<Metrics>,
}

/// A socket and what it takes to serve it.
pub(super) struct Served {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) entrance: Arc<Entrance>,
}

impl Doors<'_> {
    /// The socket of `kind`, which has at most `most` connections, each on one of `places`.
    fn served(
        &self,
        kind: ListenerKind,
        listener: TcpListener,
        router: Router,
        most: usize,
        places: &Arc<Places>,
    ) -> Served {
        let Self { proxying, connections, metrics, .. } = self;
        let entrance = Entrance::new(
            kind.as_str(),
            most.min(*connections),
            Arc::clone(places),
            Arc::clone(&proxying.proxies),
            proxying.protocol.contains(&kind),
            Arc::clone(metrics),
        );
        Served { listener, router, entrance }
    }
}
