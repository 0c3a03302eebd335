//! The configuration without a file: its addresses, and who may watch.

use super::environment_of;
use crate::{
    config::{Config, DEFAULT_REALM, Listen, fresh_secret},
    source::Source,
};
use secrecy::ExposeSecret;
use std::net::{SocketAddr, TcpListener};

fn listen(port: Option<u16>, variables: &[(&str, &str)]) -> Result<Listen, String> {
    Listen::dev(port, &environment_of(variables)).map_err(|mistakes| mistakes.to_string())
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[test]
fn the_dev_configuration_is_open_but_on_loopback_only() {
    let config = Config::dev("data".into(), &fresh_secret()).unwrap();
    assert!(config.listen.public.ip().is_loopback() && config.listen.admin.ip().is_loopback());
    assert!(
        config.access.opens(&DEFAULT_REALM.parse().unwrap())
            && !config.access.opens(&"live".parse().unwrap())
    );
    let names: Vec<&str> = config.sources.iter().map(Source::name).collect();
    assert_eq!(names, ["dev", "stripe"]);
    assert_ne!(fresh_secret().expose_secret(), fresh_secret().expose_secret());
    let error = Config::dev("data".into(), &"short".into()).unwrap_err().to_string();
    assert!(error.starts_with("PAYSTREAM_DEV_SECRET: secrets[0]: "), "{error}");
}

/// `--dev` always used the same two ports, so it could not run if one of them was in use.
#[test]
fn dev_listens_where_the_port_and_the_environment_say() {
    let usual = listen(None, &[]).unwrap();
    assert_eq!((usual.public, usual.ingest), (at("127.0.0.1:8080"), at("127.0.0.1:8080")));
    let moved = listen(Some(3001), &[]).unwrap();
    assert_eq!((moved.public, moved.ingest), (at("127.0.0.1:3001"), at("127.0.0.1:3001")));
    let all = [
        ("PAYSTREAM__LISTEN__PUBLIC", "[::1]:3002"),
        ("PAYSTREAM__LISTEN__INGEST", "127.0.0.1:3003"),
        ("PAYSTREAM__LISTEN__ADMIN", "localhost:3004"),
    ];
    let expected =
        Listen { public: at("[::1]:3002"), ingest: at("127.0.0.1:3003"), admin: at("127.0.0.1:3004") };
    assert_eq!(listen(None, &all), Ok(expected));
    // The argument takes precedence over the environment.
    let expected = Listen { public: at("[::1]:3005"), ..expected };
    assert_eq!(listen(Some(3005), &all), Ok(expected));
    let public = listen(None, &all[..1]).unwrap();
    assert_eq!(public.ingest, public.public, "webhooks follow streams unless told otherwise");
}

#[test]
fn a_taken_admin_port_that_nobody_asked_for_gives_way() {
    // The port is in use afterwards: by this socket or, if that fails, by another program.
    let _holder = TcpListener::bind("127.0.0.1:9090");
    assert_eq!(listen(None, &[]).unwrap().admin.port(), 0);
    assert_eq!(listen(Some(9090), &[]).unwrap().admin.port(), 0);
    let asked = [("PAYSTREAM__LISTEN__ADMIN", "127.0.0.1:9090")];
    assert_eq!(listen(None, &asked).unwrap().admin.port(), 9090);
}

#[test]
fn dev_is_on_loopback_only_and_a_mistyped_variable_is_told() {
    for (name, value, expected) in [
        (
            "PAYSTREAM__LISTEN__PUBLIC",
            "0.0.0.0:8080",
            "PAYSTREAM__LISTEN__PUBLIC: 0.0.0.0:8080 can be reached from other machines",
        ),
        ("PAYSTREAM__LISTEN__ADMIN", "[::]:9090", "PAYSTREAM__LISTEN__ADMIN: [::]:9090 can be reached"),
        (
            "PAYSTREAM__LISTEN__INGEST",
            "8081",
            "PAYSTREAM__LISTEN__INGEST: [listen] ingest: \"8081\" is not an address",
        ),
        ("PAYSTREAM__LISTEN__PUBLIK", "127.0.0.1:1", "did you mean PAYSTREAM__LISTEN__PUBLIC?"),
    ] {
        let error = listen(None, &[(name, value)]).unwrap_err();
        assert!(error.contains(expected), "{error} lacks {expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
