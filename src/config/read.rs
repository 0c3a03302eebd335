//! From what was typed to what is valid: each section, key by key. Defaults stand where the types do.

mod access;
mod api;
mod store;

use super::{
    Config, Listen,
    document::{Document, Section},
};
use crate::{
    limits::Limits,
    payment::Name,
    secret,
    source::{Provider, Source, SourceSettings},
    stream, telemetry,
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

const SECTIONS: [&str; 8] = ["listen", "store", "source", "access", "stream", "admin", "limits", "log"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Short enough to type, long enough not to be guessed over a network.
const MIN_ADMIN_TOKEN_BYTES: usize = 16;

const ADDRESS: &str = "IP:port, e.g. 127.0.0.1:8080";
const REALM: &str = "1 to 128 printable ASCII characters without a space, e.g. \"default\"";

/// None only where a mistake was reported.
pub(super) fn config(document: &Document<'_>) -> Option<Config> {
    let listen = listen(document.section("listen"));
    let store = store::settings(document.section("store"));
    let sources = sources(document);
    let access = access::settings(document.section("access"));
    let stream = stream(document.section("stream"));
    let admin_token = admin(document.section("admin"));
    let limits = limits(document.section("limits"));
    let log = log(document.section("log"));
    document.end(&SECTIONS);
    Some(Config { listen, store: store?, sources, access, stream, admin_token, limits, log })
}

fn listen(mut section: Section<'_>) -> Listen {
    let address = |text: &str| text.parse::<SocketAddr>().map_err(|_| "is not an address");
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let public = section.parsed("public", ADDRESS, address).unwrap_or(loopback(8080));
    let ingest = section.parsed("ingest", ADDRESS, address).unwrap_or(public);
    let admin = section.parsed("admin", ADDRESS, address).unwrap_or(loopback(9090));
    if admin.port() != 0 && (admin == public || admin == ingest) {
        let place = section.place("admin");
        section.wrong(
            &place,
            "admin",
            "is the socket of public or ingest too; give it one of its own, e.g. 127.0.0.1:9090",
        );
    }
    section.end();
    Listen { public, ingest, admin }
}

fn sources(document: &Document<'_>) -> Vec<SourceSettings> {
    let mut sources: Vec<SourceSettings> = Vec::new();
    for mut section in document.sections("source") {
        let Some(source) = source(&mut section) else {
            section.end();
            continue;
        };
        if sources.iter().any(|earlier| earlier.name == source.name) {
            section.wrong(
                &section.place("name"),
                "name",
                &format!("{:?} is used twice; each source has a name of its own", source.name),
            );
        } else if let Err(error) = Source::build(source.clone()) {
            // It begins with the key that is wrong, which has a line.
            let error = error.to_string();
            let key = error.split([':', '[']).next().unwrap_or_default();
            let (key, place) = (format!("{:?}", source.name), section.place(key));
            section.wrong(&place, &key, &error);
        } else {
            sources.push(source);
        }
        section.end();
    }
    sources
}

fn source(section: &mut Section<'_>) -> Option<SourceSettings> {
    let name =
        section.required("name", "1 to 64 letters, digits, '-', '_' or '.', e.g. \"acme\"", source_name);
    let provider = section.required(
        "provider",
        "a preset's name, e.g. \"stripe\", or the path of a file of one's own",
        provider,
    );
    let realm = section.parsed("realm", REALM, |text| text.parse::<Name>().map_err(|_| "is no realm"));
    // Whether there have to be any, the provider decides.
    let secrets = section.secrets("secrets").or_else(|| (!section.has("secrets")).then(Vec::new));
    let payment = section.texts("payment", "JSON pointers, e.g. [\"/data/object/id\"]");
    let currency =
        section.parsed("currency", "an ISO 4217 code, e.g. \"EUR\", or an asset, e.g. \"BTC/8\"", |text| {
            text.parse().map_err(|_| "is no currency")
        });
    let shared_ids = section.flag("shared_ids").unwrap_or(false);
    let live = section.flag("live");
    let max_age = section.duration("max_age", &(Duration::from_secs(1)..=30 * DAY));
    let options = section.words("options", "what the preset asks for, e.g. { capture = \"automatic\" }");
    let has_api = section.has("api");
    let api = section.section("api").and_then(api::settings);
    Some(SourceSettings {
        name: name?.into(),
        provider: provider?,
        realm: match realm {
            Some(realm) => realm,
            None => super::DEV_REALM.parse().ok()?,
        },
        secrets: secrets?,
        payment: payment.map(|texts| texts.into_iter().map(|(_, text)| text).collect()),
        currency,
        shared_ids,
        live,
        max_age,
        options: options?,
        // With a mistake in its credentials, a source is none.
        api: if has_api { Some(api?) } else { None },
    })
}

fn source_name(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fine = (1..=64).contains(&text.len()) && text.chars().all(fits) && !text.chars().all(|c| c == '.');
    if fine { Ok(text.to_owned()) } else { Err("cannot stand in a URL") }
}

fn provider(text: &str) -> Result<Provider, &'static str> {
    match text {
        "" => Err("is empty"),
        path if path.contains('/') || path.ends_with(".toml") => Ok(Provider::File(path.into())),
        name => Ok(Provider::Builtin(name.to_owned())),
    }
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
