//! TLS of the listeners: `[tls]`. The certificates are built here, because that checks them.

use super::{
    document::Section,
    duration::DAY,
    listen::{ADDRESS, Listen, ListenerKind, address},
};
use crate::tls::{Certificate, ClientAuthorities, Identity};
use jiff::Timestamp;
use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The form of `listeners`, for messages.
const LISTENERS: &str = "a list of \"public\", \"ingest\" and \"admin\"";

const CHAIN: &str =
    "the path of a file in PEM with the certificate and its issuers, e.g. /etc/paystream/tls/fullchain.pem";

/// How long before a certificate expires it is warned of: authorities renew theirs a month before, and short-lived ones by the day.
const WARNED_BEFORE: Duration = Duration::from_secs(14 * DAY.as_secs());

/// The TLS of the listeners. The default has none.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The listeners that speak TLS. If public and ingest share a socket, both are here or none.
    pub listeners: Vec<ListenerKind>,
    /// The certificates; the first one is the default. There is at least one if a listener speaks TLS.
    pub certificates: Vec<Arc<Certificate>>,
    /// The authorities of the clients of the ingest listener, if these need certificates.
    pub ingest_clients: Option<ClientAuthorities>,
    /// The same of the admin listener.
    pub admin_clients: Option<ClientAuthorities>,
    /// For how long browsers are told to use TLS alone.
    pub hsts: Option<Duration>,
    /// The address of the listener without TLS that redirects to the public one.
    pub redirect: Option<SocketAddr>,
    /// The port to which it redirects, if that is not the port of the public listener.
    pub redirect_port: Option<u16>,
}

impl Tls {
    /// Whether a listener speaks TLS.
    #[must_use]
    pub fn is_on(&self, listener: ListenerKind) -> bool {
        self.listeners.contains(&listener)
    }

    /// What a listener presents and asks for. `None` if it speaks no TLS.
    #[must_use]
    pub fn identity(&self, listener: ListenerKind) -> Option<Identity> {
        let clients = match listener {
            ListenerKind::Public => None,
            ListenerKind::Ingest => self.ingest_clients.clone(),
            ListenerKind::Admin => self.admin_clients.clone(),
        };
        let certificates = self.certificates.clone();
        (self.is_on(listener) && !certificates.is_empty()).then_some(Identity { certificates, clients })
    }

    /// What an operator should know of the certificates, in one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let warning = |certificate: &Arc<Certificate>| {
            let (name, until) = (certificate.name(), certificate.not_after().as_secs());
            let day = |seconds| {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                Timestamp::from_second(seconds)
                    .map_or_else(|_| "the end of time".to_owned(), |at| at.to_string())
            };
            if until < now.as_secs() {
                Some(format!(
                    "[[tls.certificate]] {name}: it expired on {}, and clients refuse it; renew it",
                    day(until)
                ))
            } else if certificate.not_before().as_secs() > now.as_secs() {
                let from = day(certificate.not_before().as_secs());
                Some(format!(
                    "[[tls.certificate]] {name}: it is valid from {from} on, and until then clients refuse it; use the one before, or correct the clock"
                ))
            } else if until < (now + WARNED_BEFORE).as_secs() {
                Some(format!("[[tls.certificate]] {name}: it expires on {}; renew it", day(until)))
            } else if certificate.is_out_of_order() {
                Some(format!(
                    "[[tls.certificate]] {name}: a certificate of the chain is not signed by the one that follows it, and some clients refuse that; \
                     give the file that the authority calls fullchain"
                ))
            } else {
                None
            }
        };
        self.certificates.iter().filter_map(warning).collect()
    }

    /// Reads `[tls]`. The certificates are not built if secrets are not resolved.
    pub(super) fn read(mut section: Section<'_>, listen: &Listen) -> Self {
        let resolves = section.resolves_secrets();
        let listeners = listeners(&mut section, listen);
        let certificates = section
            .sections("certificate")
            .into_iter()
            .filter_map(|table| certificate(table.resolving_secrets(resolves)).map(Arc::new));
        let certificates = certificates.collect();
        let ingest_clients = clients(&mut section, "ingest_client_ca");
        let admin_clients = clients(&mut section, "admin_client_ca");
        let hsts = section.duration("hsts", &(Duration::from_secs(60)..=730 * DAY));
        let redirect = section.parsed("redirect", ADDRESS, address);
        let redirect_port = section.number("redirect_port", &(1..=u64::from(u16::MAX)));
        let redirect_port = redirect_port.and_then(|port| u16::try_from(port).ok());
        let tls =
            Self { listeners, certificates, ingest_clients, admin_clients, hsts, redirect, redirect_port };
        tls.check(&section, listen);
        section.end();
        tls
    }

    /// Reports keys that have no effect, or one that is not meant.
    fn check(&self, section: &Section<'_>, listen: &Listen) {
        let wrong = |key: &str, message: &str| section.wrong(&section.place(key), key, message);
        if self.listeners.is_empty() && section.has("certificate") && !section.has("listeners") {
            wrong(
                "certificate",
                "no listener uses the certificate; name some in listeners = [\"public\", \"ingest\"]",
            );
        }
        if !self.listeners.is_empty() && !section.has("certificate") {
            wrong("listeners", "there is no certificate; add [[tls.certificate]] with chain and key");
        }
        if section.has("ingest_client_ca") && listen.ingest == listen.public {
            let message = "the listeners public and ingest share a socket, so browsers would need certificates too; give ingest an address \
                           of its own under [listen]";
            wrong("ingest_client_ca", message);
        }
        let of = [
            ("ingest_client_ca", ListenerKind::Ingest),
            ("admin_client_ca", ListenerKind::Admin),
            ("hsts", ListenerKind::Public),
            ("redirect", ListenerKind::Public),
        ];
        for (key, listener) in of {
            if section.is_given(key) && !self.is_on(listener) {
                wrong(
                    key,
                    &format!(
                        "this key needs TLS on the listener {listener}; add \"{listener}\" to listeners"
                    ),
                );
            }
        }
        if section.is_given("redirect_port") && self.redirect.is_none() {
            wrong(
                "redirect_port",
                "this key is for the listener that redirects; set redirect as well, or remove the key",
            );
        }
        if let Some(address) = self.redirect.filter(|address| address.port() != 0)
            && [listen.public, listen.ingest, listen.admin].contains(&address)
        {
            wrong(
                "redirect",
                "another listener has the same address; give this one an address of its own, e.g. 0.0.0.0:80",
            );
        }
    }
}

/// Shows what applies only after a restart.
impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners: Vec<_> = self.listeners.iter().map(|kind| kind.as_str()).collect();
        write!(f, "[{}]", listeners.join(", "))?;
        if let Some(hsts) = self.hsts {
            write!(f, ", hsts {}s", hsts.as_secs())?;
        }
        if let Some(redirect) = self.redirect {
            write!(f, ", redirect {redirect}")?;
        }
        self.redirect_port.map_or(Ok(()), |port| write!(f, " to port {port}"))
    }
}

fn listeners(section: &mut Section<'_>, listen: &Listen) -> Vec<ListenerKind> {
    let mut listeners = Vec::new();
    for (place, text) in section.texts("listeners", LISTENERS).unwrap_or_default() {
        let kinds = [ListenerKind::Public, ListenerKind::Ingest, ListenerKind::Admin];
        match kinds.into_iter().find(|kind| kind.as_str() == text) {
            Some(kind) => listeners.push(kind),
            None => {
                let message = format!("{text:?} is not a listener; allowed: {LISTENERS}");
                section.wrong(&place, "listeners", &message);
            }
        }
    }
    let both = [ListenerKind::Public, ListenerKind::Ingest];
    if listen.public == listen.ingest && both.iter().any(|kind| listeners.contains(kind)) {
        listeners.extend(both);
    }
    listeners
}

/// Reads one certificate. `None` after a mistake, or if secrets are not resolved.
fn certificate(mut section: Section<'_>) -> Option<Certificate> {
    let chain = section.file("chain", CHAIN);
    let key = section.secret("key");
    for key in ["chain", "key"] {
        if !section.has(key) {
            section.wrong(&section.place(key), key, "this key is missing");
        }
    }
    let built = chain.zip(key).and_then(|(chain, key)| {
        let report = |error: &crate::tls::CertificateError| {
            section.wrong(&section.place("chain"), "chain and key", &error.to_string());
        };
        Certificate::parse(&chain, &key).inspect_err(report).ok()
    });
    section.end();
    built
}

fn clients(section: &mut Section<'_>, key: &'static str) -> Option<ClientAuthorities> {
    let pem = section.file(key, "the path of a file in PEM with the certificates of authorities")?;
    let report = |error: &crate::tls::ClientAuthoritiesError| {
        section.wrong(&section.place(key), key, &error.to_string());
    };
    ClientAuthorities::parse(&pem).inspect_err(report).ok()
}
