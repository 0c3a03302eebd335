//! How a connection to any of the servers is opened: user, password, certificates, and the name that the certificate has to bear.

use super::{
    error::Unfit,
    node::Node,
    settings::{ServerError, Settings},
};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisFuture, TlsCertificates, io::AsyncDNSResolver,
};
use secrecy::ExposeSecret as _;
use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

/// What the servers are told, and what they have to show.
#[derive(Clone)]
pub(super) struct Login {
    login: RedisConnectionInfo,
    is_encrypted: bool,
    /// The certificates that sign those of the servers, in PEM.
    ca: Option<Vec<u8>>,
    /// The name that the certificates bear, if it is not the host.
    tls_name: Option<Arc<str>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// Reads the certificates, and checks that a connection can be configured.
    pub(super) fn new(settings: &Settings) -> Result<Self, ServerError> {
        let address = settings.read().map_err(ServerError::Url)?;
        let read =
            |path: &PathBuf| fs::read(path).map_err(|source| ServerError::Ca { path: path.clone(), source });
        let login = Self {
            login: address.login,
            is_encrypted: address.is_encrypted,
            ca: settings.ca.as_ref().map(read).transpose()?,
            tls_name: settings.tls_name.as_deref().map(Arc::from),
        };
        for seed in &address.seeds {
            login.open(seed).map_err(|()| match login.is_encrypted {
                true => ServerError::NoCa,
                false => ServerError::Url("is no address of a Redis server"),
            })?;
        }
        Ok(login)
    }

    /// The login of the sentinels: the same certificates, and the sentinels' own password.
    pub(super) fn of_sentinels(&self, settings: &Settings) -> Self {
        let mut login = RedisConnectionInfo::default().set_protocol(self.login.protocol());
        if let Some(password) = &settings.sentinel_password {
            login = login.set_password(password.expose_secret());
        }
        Self { login, ..self.clone() }
    }

    /// Returns a client for one server.
    pub(super) fn client(&self, node: &Node) -> Result<Client, Unfit> {
        self.open(node)
            .map_err(|()| Unfit::NotYet("the address or the certificates cannot be used".to_owned()))
    }

    fn open(&self, node: &Node) -> Result<Client, ()> {
        let host = self.tls_name.as_ref().filter(|_| self.is_encrypted).unwrap_or(&node.host).to_string();
        let address = match self.is_encrypted {
            true => ConnectionAddr::TcpTls { host, port: node.port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, node.port),
        };
        let info: ConnectionInfo = address.into_connection_info().map_err(drop)?;
        let info = info.set_redis_settings(self.login.clone());
        if self.is_encrypted {
            let certificates = TlsCertificates { client_tls: None, root_cert: self.ca.clone() };
            Client::build_with_tls(info, certificates).map_err(drop)
        } else {
            Client::open(info).map_err(drop)
        }
    }

    /// Has a connection go to the server although its certificate bears another name.
    pub(super) fn route(&self, node: &Node, config: AsyncConnectionConfig) -> AsyncConnectionConfig {
        match &self.tls_name {
            Some(_) if self.is_encrypted => config.set_dns_resolver(Resolver(Arc::clone(&node.host))),
            _ => config,
        }
    }
}

/// Looks up another host than the one that is asked for.
struct Resolver(Arc<str>);

impl AsyncDNSResolver for Resolver {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((&*self.0, port)).await?.collect();
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}
