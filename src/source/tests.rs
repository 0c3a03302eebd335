mod in_parts;

use super::*;
use std::time::Duration;

fn settings(provider: &str, secrets: &[&str]) -> SourceSettings {
    let secrets = secrets.iter().map(|secret| (*secret).into()).collect();
    SourceSettings { secrets, ..SourceSettings::new("acme", provider, "default".parse().unwrap(), "".into()) }
}

#[test]
fn a_mistake_in_the_settings_is_told_with_its_key_and_without_the_secret() {
    let good = "whsec_8f3b1c2d9a7e";
    let with = |change: &dyn Fn(&mut SourceSettings)| {
        let mut settings = settings("stripe", &[good]);
        change(&mut settings);
        settings
    };
    for (settings, expected) in [
        (settings("paypall", &[good]), "provider: there is no preset `paypall`; allowed: "),
        (settings("standard-webhooks", &[good]), "provider: standard-webhooks: map: "),
        (settings("stripe", &[]), "secrets: none is given"),
        (settings("stripe", &[good, "hunter2"]), "secrets[1]: it is shorter than 8 bytes"),
        (settings("stripe", &["changeme"]), "secrets[0]: it is a placeholder"),
        (
            settings("square", &[good]),
            "options.notification_url: it is missing: the notification URL exactly",
        ),
        (
            with(&|s| drop(s.options.insert("capture".into(), "manual".into()))),
            "options.capture: this preset has no such option; allowed: none",
        ),
        (with(&|s| s.payment = Some(vec![])), "payment: no pointer is given"),
        (with(&|s| s.payment = Some(vec!["/a".into(), "b".into()])), "payment[1]: `b`: not a JSON pointer"),
        (
            with(&|s| s.provider = Provider::File("/nowhere/acme.toml".into())),
            "provider: /nowhere/acme.toml: file: ",
        ),
    ] {
        let secrets = settings.secrets.clone();
        let text = Source::build(settings).unwrap_err().to_string();
        assert!(text.starts_with(expected), "{text}");
        for secret in &secrets {
            assert!(!text.contains(secrecy::ExposeSecret::expose_secret(&secret.text)), "{text}");
        }
    }
}

#[test]
fn a_preset_may_be_a_file_of_the_user_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.toml");
    std::fs::write(&path, "name = \"acme-pay\"\nextends = \"generic\"\n").unwrap();
    let built = Source::build(SourceSettings {
        provider: Provider::File(path.clone()),
        ..settings("", &["8f3b1c2d"])
    });
    let built = built.unwrap();
    assert_eq!((built.provider(), built.name(), built.realm().as_str()), ("acme-pay", "acme", "default"));
    assert!(!format!("{built:?}").contains("8f3b1c2d"));
    let wrong = Source::build(SourceSettings {
        provider: Provider::Builtin(path.display().to_string()),
        ..settings("", &[])
    });
    assert!(matches!(wrong, Err(SourceError::UnknownPreset { .. })));
}

#[test]
fn an_age_can_be_limited_only_where_a_time_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timeless.toml");
    let text = "name = \"timeless\"\nextends = \"generic\"\n[signature]\nheader = \"x-sig\"\n\
                algorithm = \"hmac-sha256\"\nencoding = \"hex\"\nkey = \"utf8\"\nsigned = [\"{body}\"]\n";
    std::fs::write(&path, text).unwrap();
    let limited = |provider| {
        let max_age = Some(Duration::from_secs(60));
        Source::build(SourceSettings { provider, max_age, ..settings("", &["8f3b1c2d"]) })
    };
    assert!(limited(Provider::Builtin("generic".to_owned())).is_ok());
    assert_eq!(
        limited(Provider::File(path)).err(),
        Some(SourceError::NoTime { provider: "timeless".into() })
    );
}

#[test]
fn a_registry_is_replaced_as_a_whole() {
    let source = |name: &str| {
        let (realm, secret) = ("shop".parse().unwrap(), "8f3b1c2d9a7e55aa".into());
        Source::build(SourceSettings::new(name, "generic", realm, secret)).unwrap()
    };
    let sources = Sources::new(vec![source("acme")]);
    assert!(sources.get("acme").is_some() && sources.get("other").is_none());
    sources.replace(vec![source("other")]);
    assert!(sources.get("acme").is_none() && sources.get("other").is_some());
}
