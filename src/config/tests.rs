//! What the configuration file may contain, and the message for each mistake.

mod dev;
mod excerpts;
mod operators;
mod paths;
mod tls;
mod warnings;

use super::*;
use std::{path::Path, time::Duration};
use tls::write_tls;

pub(super) fn environment_of(pairs: &[(&str, &str)]) -> Environment {
    let base = [
        ("ACME_SECRET", "whsec_0123456789abcdef0123456789abcdef"),
        ("ACME_API_KEY", "5f0c77aa8f3b1c2d9a7e55aa"),
        ("ACME_CLIENT_ID", "5f0c77aa"),
        ("PAYSTREAM_TOKEN_KEY", "0123456789abcdef0123456789abcdef"),
        ("PAYSTREAM_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("PAYSTREAM_TOKEN_OF_ANN", "fedcba9876543210fedcba9876543210"),
        ("REDIS_PASSWORD", "0123456789abcdef0123456789abcdef"),
        ("SENTINEL_PASSWORD", "fedcba9876543210fedcba9876543210"),
        ("MOLLIE_TOKEN", "9f2c61d0a7e84b35bd0c1e6f7a92d4c8"),
        ("MOLLIE_API_KEY", "live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM"),
        ("PLAID_CLIENT_ID", "5f0c1e6f7a92d4c89f2c61d0"),
        ("PLAID_SECRET", "a7e84b35bd0c1e6f7a92d4c89f2c61"),
        ("EMPTY", ""),
        ("WEAK", "changeme"),
    ];
    base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(text: &str) -> Result<Config, ConfigMistakes> {
    Config::parse("paystream.toml", text, &environment_of(&[]))
}

fn mistakes(text: &str) -> Vec<String> {
    parse(text).expect_err("mistakes").iter().map(|mistake| mistake.text.clone()).collect()
}

/// The manual with its examples enabled. The second access key needs files, which the test writes.
pub(super) fn all_of_the_manual() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    let others = [
        "cors = []",
        "hosts = []",
        "kind = \"embedded\"",
        "trusted_proxies = []",
        "proxy_protocol = []",
        "listeners = []",
    ];
    let is_other = |line: &&str| !others.contains(line);
    let lines: Vec<String> = DEFAULT.lines().filter(is_other).map(uncomment).collect();
    lines.join("\n")
}

#[test]
fn the_manual_as_it_stands_says_the_defaults() {
    let manual = parse(DEFAULT).unwrap();
    let nothing = parse("").unwrap();
    for config in [manual, nothing] {
        assert_eq!(config.listen.public, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.listen.ingest, config.listen.public);
        assert_eq!(config.listen.admin, "127.0.0.1:9090".parse().unwrap());
        let store::Settings::Embedded(store) = &config.store else { panic!("{}", config.store) };
        assert_eq!(store.path, std::path::absolute("paystream-data").unwrap());
        assert_eq!(store.history, Duration::from_secs(180 * 86_400));
        assert_eq!(config.stream, stream::Settings::default());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.proxying.to_string(), Proxying::default().to_string());
        assert_eq!(config.log, telemetry::Format::Text);
        let defaults = access::Access::new(access::AccessSettings::default()).unwrap();
        assert_eq!(format!("{:?}", config.access), format!("{defaults:?}"));
        assert!(config.sources.is_empty() && config.access.is_shut() && config.operators.is_empty());
    }
}

#[test]
fn all_examples_of_the_manual_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = all_of_the_manual();
    for (name, pem) in [
        ("/run/secrets/dashboards", "5f0c77aa8f3b1c2d9a7e55aa"),
        ("paystream.pub.pem", include_str!("../access/testdata/ed25519.pub.pem")),
        ("paystream.key.pem", include_str!("../access/testdata/ed25519.key.pem")),
    ] {
        let path = folder.path().join(name.trim_start_matches("/run/secrets/"));
        fs::write(&path, pem).unwrap();
        text = text.replace(&format!("file:{name}"), &format!("file:{}", path.display()));
    }
    // Clients' certificates need a listener of their own.
    text = text.replace("ingest = \"127.0.0.1:8080\"", "ingest = \"127.0.0.1:8081\"");
    text = text.replace("tls/", &format!("{}/", write_tls(folder.path()).display()));
    let config = parse(&text).unwrap();
    let names: Vec<&str> = config.sources.iter().map(source::Source::name).collect();
    assert_eq!(names, ["acme", "mollie", "plaid"]);
    let origin = http::HeaderValue::from_static("https://shop.example");
    let preflight = config.access.cors_preflight(Some(&origin));
    assert_eq!(preflight.get("access-control-allow-origin"), Some(&origin));
    assert_eq!(config.admin_hosts, ["gateway-1", "gateway.internal"]);
    assert_eq!(config.access.kids().iter().map(|kid| &**kid).collect::<Vec<_>>(), ["k1", "k2"]);
    let shown = "[10.0.0.7/32, 10.1.0.0/16, 2001:db8:1::/48] by x-forwarded-for, PROXY protocol on [public]";
    assert_eq!(config.proxying.to_string(), shown);
    let shown = "[public, ingest, admin], hsts 15552000s, redirect 0.0.0.0:80 to port 443";
    assert_eq!(config.tls.to_string(), shown);
    assert!(config.tls.ingest_clients.is_some() && config.tls.admin_clients.is_some());
    assert_eq!(config.tls.certificates[0].name(), "pay.example");
}

#[test]
fn a_mistake_tells_its_line_what_is_allowed_and_a_remedy() {
    for (text, expected) in [
        (
            "[listen]\npublic = \"foo\"",
            "paystream.toml:2: [listen] public: \"foo\" is not an address; allowed: IP:port or host:port, e.g. 127.0.0.1:8080",
        ),
        (
            "[listen]\npublic = 8080",
            "paystream.toml:2: [listen] public: the value must be a text in quotes; allowed: IP:port or host:port",
        ),
        (
            "[listen]\nadmin = \"127.0.0.1:8080\"",
            "paystream.toml:2: [listen] admin: public or ingest has the same address; give admin",
        ),
        (
            "[listen]\npublik = \"x\"",
            "paystream.toml:2: [listen] publik: this key is unknown; did you mean public?",
        ),
        ("[lisen]", "paystream.toml:1: [lisen]: this section is unknown; did you mean listen?"),
        (
            "zzz = 1",
            "paystream.toml:1: [zzz]: this section is unknown; the known sections are: listen, tls, store",
        ),
        ("listen = 1", "paystream.toml:1: [listen]: the value must be a table"),
        (
            "\n\n[store]\nkind = \"redis\"",
            "paystream.toml:4: [store] url: this key is missing; allowed: redis://[user@]host[:port][/database] for one server, redis+cluster://",
        ),
        (
            "[store]\nurl = \"redis://h\"",
            "paystream.toml:2: [store] url: this key is for the Redis store only; set kind = \"redis\" as well",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis://u:hunter@h\"",
            "paystream.toml:3: [store] url: the address contains a password, which does not belong in this file; remove it and add",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"http://h\"",
            "paystream.toml:3: [store] url: the value is no address of a Redis server; allowed: redis://[user@]host",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis+cluster://a,b/1\"",
            "[store] url: the value names a database, but a cluster has none; leave it out; allowed: redis://",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis+sentinel://a,b\"",
            "[store] url: the value does not name the group of servers that the sentinels watch; add it, as in /mymaster",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis://h\"\nprefix = \"{1}\"",
            "[store] prefix: \"{1}\" is not a valid prefix; allowed: 1 to 32 letters",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis://h\"\ndurability = \"yes\"",
            "[store] durability: \"yes\" is no durability; allowed: \"always\", \"everysec\", \"service\" or \"none\"",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis://h\"\nack_replicas = 17",
            "[store] ack_replicas: 17 is not allowed; allowed: a whole number from 0 to 16",
        ),
        (
            "[store]\nkind = \"mysql\"",
            "[store] kind: \"mysql\" is not a kind of store; allowed: \"embedded\" or \"redis\"",
        ),
        ("[store]\nhistory = \"44d\"", "[store] history: \"44d\" is out of range; allowed: 45d to 3650d"),
        ("[store]\nhistory = \"long\"", "[store] history: \"long\" is not a duration; allowed: 45d to"),
        ("[store]\npath = \"\"", "[store] path: the value is empty; allowed: a folder"),
        ("[stream]\ndrain = \"2h\"", "[stream] drain: \"2h\" is out of range; allowed: 0s to 1h"),
        ("[limits]\nstreams = 0", "[limits] streams: 0 is not allowed; allowed: a whole number from 1 to"),
        ("[limits]\nstreams = -5", "[limits] streams: -5 is not allowed"),
        ("[limits]\nstreams = \"5\"", "[limits] streams: a value of type string is not allowed"),
        ("[limits]\nbuffered_bytes = 1000000", "the longest webhook would never fit"),
        (
            "[listen]\ntrusted_proxies = [\"proxy\"]",
            "paystream.toml:2: [listen] trusted_proxies: \"proxy\" is neither an address nor a network; allowed: a list of addresses",
        ),
        (
            "[listen]\nclient_header = \"x-real-ip\"",
            "[listen] client_header: \"x-real-ip\" is not a header that names clients; allowed: \"x-forwarded-for\" or",
        ),
        (
            "[listen]\ntrusted_proxies = [\"10.0.0.1\"]\nproxy_protocol = [\"admin\"]",
            "paystream.toml:3: [listen] proxy_protocol: \"admin\" is not such a listener; allowed: a list of",
        ),
        (
            "[listen]\nproxy_protocol = [\"public\"]",
            "[listen] proxy_protocol: no proxy is declared that could use the protocol; name the balancers in trusted_proxies",
        ),
        ("[limits]\npayments_per_stream = 9", "a whole number from 1 to 8"),
        ("[log]\nformat = \"xml\"", "[log] format: \"xml\" is no log format; allowed: \"text\" or \"json\""),
        (
            "[access]\ncors = [\n  \"*\",\n]",
            "paystream.toml:3: [access] cors: \"*\": \"*\" is not allowed; list each origin",
        ),
        (
            "[access]\ncors = \"https://a.example\"",
            "[access] cors: the value must be a list in square brackets",
        ),
        ("[access]\ncors = [1]", "[access] cors: the list may only contain texts in quotes"),
        ("[admin]\ntoken = \"env:NOPE\"", "[admin] token: the environment variable NOPE is not set"),
        ("[admin]\ntoken = \"env:EMPTY\"", "[admin] token: the secret env:EMPTY is empty"),
        (
            "[admin]\ntoken = \"file:/nowhere/at/all\"",
            "[admin] token: the file /nowhere/at/all cannot be read",
        ),
        ("[source]\nname = \"a\"", "[[source]]: there can be several of these tables"),
        ("a = ", "paystream.toml:1: this is not valid TOML: "),
        ("[listen]\n[listen]", "paystream.toml:2: this is not valid TOML: "),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains(expected), "{} lacks {expected}", found[0]);
    }
}

#[test]
fn mistakes_of_sources_and_keys_are_found_too() {
    const SOURCE: &str =
        "[[source]]\nname = \"a\"\nprovider = \"generic\"\nsecrets = [\"env:ACME_SECRET\"]\n";
    const KEY: &str = "[[access.key]]\nkid = \"k\"\nalgorithm = \"HS256\"\nsecret = \"env:PAYSTREAM_TOKEN_KEY\"\nrealms = [\"default\"]\n";
    assert!(parse(&format!("{SOURCE}{KEY}")).is_ok());
    for (text, expected) in [
        (
            SOURCE.replace("name = \"a\"\n", ""),
            "paystream.toml:1: [[source]] name: this key is missing; allowed: 1 to 64 letters",
        ),
        (
            SOURCE.replace("\"a\"", "\"a/b\""),
            "paystream.toml:2: [[source]] name: \"a/b\" is not allowed, because the name is a part of the URL",
        ),
        (
            SOURCE.replace("generic", "genric"),
            "paystream.toml:3: [[source]] provider: \"genric\" is not a preset; did you mean generic?; allowed: the name of a preset",
        ),
        (
            SOURCE.replace("generic", "strip"),
            "paystream.toml:3: [[source]] provider: \"strip\" is not a preset; did you mean stripe?",
        ),
        (
            SOURCE.replace("generic", "zzz"),
            "\"zzz\" is not a preset; allowed: the name of a preset (`paystream check --presets`",
        ),
        (SOURCE.replace("secrets", "secret"), "[[source]] \"a\": secrets: none is given"),
        (
            "[[source]]\nname = \"a\"\nprovider = \"plaid\"\n".to_owned(),
            "paystream.toml:1: [[source]] \"a\": secrets: none is given; add the keys that `plaid` publishes",
        ),
        (
            "[[source]]\nname = \"a\"\nprovider = \"plaid\"\n[source.api]\nkey = \"env:WEAK\"".to_owned(),
            "paystream.toml:4: [[source]] \"a\": api: key is a placeholder",
        ),
        (
            SOURCE.replace("env:ACME_SECRET", "whsec_abc"),
            "[[source]] secrets: the value must be a reference and not the secret itself",
        ),
        (
            format!("{SOURCE}{SOURCE}"),
            "paystream.toml:6: [[source]] name: \"a\" is the name of another source too",
        ),
        (format!("{SOURCE}currency = \"EURO\""), "[[source]] currency: \"EURO\" is not a currency"),
        (format!("{SOURCE}live = \"yes\""), "[[source]] live: the value must be true or false"),
        (format!("{SOURCE}realm = \"a b\""), "[[source]] realm: \"a b\" is not the name of a realm"),
        (
            format!("{SOURCE}[source.api]\nkey = \"env:MOLLIE_API_KEY\""),
            "paystream.toml:5: [[source]] \"a\": api: the preset `generic` has neither [confirm] nor [backfill]",
        ),
        (
            format!("{SOURCE}[source.api]"),
            "paystream.toml:5: [source.api] key: this key is missing; allowed: a reference",
        ),
        (
            format!("{SOURCE}[source.api]\nkey = \"live_x\""),
            "[source.api] key: the value must be a reference and not the secret itself",
        ),
        (
            format!("{SOURCE}[source.api]\nurl = \"\""),
            "[source.api] url: \"\" is empty; allowed: https://HOST",
        ),
        (
            format!("{SOURCE}[source.api]\nkeys = 1"),
            "[source.api] keys: this key is unknown; did you mean key?",
        ),
        (format!("{SOURCE}api = 1"), "paystream.toml:5: [source.api]: the value must be a table"),
        (KEY.replace("HS256", "HS512"), "[[access.key]] algorithm: \"HS512\" is not a supported algorithm"),
        (KEY.replace("HS256", "RS256"), "[[access.key]] public_key: this key is missing, but RS256 needs it"),
        (KEY.replace("realms = [\"default\"]", ""), "[[access.key]] realms: this key is missing"),
        (KEY.replace("\"default\"", ""), "paystream.toml:2: [access] key \"k\": realms is empty"),
        (KEY.replace("\"default\"", "\"a b\""), "[[access.key]] realms: \"a b\" is not the name of a realm"),
        (format!("{KEY}{KEY}"), "paystream.toml:7: [access] key \"k\": kid is used twice"),
        (KEY.replace("kid = \"k\"", "kid = \"\""), "[[access.key]] kid: \"\" is empty"),
    ] {
        let found = mistakes(&text);
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{found:#?} lacks {expected}");
        assert!(found.iter().all(|mistake| !mistake.contains('\n')));
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let found = mistakes(
        "[log]\nformat = 1\n[listen]\npublic = \"x\"\nadmin = \"y\"\n[limits]\nbody_byte = 1\nstreams = 0\n[store]\nkind = \"redis\"",
    );
    let lines: Vec<&str> = found.iter().map(|mistake| mistake.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["2", "4", "5", "7", "8", "10"]);
}

#[test]
fn a_configuration_shows_no_secret() {
    let shown = format!("{:?}", parse(&all_of_the_manual().replace("EdDSA", "XXXXX")).map(|_| ()));
    assert!(!shown.contains("0123456789abcdef"));
    let key = "[[access.key]]\nkid = \"k\"\nalgorithm = \"HS256\"\nsecret = \"env:PAYSTREAM_TOKEN_KEY\"\nrealms = [\"default\"]";
    let shown = format!("{:?}", parse(key).unwrap());
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn the_environment_overrides_single_values() {
    let environment = environment_of(&[
        ("PAYSTREAM__LISTEN__PUBLIC", "127.0.0.1:1234"),
        ("PAYSTREAM__STREAM__MAX_AGE", "10m"),
        ("PAYSTREAM__LIMITS__STREAMS", "7"),
        ("PAYSTREAM__ADMIN__TOKEN", "env:PAYSTREAM_ADMIN_TOKEN"),
        ("PAYSTREAM__LOG__FORMAT", "json"),
        ("PAYSTREAM__STORE__KIND", "embedded"),
    ]);
    let config =
        Config::parse("paystream.toml", "[listen]\npublic = \"127.0.0.1:8081\"", &environment).unwrap();
    assert_eq!(config.listen.public.port(), 1234);
    assert_eq!(config.listen.ingest.port(), 1234);
    assert_eq!(config.stream.max_age, Duration::from_secs(600));
    assert_eq!(config.limits.streams, 7);
    assert_eq!(config.log, telemetry::Format::Json);
    assert!(!config.operators.is_empty());
}

#[test]
fn a_wrong_override_is_told_by_its_name() {
    for (name, value, expected) in [
        (
            "PAYSTREAM__STORE__KIND",
            "mysql",
            "PAYSTREAM__STORE__KIND: [store] kind: \"mysql\" is not a kind of store",
        ),
        (
            "PAYSTREAM__LIMITS__STREAMS",
            "many",
            "PAYSTREAM__LIMITS__STREAMS: [limits] streams: \"many\" is not allowed",
        ),
        (
            "PAYSTREAM__STREAM__MAXAGE",
            "1m",
            "this variable overrides no key; did you mean PAYSTREAM__STREAM__MAX_AGE?",
        ),
        (
            "PAYSTREAM__ACCESS__CORS",
            "https://a.example",
            "PAYSTREAM__ACCESS__CORS: this variable overrides no key",
        ),
        (
            "PAYSTREAM__ADMIN__TOKEN",
            "s3cr3t",
            "PAYSTREAM__ADMIN__TOKEN: [admin] token: the value must be a reference and not the secret itself",
        ),
    ] {
        let error =
            Config::parse("paystream.toml", "", &environment_of(&[(name, value)])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} lacks {expected}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_secret_file_loses_only_its_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    for (written, expected) in [
        ("0123456789abcdefgh\n", Some("0123456789abcdefgh")),
        ("0123456789abcdefgh\r\n", Some("0123456789abcdefgh")),
        ("\n", None),
    ] {
        fs::write(&path, written).unwrap();
        let config = parse(&format!("[admin]\ntoken = \"file:{}\"", path.display()));
        let operators = config.map(|config| config.operators).unwrap_or_default();
        assert_eq!(operators.is_empty(), expected.is_none(), "{written:?}");
        assert!(expected.is_none_or(|token| operators.who_has(token.as_bytes()).is_some()), "{written:?}");
    }
}

/// Users would never find a key that the manual does not explain.
#[test]
fn the_manual_has_every_key() {
    for section in [
        "[listen]",
        "[tls]",
        "[[tls.certificate]]",
        "[store]",
        "[access]",
        "[stream]",
        "[admin]",
        "[limits]",
        "[log]",
        "[[source]]",
        "[[source]]\n[source.api]",
        "[[access.key]]",
    ] {
        let found = mistakes(&format!("{section}\nzzzz = 1"));
        let known = found
            .iter()
            .find_map(|mistake| mistake.split_once("this key is unknown; the known keys are: "))
            .unwrap()
            .1;
        for key in known.split(", ") {
            let (value, table) = (format!("{key} = "), format!("[source.{key}]"));
            let as_setting = |line: &str| {
                let line = line.trim_start_matches('#');
                line.starts_with(&value) || line == table
            };
            assert!(
                ["key", "certificate"].contains(&key) || DEFAULT.lines().any(as_setting),
                "{section} {key}"
            );
        }
    }
}

/// `[listen]` accepted only IP addresses, so even `localhost` was refused.
#[test]
fn a_host_name_in_listen_is_looked_up() {
    let config = parse("[listen]\npublic = \"localhost:8082\"\nadmin = \"[::1]:9091\"").unwrap();
    assert_eq!(config.listen.public, "127.0.0.1:8082".parse().unwrap());
    assert_eq!(config.listen.ingest, config.listen.public);
    assert_eq!(config.listen.admin, "[::1]:9091".parse().unwrap());
    for wrong in
        ["localhost", "localhost:", ":8080", "localhost:99999", "http://localhost:8080", "::1:8080", "a b:1"]
    {
        let found = mistakes(&format!("[listen]\npublic = \"{wrong}\""));
        assert!(
            found[0].contains(&format!("{wrong:?} is not an address; allowed: IP:port or host:port")),
            "{found:?}"
        );
    }
}

#[test]
fn halves_in_two_processes_are_refused_on_the_embedded_store() {
    let config = parse("").unwrap();
    assert!(config.check_role(Role::All).is_ok());
    for role in [Role::Ingest, Role::Stream] {
        assert!(config.check_role(role).unwrap_err().to_string().contains("embedded store"));
        assert_eq!(role.to_string().parse(), Ok(role));
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered_without_a_panic(text in "(\\PC|\n|\\[listen\\]|\\[\\[source\\]\\]|=|\"){0,60}") {
        let _ = parse(&text);
    }
}
