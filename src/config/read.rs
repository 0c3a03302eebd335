//! Turns a document into valid settings, section by section and key by key. The default values are those of the settings' types.

mod access;
mod admin;
mod api;
mod source;
mod store;

use super::{
    document::{Document, Section},
    duration::{DAY, HOUR},
    listen::{ADDRESS, Listen, address},
    proxying::Proxying,
    scope::SecretScope,
    tls::Tls,
};
use crate::{access::Access, limits::Limits, source::Source, stream, telemetry};
pub(super) use admin::AdminSection;
use std::{net::SocketAddr, time::Duration};

pub(super) const SECTIONS: [&str; 10] =
    ["listen", "tls", "store", "source", "access", "stream", "admin", "pages", "limits", "log"];

/// What was read and built. Keys, sources and the token are missing if their secrets were not resolved.
pub(super) struct Parts {
    pub(super) listen: Listen,
    pub(super) proxying: Proxying,
    pub(super) tls: Tls,
    pub(super) store: Option<crate::store::Settings>,
    /// Whether the quarantine keeps the bodies of events.
    pub(super) holds_bodies: bool,
    pub(super) sources: Vec<Source>,
    /// The names of all sources, whether their secrets were resolved or not.
    pub(super) source_names: Vec<String>,
    pub(super) access: Option<Access>,
    /// The names of all keys, whether their secrets were resolved or not.
    pub(super) kids: Vec<String>,
    pub(super) stream: stream::Settings,
    pub(super) admin: AdminSection,
    pub(super) dashboard: bool,
    pub(super) limits: Limits,
    pub(super) log: telemetry::Format,
}

/// Reads and checks all sections. Resolves the secrets of `scope` only.
pub(super) fn parts(document: &Document<'_>, scope: &SecretScope<'_>) -> Parts {
    let is_all = matches!(scope, SecretScope::All);
    let (listen, proxying) = listen(document.section("listen"));
    let tls = Tls::read(document.section("tls").resolving_secrets(is_all), &listen);
    let (store, holds_bodies) = store::settings(document.section("store").resolving_secrets(is_all));
    let (sources, source_names) = source::all(document, scope);
    let (access, kids) = access::access(document.section("access"), scope);
    let stream = stream(document.section("stream"));
    let admin = admin::admin(document.section("admin"), scope);
    let dashboard = pages(document.section("pages"));
    let limits = limits(document.section("limits"));
    let log = log(document.section("log"));
    document.end(&SECTIONS);
    Parts {
        listen,
        proxying,
        tls,
        store,
        holds_bodies,
        sources,
        source_names,
        access,
        kids,
        stream,
        admin,
        dashboard,
        limits,
        log,
    }
}

/// The addresses that `[listen]` gives. A missing or wrong one is `None`.
pub(super) struct GivenAddresses {
    pub(super) public: Option<SocketAddr>,
    pub(super) ingest: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

/// Reads the keys of `[listen]` without their defaults.
pub(super) fn given_addresses(section: &mut Section<'_>) -> GivenAddresses {
    let mut read = |key| section.parsed(key, ADDRESS, address);
    GivenAddresses { public: read("public"), ingest: read("ingest"), admin: read("admin") }
}

fn listen(mut section: Section<'_>) -> (Listen, Proxying) {
    let given = given_addresses(&mut section);
    let listen = Listen::or_default(given.public, given.ingest, given.admin);
    let Listen { public, ingest, admin } = listen;
    if admin.port() != 0 && (admin == public || admin == ingest) {
        let place = section.place("admin");
        section.wrong(
            &place,
            "admin",
            "public or ingest has the same address; give admin an address of its own, e.g. 127.0.0.1:9090",
        );
    }
    let proxying = Proxying::read(&mut section);
    section.end();
    (listen, proxying)
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

/// Reads `[pages]`: whether the dashboard is served.
fn pages(mut section: Section<'_>) -> bool {
    let dashboard = section.flag("dashboard").unwrap_or(false);
    section.end();
    dashboard
}

/// Reads `[limits]`. Every field is written out, so that the compiler reports a limit that is missing here.
fn limits(mut section: Section<'_>) -> Limits {
    /// The largest number of bytes or items: more than any machine has, and so small that sums of limits do not overflow.
    const MOST: u64 = 1 << 40;
    /// The deepest nesting that the JSON parser itself supports.
    const DEEPEST: u64 = 127;
    /// The most payments on a stream: eight cursors fit the header in which a browser sends them back.
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
        connections_per_peer: count("connections_per_peer", MOST, default.connections_per_peer),
        silent_connections_per_peer: count(
            "silent_connections_per_peer",
            MOST,
            default.silent_connections_per_peer,
        ),
        deliveries: count("deliveries", MOST, default.deliveries),
        payments_per_stream: count("payments_per_stream", WIDEST, default.payments_per_stream),
        streams: count("streams", MOST, default.streams),
        streams_per_peer: count("streams_per_peer", MOST, default.streams_per_peer),
        streams_per_token: count("streams_per_token", MOST, default.streams_per_token),
        streams_per_payment: count("streams_per_payment", MOST, default.streams_per_payment),
        streams_per_realm: count("streams_per_realm", MOST, default.streams_per_realm),
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
    let failed_signatures_per_peer = small("failed_signatures_per_peer", default.failed_signatures_per_peer);
    let mut span =
        |key, default| section.duration(key, &(Duration::from_millis(100)..=HOUR)).unwrap_or(default);
    let first_head_timeout = span("first_head_timeout", default.first_head_timeout);
    let head_timeout = span("head_timeout", default.head_timeout);
    let body_timeout = span("body_timeout", default.body_timeout);
    let stall = span("stall", default.stall);
    let wait = span("wait", default.wait);
    if counts.buffered_bytes < counts.body_bytes {
        let place = section.place("buffered_bytes");
        section.wrong(
            &place,
            "buffered_bytes",
            "the value is less than body_bytes, so the longest webhook would never fit; raise it to at least body_bytes",
        );
    }
    section.end();
    Limits {
        backlog,
        failed_signatures_per_second,
        failed_signatures_per_peer,
        first_head_timeout,
        head_timeout,
        body_timeout,
        stall,
        wait,
        ..counts
    }
}

fn log(mut section: Section<'_>) -> telemetry::Format {
    let format = section.parsed("format", "\"text\" or \"json\"", str::parse);
    section.end();
    format.unwrap_or_default()
}
