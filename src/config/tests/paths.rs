//! Relative paths: a configuration file means the same wherever the program is started.

use super::{DEFAULT, environment_of};
use crate::{
    config::Config,
    store::{self, embedded},
};
use std::{env, fs, path::PathBuf};

const PRESET: &str = "name = \"acme-pay\"\nextends = \"generic\"\n";
const TOKEN: &str = "0123456789abcdefgh";

fn embedded(config: &Config) -> &embedded::Settings {
    let store::Settings::Embedded(settings) = &config.store else { panic!("{}", config.store) };
    settings
}

/// The store and the secrets were searched in the working directory, so a gateway that was started elsewhere silently created an empty
/// store.
#[test]
fn relative_paths_of_the_file_begin_at_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("presets")).unwrap();
    fs::write(root.join("presets/acme.toml"), PRESET).unwrap();
    fs::write(root.join("token"), TOKEN).unwrap();
    let file = root.join("paystream.toml");
    let load = |text: &str| {
        fs::write(&file, text).unwrap();
        Config::load(&file, &environment_of(&[])).unwrap()
    };
    assert_ne!(env::current_dir().unwrap(), root);
    for (path, expected) in [("./data", "data"), ("data", "data"), ("../elsewhere", "../elsewhere")] {
        let config = load(&format!("[store]\npath = \"{path}\""));
        assert_eq!(embedded(&config).path, root.join(expected), "{path}");
    }
    for text in ["", "[store]\nkind = \"embedded\"", DEFAULT] {
        assert_eq!(embedded(&load(text)).path, root.join("paystream-data"), "{text}");
    }
    assert_eq!(embedded(&load("[store]\npath = \"/var/lib/ps\"")).path, PathBuf::from("/var/lib/ps"));

    let config = load("[admin]\ntoken = \"file:token\"");
    assert!(config.operators.who_has(TOKEN.as_bytes()).is_some());
    for provider in ["presets/acme.toml", "./presets/acme.toml"] {
        let config = load(&format!(
            "[[source]]\nname = \"a\"\nprovider = \"{provider}\"\nsecrets = [\"env:ACME_SECRET\"]"
        ));
        assert_eq!(config.sources[0].provider(), "acme-pay");
    }
    let config = load("[store]\nkind = \"redis\"\nurl = \"rediss://h\"\nca = \"ca.pem\"");
    let store::Settings::Redis(settings) = &config.store else { panic!("{}", config.store) };
    assert_eq!(settings.ca, Some(root.join("ca.pem")));
}

/// If the path of the file itself is relative, the paths in it still become absolute.
#[test]
fn the_store_of_a_relative_file_is_absolute_too() {
    let config = Config::parse("../gw/paystream.toml", "", &environment_of(&[])).unwrap();
    assert_eq!(embedded(&config).path, env::current_dir().unwrap().join("../gw/paystream-data"));
}

#[test]
fn relative_paths_of_the_environment_begin_at_the_working_directory() {
    let here = env::current_dir().unwrap();
    let folder = tempfile::tempdir_in(&here).unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let token = format!("file:{name}/token");
    let environment =
        environment_of(&[("PAYSTREAM__STORE__PATH", "./data"), ("PAYSTREAM__ADMIN__TOKEN", &token)]);
    let config = Config::parse("/etc/paystream/paystream.toml", "", &environment).unwrap();
    assert_eq!(embedded(&config).path, here.join("data"));
    assert!(config.operators.who_has(TOKEN.as_bytes()).is_some());
}

/// This is how `--config <(…)` and `--config /dev/stdin` work.
#[test]
fn a_file_that_is_piped_in_has_the_working_directory_for_its_folder() {
    let config = Config::parse("/dev/null", "", &environment_of(&[])).unwrap();
    assert_eq!(embedded(&config).path, env::current_dir().unwrap().join("paystream-data"));
}

#[test]
fn a_missing_file_has_a_remedy() {
    let error = Config::load(&PathBuf::from("/nowhere/paystream.toml"), &environment_of(&[]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("paystream check --print-default"), "{error}");
}
