//! Reads `[store]`: where events are stored.

use crate::{
    config::{
        document::{Location, Section},
        duration::DAY,
        secret,
    },
    store::{RECENT, Settings, embedded, redis},
};
use secrecy::SecretString;
use std::{path::Path, time::Duration};

/// The default data folder, beside the configuration file.
const DEFAULT_PATH: &str = "./paystream-data";

/// The shortest history. Duplicates are recognised as long as the history lasts, and providers retry for up to 30 days.
const MIN_HISTORY: Duration = Duration::from_secs(45 * DAY.as_secs());
const DEFAULT_HISTORY: Duration = Duration::from_secs(180 * DAY.as_secs());
const MAX_HISTORY: Duration = Duration::from_secs(3650 * DAY.as_secs());

/// The largest number of replicas, more than anyone runs.
const MAX_REPLICAS: u64 = 16;

/// The most payments of a realm that the index may hold: each takes some 150 bytes of memory.
const MAX_RECENT: u64 = 1_000_000;

const URL: &str = "redis://[user@]host[:port][/database] for one server, redis+cluster://[user@]host[:port],… for a cluster, \
                   redis+sentinel://[user@]host[:port],…/group for a group that sentinels watch, each with rediss for TLS, \
                   or a reference to it, e.g. \"env:REDIS_URL\"";

/// The kinds of store.
enum StoreKind {
    Embedded,
    Redis,
}

/// What is kept beside the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeptBeside {
    /// Whether the quarantine keeps the bodies of events.
    pub(super) holds_bodies: bool,
    /// Whether it is kept which page was told what and when.
    pub(super) keeps_receipts: bool,
}

/// The settings of the store, and what is kept beside the events. The settings are `None` only if a mistake was reported or a secret was
/// not resolved.
pub(super) fn settings(mut section: Section<'_>) -> (Option<Settings>, KeptBeside) {
    let holds_bodies = section.flag("quarantine_bodies").unwrap_or(true);
    let keeps_receipts = section.flag("receipts").unwrap_or(true);
    (store(section), KeptBeside { holds_bodies, keeps_receipts })
}

fn store(mut section: Section<'_>) -> Option<Settings> {
    let kind = section.parsed("kind", "\"embedded\" or \"redis\"", |text| match text {
        "embedded" => Ok(StoreKind::Embedded),
        "redis" => Ok(StoreKind::Redis),
        _ => Err("is not a kind of store"),
    });
    let kind = kind.or_else(|| (!section.has("kind")).then_some(StoreKind::Embedded));
    let path =
        section.path("path", "a folder").unwrap_or_else(|| section.beside_file(Path::new(DEFAULT_PATH)));
    let history = section.duration("history", &(MIN_HISTORY..=MAX_HISTORY)).unwrap_or(DEFAULT_HISTORY);
    let recent = section.number("recent", &(0..=MAX_RECENT)).and_then(|recent| usize::try_from(recent).ok());
    let recent = recent.unwrap_or(RECENT);
    let redis = redis(&mut section, history, recent, kind.as_ref());
    section.end();
    match kind? {
        StoreKind::Embedded => Some(Settings::Embedded(embedded::Settings { path, history, recent })),
        StoreKind::Redis => redis.map(Settings::Redis),
    }
}

/// Reads the keys of a Redis server. Every given key is checked, even if the store is another one.
fn redis(
    section: &mut Section<'_>,
    history: Duration,
    recent: usize,
    kind: Option<&StoreKind>,
) -> Option<redis::Settings> {
    let typed = url(section);
    let password = section.secret("password");
    let sentinel_password = section.secret("sentinel_password");
    let tls_name = section.parsed("tls_name", "a host name", |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        let fits = (1..=253).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(text.to_owned()) } else { Err("is no host name") }
    });
    let ca = section.path("ca", "a file of certificates in PEM");
    let prefix = section.parsed("prefix", "1 to 32 letters, digits, '-', '_', '.' or ':'", |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(text.to_owned()) } else { Err("is not a valid prefix") }
    });
    let durability =
        section.parsed("durability", "\"always\", \"everysec\", \"service\" or \"none\"", str::parse);
    let ack_replicas = section.number("ack_replicas", &(0..=MAX_REPLICAS));
    if matches!(kind, Some(StoreKind::Embedded)) {
        let of_file =
            ["password", "sentinel_password", "tls_name", "ca", "prefix", "durability", "ack_replicas"];
        let typed = typed.map(|(place, _)| (place, "url"));
        let others = of_file.into_iter().filter(|key| section.has(key)).map(|key| (section.place(key), key));
        // One mistake is enough, since all these keys have the same remedy.
        if let Some((place, key)) = typed.into_iter().chain(others).next() {
            let remedy =
                "this key is for the Redis store only; set kind = \"redis\" as well, or remove the key";
            section.wrong(&place, key, remedy);
        }
        return None;
    }
    let (place, url) = match (typed, kind) {
        (Some((place, url)), Some(StoreKind::Redis)) => (place, url),
        (None, Some(StoreKind::Redis)) if !section.is_given("url") => {
            section.wrong(&section.place("kind"), "url", &format!("this key is missing; allowed: {URL}"));
            return None;
        }
        _ => return None,
    };
    let settings = redis::Settings {
        url,
        password,
        sentinel_password,
        tls_name,
        ca,
        prefix: prefix.unwrap_or_else(|| "ps".to_owned()),
        durability: durability.unwrap_or_default(),
        ack_replicas: ack_replicas.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        history,
        recent,
    };
    if let Err(why) = settings.check() {
        section.wrong(&place, "url", &format!("the value {why}; allowed: {URL}"));
        return None;
    }
    let for_tls = "this key is for TLS only; let the url begin with rediss, or remove the key";
    let misplaced = [
        ("ca", settings.ca.is_some() && !settings.is_encrypted(), for_tls),
        ("tls_name", settings.tls_name.is_some() && !settings.is_encrypted(), for_tls),
    ];
    for (key, is_misplaced, remedy) in misplaced {
        if is_misplaced {
            section.wrong(&section.place(key), key, remedy);
        }
    }
    (!misplaced.iter().any(|(_, is_misplaced, _)| *is_misplaced)).then_some(settings)
}

/// Reads the address, which is written in the file or is a reference. A password may only be in the reference or under `password`.
fn url(section: &mut Section<'_>) -> Option<(Location, SecretString)> {
    let (place, text) = section.text("url", URL)?;
    if secret::is_reference(&text) {
        return section.resolve(&place, "url", &text).map(|url| (place, url));
    }
    let user = text.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(user, _)| user);
    if user.is_some_and(|user| user.contains(':')) && matches!(place, Location::Line(_)) {
        let remedy = "remove it and add password = \"env:REDIS_PASSWORD\", or write url = \"env:REDIS_URL\" and put the whole address into that variable";
        section.wrong(
            &place,
            "url",
            &format!("the address contains a password, which does not belong in this file; {remedy}"),
        );
        return None;
    }
    Some((place, text.into()))
}
