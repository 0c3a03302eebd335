//! From what was typed to what is valid: each section, key by key. Defaults stand where the types do.

mod access;
mod api;
pub(super) mod source;
mod store;

use super::{
    Config, Listen, Signer,
    document::{Document, Section},
};
use crate::{access::Access, ingest::Source, limits::Limits, secret, stream, telemetry};
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

pub(super) const SECTIONS: [&str; 8] =
    ["listen", "store", "source", "access", "stream", "admin", "limits", "log"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Short enough to type, long enough not to be guessed over a network.
const MIN_ADMIN_TOKEN_BYTES: usize = 16;

const ADDRESS: &str = "IP:port or host:port, e.g. 127.0.0.1:8080";
const REALM: &str = "1 to 128 printable ASCII characters without a space, e.g. \"default\"";

/// Whose secrets are followed: a command needs no more of them than it uses. Everything else is read and checked all the same.
pub(super) enum Wanted<'a> {
    /// All of them.
    All,
    /// Those of the key that signs a token.
    Signer(Signer<'a>),
    /// Those of the source of this name.
    Source(&'a str),
    /// The operators' token.
    AdminToken,
}

/// What was read and built. Keys, sources and the token are left out where their secrets are not wanted.
pub(super) struct Parts {
    pub(super) listen: Listen,
    pub(super) store: Option<crate::store::Settings>,
    pub(super) sources: Vec<Source>,
    /// The names of all sources.
    pub(super) source_names: Vec<String>,
    pub(super) access: Option<Access>,
    /// The names of all keys.
    pub(super) kids: Vec<String>,
    pub(super) stream: stream::Settings,
    pub(super) admin_token: Option<SecretString>,
    pub(super) limits: Limits,
    pub(super) log: telemetry::Format,
}

/// Reads and checks all sections.
pub(super) fn parts(document: &Document<'_>, wanted: &Wanted<'_>) -> Parts {
    let is_all = matches!(wanted, Wanted::All);
    let listen = listen(document.section("listen"));
    let store = store::settings(document.section("store").following_secrets(is_all));
    let (sources, source_names) = source::all(document, wanted);
    let (access, kids) = access::access(document.section("access"), wanted);
    let stream = stream(document.section("stream"));
    let is_admin = is_all || matches!(wanted, Wanted::AdminToken);
    let admin_token = admin(document.section("admin").following_secrets(is_admin));
    let limits = limits(document.section("limits"));
    let log = log(document.section("log"));
    document.end(&SECTIONS);
    Parts { listen, store, sources, source_names, access, kids, stream, admin_token, limits, log }
}

/// The whole configuration; none only where a mistake was reported.
pub(super) fn config(document: &Document<'_>) -> Option<Config> {
    let Parts { listen, store, sources, access, stream, admin_token, limits, log, .. } =
        parts(document, &Wanted::All);
    Some(Config { listen, store: store?, sources, access: access?, stream, admin_token, limits, log })
}

/// `[listen]` as typed; what is missing or wrong is none.
pub(super) struct Typed {
    pub(super) public: Option<SocketAddr>,
    pub(super) ingest: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

/// The keys of `[listen]`, without what they mean for each other.
pub(super) fn typed(section: &mut Section<'_>) -> Typed {
    let mut read = |key| section.parsed(key, ADDRESS, address);
    Typed { public: read("public"), ingest: read("ingest"), admin: read("admin") }
}

fn listen(mut section: Section<'_>) -> Listen {
    let typed = typed(&mut section);
    let listen = Listen::or_default(typed.public, typed.ingest, typed.admin);
    let Listen { public, ingest, admin } = listen;
    if admin.port() != 0 && (admin == public || admin == ingest) {
        let place = section.place("admin");
        section.wrong(
            &place,
            "admin",
            "is the socket of public or ingest too; give it one of its own, e.g. 127.0.0.1:9090",
        );
    }
    section.end();
    listen
}

/// An address as it stands, or that of a host, which is looked up now and not again: its first of IPv4, as the defaults are,
/// else its first.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    const NONE: &str = "is not an address";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or(NONE)?;
    let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let port: u16 = port.parse().ok().filter(|_| is_host).ok_or(NONE)?;
    let found = (host, port).to_socket_addrs().map_err(|_| "names a host that is not found")?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or("names a host without an address")
}

fn stream(mut section: Section<'_>) -> stream::Settings {
    let defaults = stream::Settings::default();
    let mut span = |key, least, most| section.duration(key, &(least..=most));
    let heartbeat = span("heartbeat", Duration::from_millis(100), HOUR);
    let max_age = span("max_age", Duration::from_secs(1), DAY);
    let linger = span("linger", Duration::ZERO, DAY);
    let drain = span("drain", Duration::ZERO, HOUR);
    section.end();
    stream::Settings {
        heartbeat: heartbeat.unwrap_or(defaults.heartbeat),
        max_age: max_age.unwrap_or(defaults.max_age),
        linger: linger.unwrap_or(defaults.linger),
        drain: drain.unwrap_or(defaults.drain),
    }
}

fn admin(mut section: Section<'_>) -> Option<SecretString> {
    let token = section.secret("token");
    let checked =
        token.as_ref().map_or(Ok(()), |token| secret::check(token.expose_secret(), MIN_ADMIN_TOKEN_BYTES));
    if let Err(weakness) = checked {
        let remedy = "make one with `openssl rand -base64 24`";
        section.wrong(&section.place("token"), "token", &format!("{weakness}; {remedy}"));
    }
    section.end();
    token
}

/// Written out field by field, so that a new bound cannot be forgotten here.
fn limits(mut section: Section<'_>) -> Limits {
    /// Larger than any machine has, small enough that no sum of bounds overflows.
    const MOST: u64 = 1 << 40;
    /// As deep as the parser itself goes.
    const DEEPEST: u64 = 127;
    /// Eight cursors fit the header in which a browser gives them back.
    const WIDEST: u64 = 8;
    let default = Limits::default();
    let mut count = |key, most, default: usize| {
        let number = section.number(key, &(1..=most)).and_then(|number| usize::try_from(number).ok());
        number.unwrap_or(default)
    };
    let counts = Limits {
        body_bytes: count("body_bytes", MOST, default.body_bytes),
        buffered_bytes: count("buffered_bytes", MOST, default.buffered_bytes),
        json_depth: count("json_depth", DEEPEST, default.json_depth),
        head_bytes: count("head_bytes", MOST, default.head_bytes),
        headers: count("headers", MOST, default.headers),
        connections: count("connections", MOST, default.connections),
        deliveries: count("deliveries", MOST, default.deliveries),
        payments_per_stream: count("payments_per_stream", WIDEST, default.payments_per_stream),
        streams: count("streams", MOST, default.streams),
        log_reads: count("log_reads", MOST, default.log_reads),
        accepts_per_second: count("accepts_per_second", MOST, default.accepts_per_second),
        ..default
    };
    let mut small = |key, default: u32| {
        let number = section
            .number(key, &(1..=u64::from(u32::MAX >> 1)))
            .and_then(|number| u32::try_from(number).ok());
        number.unwrap_or(default)
    };
    let backlog = small("backlog", default.backlog);
    let failed_signatures_per_second =
        small("failed_signatures_per_second", default.failed_signatures_per_second);
    let mut span =
        |key, default| section.duration(key, &(Duration::from_millis(100)..=HOUR)).unwrap_or(default);
    let head_timeout = span("head_timeout", default.head_timeout);
    let body_timeout = span("body_timeout", default.body_timeout);
    let stall = span("stall", default.stall);
    let wait = span("wait", default.wait);
    if counts.buffered_bytes < counts.body_bytes {
        let place = section.place("buffered_bytes");
        section.wrong(
            &place,
            "buffered_bytes",
            "less than body_bytes, so the longest webhook would never fit",
        );
    }
    section.end();
    Limits { backlog, failed_signatures_per_second, head_timeout, body_timeout, stall, wait, ..counts }
}

fn log(mut section: Section<'_>) -> telemetry::Format {
    let format = section.parsed("format", "\"text\" or \"json\"", str::parse);
    section.end();
    format.unwrap_or_default()
}
