//! What is allowed and probably not meant, and which hosts the admin listener takes.

use super::*;

#[test]
fn a_source_whose_realm_no_key_opens_is_warned_of() {
    let source = |realm: &str| {
        format!(
            "[[source]]\nname = \"a-{realm}\"\nprovider = \"generic\"\nrealm = \"{realm}\"\nsecrets = [\"env:ACME_SECRET\"]\n"
        )
    };
    let key = "[[access.key]]\nkid = \"k\"\nalgorithm = \"HS256\"\nsecret = \"env:PAYSTREAM_TOKEN_KEY\"\nrealms = [\"default\", \"live\"]\n";
    let warnings = |text: &str| parse(text).unwrap().warnings(Role::All);
    assert!(warnings("").is_empty());
    assert!(warnings(&format!("{}{}{key}", source("default"), source("live"))).is_empty());
    let found = warnings(&format!("{}{}{key}", source("live"), source("lvie")));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("source \"a-lvie\": no [[access.key]] may sign for its realm \"lvie\""),
        "{found:?}"
    );
    let dev = Config::dev("data".into(), &fresh_secret()).unwrap();
    assert!(dev.warnings(Role::All).is_empty(), "it is open");
    let without_keys = warnings(&format!("{}{}", source("default"), source("live")));
    assert_eq!(without_keys.len(), 1, "{without_keys:?}");
    assert!(without_keys[0].contains("--role ingest"), "{without_keys:?}");
}

#[test]
fn a_redis_password_in_clear_is_warned_of_whatever_the_role() {
    let warnings = |url: &str, role| {
        let store = format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\npassword = \"env:ACME_SECRET\"\n");
        parse(&store).unwrap().warnings(role)
    };
    for role in [Role::All, Role::Ingest, Role::Stream] {
        let found = warnings("redis://redis.internal:6379", role);
        assert!(found.iter().any(|warning| warning.contains("rediss://")), "{role}: {found:?}");
        for safe in ["rediss://redis.internal:6379", "redis://127.0.0.1:6379", "redis://localhost"] {
            assert!(warnings(safe, role).is_empty(), "{role}: {safe}");
        }
    }
}

#[test]
fn hosts_of_the_admin_listener_are_names_without_anything_else() {
    let config = parse("[admin]\nhosts = [\"gateway-1\", \"Metrics.shop.example\"]").unwrap();
    assert_eq!(config.admin_hosts, ["gateway-1", "Metrics.shop.example"]);
    for wrong in
        ["", "*", "*.example", "gateway-1:9090", "http://gateway-1", "a b", "a..b", ".a", "user@a", "[::1]"]
    {
        let found = mistakes(&format!("[admin]\nhosts = [\"{wrong}\"]"));
        assert!(found[0].contains("is no name of a host"), "{wrong}: {found:?}");
    }
}

#[test]
fn a_dashboard_that_no_token_opens_is_warned_of_where_it_is_served() {
    let key = |operator: bool| {
        format!(
            "[pages]\ndashboard = true\n[[access.key]]\nkid = \"k\"\nalgorithm = \"HS256\"\nsecret = \"env:PAYSTREAM_TOKEN_KEY\"\nrealms = [\"default\"]\noperator = {operator}\n"
        )
    };
    let shut = parse(&key(false)).unwrap();
    for (role, expected) in [(Role::All, 1), (Role::Stream, 1), (Role::Ingest, 0)] {
        let found = shut.warnings(role);
        assert_eq!(found.len(), expected, "{role}: {found:?}");
        assert!(found.iter().all(|warning| warning.starts_with("[pages] dashboard:")), "{found:?}");
    }
    let listless = parse(&format!("[store]\nrecent = 0\n{}", key(true))).unwrap();
    let found = listless.warnings(Role::All);
    assert!(found.len() == 1 && found[0].contains("[store] recent = 0"), "{found:?}");
    let open = parse(&key(true)).unwrap();
    assert!(open.dashboard && open.warnings(Role::All).is_empty());
    assert!(!parse("").unwrap().dashboard, "it is off unless it is asked for");
    let found = mistakes("[pages]\ndashboard = \"yes\"");
    assert!(found[0].contains("[pages] dashboard: the value must be true or false"), "{found:?}");
}

#[test]
fn keys_that_do_not_suit_the_address_are_mistakes() {
    for (url, more, expected) in [
        ("redis+cluster://a", "tls_name = \"redis.internal\"", "tls_name: this key is for TLS only"),
        ("redis+sentinel://u:p@a,b/m", "", "url: the address contains a password"),
    ] {
        let mistakes = parse(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\n{more}\n")).unwrap_err();
        assert!(mistakes.to_string().contains(expected), "{mistakes}");
    }
}
