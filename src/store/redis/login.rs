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
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

/// What the servers are told, and what they have to show. Clones share users and passwords, which may be renewed.
#[derive(Clone)]
pub struct Login {
    credentials: Arc<RwLock<Credentials>>,
    /// Whether it is for sentinels.
    is_for_sentinels: bool,
    is_encrypted: bool,
    /// The certificates that sign those of the servers, in PEM.
    ca: Option<Vec<u8>>,
    /// The name that the certificates bear, if it is not the host.
    tls_name: Option<Arc<str>>,
}

/// What is told to the servers, and to sentinels.
struct Credentials {
    servers: RedisConnectionInfo,
    sentinels: RedisConnectionInfo,
}

impl Credentials {
    /// What a connection tells: the user and the password.
    fn told(info: &RedisConnectionInfo) -> (Option<&str>, Option<&str>) {
        (info.username(), info.password())
    }

    fn of(settings: &Settings) -> Result<Self, &'static str> {
        let servers = settings.read()?.login;
        let mut sentinels = RedisConnectionInfo::default().set_protocol(servers.protocol());
        if let Some(password) = &settings.sentinel_password {
            sentinels = sentinels.set_password(password.expose_secret());
        }
        Ok(Self { servers, sentinels })
    }
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
        let credentials = Credentials::of(settings).map_err(ServerError::Url)?;
        let login = Self {
            credentials: Arc::new(RwLock::new(credentials)),
            is_for_sentinels: false,
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
    pub(super) fn of_sentinels(&self) -> Self {
        Self { is_for_sentinels: true, ..self.clone() }
    }

    /// Has connections that are opened from now on tell the user and the passwords of these settings. Returns whether they are others.
    pub fn renew(&self, settings: &Settings) -> bool {
        let Ok(asked) = Credentials::of(settings) else { return false };
        let mut held = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
        let is_same = Credentials::told(&held.servers) == Credentials::told(&asked.servers)
            && Credentials::told(&held.sentinels) == Credentials::told(&asked.sentinels);
        if !is_same {
            let database = held.servers.db();
            *held = Credentials { servers: asked.servers.set_db(database), ..asked };
        }
        !is_same
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
        let told = {
            let held = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
            if self.is_for_sentinels { held.sentinels.clone() } else { held.servers.clone() }
        };
        let info = info.set_redis_settings(told);
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
