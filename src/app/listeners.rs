//! The sockets that a role listens on: `public` for streams, `ingest` for webhooks, and `admin` for every role.

use super::passed::REDIRECT;
use crate::{
    config::{Listen, ListenerKind, Proxying, Role, Tls},
    descriptors::Descriptors,
    http::{self, Entrance, Places},
    limits::Limits,
    metrics::Metrics,
    systemd::PassedSockets,
    tls::TlsServer,
};
use axum::Router;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} ({}); another process may be using it, so change the address or stop that process",
    key_of(*listener)
)]
pub struct BindError {
    /// The listener that the socket is for; `None` for the one that only redirects to TLS.
    pub listener: Option<ListenerKind>,
    /// The address that was configured.
    pub address: SocketAddr,
    /// The error of the operating system.
    pub source: io::Error,
}

/// The key of the configuration that has the address.
fn key_of(listener: Option<ListenerKind>) -> String {
    listener.map_or_else(|| "tls.redirect".to_owned(), |listener| format!("listen.{listener}"))
}

/// The bound sockets.
pub(super) struct Listeners {
    /// `None` if the role serves no streams.
    public: Option<TcpListener>,
    /// `None` if the role takes no webhooks, or takes them on the public socket.
    ingest: Option<TcpListener>,
    admin: TcpListener,
    /// The socket that redirects to TLS, if there is to be one.
    redirect: Option<TcpListener>,
}

impl Listeners {
    /// Binds the sockets of the role that were not passed: all of them or, with an error, none.
    pub(super) fn bind(
        listen: &Listen,
        tls: &Tls,
        role: Role,
        limits: &Limits,
        mut passed: PassedSockets,
    ) -> Result<Self, BindError> {
        let mut bind = |listener: Option<ListenerKind>, address| {
            let socket = match passed.remove(listener.map_or(REDIRECT, ListenerKind::as_str)) {
                Some(socket) => http::adopt(socket, limits),
                None => http::bind(address, limits),
            };
            socket.map_err(|source| BindError { listener, address, source })
        };
        let redirect = tls.redirect.filter(|_| role.streams());
        let is_shared = role.streams() && listen.ingest == listen.public;
        let has_ingest = role.takes_webhooks() && !is_shared;
        Ok(Self {
            public: role.streams().then(|| bind(Some(ListenerKind::Public), listen.public)).transpose()?,
            ingest: has_ingest.then(|| bind(Some(ListenerKind::Ingest), listen.ingest)).transpose()?,
            admin: bind(Some(ListenerKind::Admin), listen.admin)?,
            redirect: redirect.map(|address| bind(None, address)).transpose()?,
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
        if let Some(listener) = self.redirect
            && let Some(tls) = doors.tls.of(ListenerKind::Public)
        {
            let router = http::to_tls(tls, doors.redirect_port);
            let entrance = doors.entrance("redirect", most(descriptors.public()), &places, false);
            served.push(Served { listener, router, entrance, tls: None });
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
    pub(super) tls: &'a TlsServers,
    /// For how long the public listener tells browsers to use TLS alone.
    pub(super) hsts: Option<Duration>,
    /// The port to which the socket without TLS redirects.
    pub(super) redirect_port: u16,
}

/// The TLS of the listeners that speak it.
#[derive(Debug)]
pub(super) struct TlsServers(Vec<(ListenerKind, Arc<TlsServer>)>);

impl TlsServers {
    /// The TLS of all listeners that the configuration names.
    pub(super) fn new(tls: &Tls) -> Result<Self, rustls::Error> {
        let kinds = [ListenerKind::Public, ListenerKind::Ingest, ListenerKind::Admin];
        let identities = kinds.into_iter().filter_map(|kind| Some((kind, tls.identity(kind)?)));
        let servers: Result<_, _> = identities
            .map(|(kind, identity)| TlsServer::new(identity).map(|server| (kind, Arc::new(server))))
            .collect();
        servers.map(Self)
    }

    fn of(&self, kind: ListenerKind) -> Option<Arc<TlsServer>> {
        self.0.iter().find(|(known, _)| *known == kind).map(|(_, server)| Arc::clone(server))
    }

    /// Replaces the certificates. Open connections keep the old ones.
    pub(super) fn replace(&self, tls: &Tls) -> Result<(), rustls::Error> {
        for (kind, server) in &self.0 {
            if let Some(identity) = tls.identity(*kind)
                && server.replace(identity)?
            {
                tracing::info!(listener = %kind, "new connections get the new certificates");
            }
        }
        Ok(())
    }
}

/// A socket and what it takes to serve it.
pub(super) struct Served {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) entrance: Arc<Entrance>,
    /// `None` if it speaks no TLS.
    pub(super) tls: Option<Arc<TlsServer>>,
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
        let is_proxied = self.proxying.protocol.contains(&kind);
        let entrance = self.entrance(kind.as_str(), most, places, is_proxied);
        let router = http::finish(router);
        let router = match self.hsts {
            Some(max_age) if kind == ListenerKind::Public => http::with_strict_transport(router, max_age),
            _ => router,
        };
        Served { listener, router, entrance, tls: self.tls.of(kind) }
    }

    /// The entrance of the socket that metrics call `name`.
    fn entrance(
        &self,
        name: &'static str,
        most: usize,
        places: &Arc<Places>,
        takes_proxy_protocol: bool,
    ) -> Arc<Entrance> {
        let Self { proxying, connections, metrics, .. } = self;
        Entrance::new(
            name,
            most.min(*connections),
            Arc::clone(places),
            Arc::clone(&proxying.proxies),
            takes_proxy_protocol,
            Arc::clone(metrics),
        )
    }
}
