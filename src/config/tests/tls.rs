//! `[tls]`: which certificates are accepted, and what is said about the others.

use super::*;
use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
use std::path::PathBuf;

/// Writes the files that the manual names, and returns their folder.
pub(super) fn write_tls(folder: &Path) -> PathBuf {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["pay.example".to_owned()]).unwrap();
    for (name, pem) in [
        ("fullchain.pem", cert.pem()),
        ("privkey.pem", signing_key.serialize_pem()),
        ("providers-ca.pem", cert.pem()),
        ("operators-ca.pem", cert.pem()),
    ] {
        fs::write(folder.join(name), pem).unwrap();
    }
    folder.to_owned()
}

/// A configuration with these lines in `[tls]` and these files as the only certificate.
fn with(lines: &str, chain: &Path, key: &Path) -> String {
    format!(
        "[listen]\ningest = \"127.0.0.1:8081\"\n[tls]\n{lines}\n[[tls.certificate]]\nchain = \"{}\"\nkey = \"file:{}\"\n",
        chain.display(),
        key.display()
    )
}

#[test]
fn a_certificate_that_clients_could_not_use_is_a_mistake_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| {
        fs::write(at(name), text).unwrap();
        at(name)
    };
    write_tls(folder.path());
    let (chain, key) = (at("fullchain.pem"), at("privkey.pem"));
    let other = write("other.pem", &KeyPair::generate().unwrap().serialize_pem());
    let nameless = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&nameless).unwrap();
    let (nameless_chain, nameless_key) =
        (write("nameless.pem", &certificate.pem()), write("nameless.key", &nameless.serialize_pem()));
    let on = "listeners = [\"public\"]";
    assert!(parse(&with(on, &chain, &key)).is_ok());
    for (chain, key, expected) in [
        (&chain, &other, "the private key does not belong to the first certificate"),
        (&key, &key, "the chain has no certificates in PEM (it has none)"),
        (
            &write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA"),
            &key,
            "the chain has no certificates in PEM",
        ),
        (
            &write("der.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            &key,
            "cannot be used",
        ),
        (&chain, &chain, "the private key cannot be used"),
        (&nameless_chain, &nameless_key, "names no host"),
        (&at("nowhere.pem"), &key, "nowhere.pem cannot be read"),
        (&chain, &at("nowhere.pem"), "nowhere.pem cannot be read"),
    ] {
        let found = mistakes(&with(on, chain, key));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{expected}: {found:?}");
        assert!(!found[0].contains("PRIVATE KEY-----"), "{found:?}");
    }
}

#[test]
fn settings_without_effect_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    write_tls(folder.path());
    let (chain, key) = (folder.path().join("fullchain.pem"), folder.path().join("privkey.pem"));
    let ca = format!("\"{}\"", chain.display());
    for (lines, expected) in [
        ("", "[tls] certificate: no listener uses the certificate"),
        ("listeners = [\"publik\"]", "\"publik\" is not a listener"),
        ("listeners = [\"admin\"]\nhsts = \"1d\"", "[tls] hsts: this key needs TLS on the listener public"),
        ("listeners = [\"admin\"]\nredirect = \"127.0.0.1:80\"", "[tls] redirect: this key needs TLS on"),
        (
            "listeners = [\"public\"]\nredirect_port = 443",
            "[tls] redirect_port: this key is for the listener that",
        ),
        ("listeners = [\"public\"]\nredirect = \"127.0.0.1:8081\"", "another listener has the same address"),
        (
            &format!("listeners = [\"public\"]\ningest_client_ca = {ca}"),
            "[tls] ingest_client_ca: this key needs",
        ),
        (
            &format!("listeners = [\"public\"]\nadmin_client_ca = {ca}"),
            "[tls] admin_client_ca: this key needs",
        ),
        (
            "listeners = [\"admin\"]\nadmin_client_ca = \"/etc/hostname\"",
            "[tls] admin_client_ca: the file has no certif",
        ),
        ("listeners = [\"public\"]\nhsts = \"1s\"", "[tls] hsts: \"1s\" is out of range"),
    ] {
        let found = mistakes(&with(lines, &chain, &key));
        assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:?}");
    }
    let found = mistakes("[tls]\nlisteners = [\"public\"]");
    assert!(found[0].contains("there is no certificate; add [[tls.certificate]]"), "{found:?}");
    let shared = with(&format!("listeners = [\"ingest\"]\ningest_client_ca = {ca}"), &chain, &key);
    let shared = shared.replace("127.0.0.1:8081", "127.0.0.1:8080");
    assert!(mistakes(&shared)[0].contains("share a socket"), "browsers would be asked for certificates");
}

#[test]
fn a_socket_that_public_and_ingest_share_speaks_tls_for_both() {
    let folder = tempfile::tempdir().unwrap();
    write_tls(folder.path());
    let (chain, key) = (folder.path().join("fullchain.pem"), folder.path().join("privkey.pem"));
    let text = with("listeners = [\"ingest\"]", &chain, &key);
    let apart = parse(&text).unwrap();
    assert!(apart.tls.is_on(ListenerKind::Ingest) && !apart.tls.is_on(ListenerKind::Public));
    let shared = parse(&text.replace("127.0.0.1:8081", "127.0.0.1:8080")).unwrap();
    assert!(shared.tls.is_on(ListenerKind::Public) && !shared.tls.is_on(ListenerKind::Admin));
}

#[test]
fn a_certificate_that_expires_soon_or_is_not_valid_yet_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let now = std::time::SystemTime::now();
    let days = |days: u64| Duration::from_secs(days * 86_400);
    for (from, until, expected) in [
        (now - days(30), now + days(60), None),
        (now - days(30), now + days(13), Some("pay.example: it expires on ")),
        (now - days(30), now - days(1), Some("pay.example: it expired on ")),
        (now + days(1), now + days(60), Some("pay.example: it is valid from ")),
    ] {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["pay.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from.into(), until.into());
        fs::write(&chain, params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        let config = parse(&with("listeners = [\"public\"]", &chain, &key)).unwrap();
        let warnings = config.tls.warnings();
        match expected {
            None => assert!(warnings.is_empty(), "{warnings:?}"),
            Some(expected) => assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}"),
        }
        assert_eq!(config.tls.warnings(), config.warnings(Role::Stream));
    }
}

/// Whoever only signs tokens has neither the certificate nor its key.
#[test]
fn commands_that_need_no_certificate_do_not_read_it() {
    let nowhere = Path::new("/nowhere/tls.pem");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paystream.toml");
    fs::write(&path, with("listeners = [\"public\"]", nowhere, nowhere)).unwrap();
    assert!(Operating::load(&path, &Environment::new()).is_ok());
    assert!(Config::load(&path, &Environment::new()).is_err());
}
