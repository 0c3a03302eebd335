//! `paystream trigger`: for every preset and every scenario that it has, the payment really gets the status that the list names.

use crate::support::{GENERIC_SECRET, Gateway, Setup, Source, eventually, paystream};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// How a customer's card number looks in the scenario `card-number`, and without its spaces.
const CARDS: [&str; 2] = ["4242 4242 4242 4242", "4242424242424242"];

/// The preset file of the documentation ("Add a provider").
const OWN: &str = r#"
name = "acme-pay"
extends = "standard-webhooks"

[event]
payment = ["/data/id"]
amounts = "minor"

[[map]]
type = ["invoice.paid"]
facts = [{ fact = "phase", is = "captured", amount = "/data/amount", currency = "/data/currency" }]
"#;

/// The same preset's webhooks, for `--webhooks`.
const OWN_WEBHOOKS: &str = r#"
[[objects]]
data = '''{"type":"$type","timestamp":"$time","data":{"id":"$payment","amount":$amount,"currency":"$currency","origin":"own"}}'''
events = { captured = "invoice.paid" }
"#;

/// The private keys of the providers that sign with one, as a developer makes them.
struct Keys {
    folder: TempDir,
    paypal: KeyPair,
    wise: KeyPair,
    plaid: KeyPair,
}

impl Keys {
    fn make() -> Self {
        let rsa = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let (paypal, wise, plaid) = (rsa(), rsa(), KeyPair::generate().unwrap());
        let folder = TempDir::new().unwrap();
        for (name, pair) in [("paypal", &paypal), ("wise", &wise), ("plaid", &plaid)] {
            fs::write(folder.path().join(name), pair.serialize_pem()).unwrap();
        }
        Self { folder, paypal, wise, plaid }
    }

    /// The file with the private key for a source, if its provider signs with one.
    fn path(&self, source: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(source)).filter(|path| path.exists())
    }

    fn jwk(&self) -> String {
        let point = self.plaid.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y, "expired_at": null }).to_string()
    }
}

/// Every preset, by name, as `trigger --list --json` tells it.
fn listed() -> BTreeMap<String, Value> {
    let output = paystream().args(["trigger", "--list", "--json"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let presets = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    presets.map(|preset| (preset["provider"].as_str().unwrap().to_owned(), preset)).collect()
}

/// A source of a preset, with a secret of ours.
fn source(preset: &str, keys: &Keys, folder: &Path) -> Source {
    let secret = match preset {
        "standard-webhooks" | "svix" => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
        "adyen" | "adyen-platform" => "8f3b1c2d9a7e55aa8f3b1c2d9a7e55aa".to_owned(),
        "braintree" | "klarna" | "worldpay" => format!("key-1:{GENERIC_SECRET}"),
        "paypal" => CertificateParams::new(Vec::new()).unwrap().self_signed(&keys.paypal).unwrap().pem(),
        "wise" => keys.wise.public_key_pem(),
        "plaid" => keys.jwk(),
        _ => GENERIC_SECRET.to_owned(),
    };
    let mut source = Source::new(preset, preset, "default", &secret);
    source.more = match preset {
        "square" => "options = { notification_url = \"https://pay.example/webhooks/square\" }".to_owned(),
        "dlocal-go" => "options = { api_key = \"api-key-1\" }".to_owned(),
        "paypal" => "options = { webhook_id = \"8PT597110X687430L\" }".to_owned(),
        "authorize-net" => "currency = \"EUR\"".to_owned(),
        _ => String::new(),
    };
    if ["standard-webhooks", "svix"].contains(&preset) {
        let file = folder.join(format!("{preset}.toml"));
        fs::write(&file, OWN.replace("standard-webhooks", preset)).unwrap();
        source.provider = file.display().to_string();
    }
    source
}

fn trigger(gateway: &Gateway, keys: &Keys, source: &str, arguments: &[&str]) -> Command {
    let mut command = paystream();
    command.args(["trigger", "--source", source, "--fast", "--json", "--config"]).arg(gateway.config_path());
    if let Some(path) = keys.path(source) {
        command.arg("--signing-key").arg(format!("file:{}", path.display()));
    }
    command.args(arguments);
    command
}

/// Runs a command on a blocking thread, so that the gateway is asked meanwhile.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {output:?}")))
        .collect()
}

/// Three presets could be triggered, and of the others the queries were dropped and the signatures of adapters left out.
#[tokio::test]
async fn every_scenario_of_every_preset_ends_in_the_status_that_the_list_names() {
    let (keys, folder, presets) = (Keys::make(), TempDir::new().unwrap(), listed());
    assert_eq!(presets.len(), 39);
    let sources = presets.keys().map(|preset| source(preset, &keys, folder.path())).collect();
    let mut gateway = Gateway::with(Setup { sources, ..Setup::default() }).await;
    let names: Vec<&String> = presets.keys().collect();
    for few in names.chunks(4) {
        join_all(few.iter().map(async |preset| {
            let output = run(trigger(&gateway, &keys, preset, &["--payment", preset, "all"])).await;
            assert_eq!(output.status.code(), Some(0), "{preset}: {output:#?}");
            check_answers(preset, &lines(&output));
        }))
        .await;
    }
    let mut scenarios = 0;
    for (preset, told) in &presets {
        for (scenario, status) in told["ends_as"].as_object().unwrap() {
            let payment = format!("{preset}-{scenario}");
            eventually(&format!("{payment} is {status}"), async || {
                gateway.snapshot(&payment).await["status"] == *status
            })
            .await;
            scenarios += 1;
        }
    }
    assert!(scenarios > 400, "{scenarios}");
    assert_eq!(gateway.events(&["outcome=\"quarantined\""]).await, 0, "{}", gateway.log());
    gateway.stop().await;
    no_card_is_kept(&gateway.data_path());
    assert!(CARDS.iter().all(|card| !gateway.log().contains(card)));
}

/// What has to be refused is refused for the right reason, and all else is taken.
fn check_answers(preset: &str, lines: &[Value]) {
    for line in lines {
        let allowed: &[u16] = match line["scenario"].as_str().unwrap() {
            "forged" | "stale" => &[400, 401, 498],
            "giant" => &[413],
            _ => &[200],
        };
        let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
        assert!(allowed.contains(&status) && line["as_expected"] == true, "{preset}: {line}");
        let reason = |word: &str| line["body"].as_str().unwrap().contains(word);
        let is_right = match line["scenario"].as_str().unwrap() {
            "stale" => reason("stale_timestamp"),
            "forged" => reason("bad_signature"),
            _ => true,
        };
        assert!(is_right, "{preset}: {line}");
    }
}

fn no_card_is_kept(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_card_is_kept(&path);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for card in CARDS {
            let found = bytes.windows(card.len()).any(|part| part == card.as_bytes());
            assert!(!found, "a card number is in {}", path.display());
        }
    }
}

#[test]
fn the_list_tells_every_preset_what_it_has_and_why_it_lacks_the_rest() {
    let presets = listed();
    for (preset, told) in &presets {
        let (has, misses) = (told["ends_as"].as_object().unwrap(), told["missing"].as_object().unwrap());
        assert_eq!(has.len() + misses.len(), 17, "{preset}");
        assert!(misses.values().all(|why| why.as_str().unwrap().len() > 20), "{preset}: {misses:?}");
        let is_hint = told["hint"] == true;
        assert!(!is_hint || has.values().all(|status| status == "unknown"), "{preset}");
    }
    assert_eq!(presets["stripe"]["ends_as"]["dispute-won"], "captured");
    assert_eq!(presets["klarna"]["ends_as"]["happy"], "authorized");
    let why = presets["generic"]["missing"]["three-d-secure"].as_str().unwrap();
    assert!(why.contains("the customer has to confirm"), "{why}");
    let output = paystream().args(["trigger", "--list"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("--signing-key") && text.contains("[source.api]"), "{text}");
}

#[tokio::test]
async fn a_source_with_public_keys_alone_says_which_key_it_needs() {
    let (keys, folder) = (Keys::make(), TempDir::new().unwrap());
    let sources = ["paypal", "wise", "plaid"].map(|preset| source(preset, &keys, folder.path())).into();
    let gateway = Gateway::with(Setup { sources, ..Setup::default() }).await;
    for preset in ["paypal", "wise", "plaid"] {
        let bare = || {
            let mut command = paystream();
            command
                .args(["trigger", "--payment", "p", "--source", preset, "--config"])
                .arg(gateway.config_path());
            command
        };
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let output = run(bare()).await;
        assert_eq!(output.status.code(), Some(2), "{preset}: {output:?}");
        assert!(said(&output).contains("with --signing-key"), "{preset}: {}", said(&output));
        let (other, expected) = match preset {
            "paypal" => ("wise", "private half of the first key"),
            "wise" => ("plaid", "an RSA key is needed"),
            _ => ("wise", "a key on the curve P-256 is needed"),
        };
        let mut command = bare();
        command.arg("--signing-key").arg(format!("file:{}", keys.path(other).unwrap().display()));
        let output = run(command).await;
        assert_eq!(output.status.code(), Some(2), "{preset} with {other}: {output:?}");
        assert!(said(&output).contains(expected), "{preset} with {other}: {}", said(&output));
        let mut command = bare();
        command.args(["--signing-key", "file:/proc/self/status"]);
        let output = run(command).await;
        assert!(said(&output).contains("no private key in PEM"), "{}", said(&output));
        // A forger needs no key.
        let mut command = bare();
        command.arg("forged");
        assert_eq!(run(command).await.status.code(), Some(0), "{preset}");
    }
}

#[tokio::test]
async fn a_preset_of_one_s_own_is_triggered_by_webhooks_of_one_s_own() {
    let (keys, folder) = (Keys::make(), TempDir::new().unwrap());
    let sources = vec![source("standard-webhooks", &keys, folder.path())];
    let gateway = Gateway::with(Setup { sources, ..Setup::default() }).await;
    let file = folder.path().join("webhooks.toml");
    fs::write(&file, OWN_WEBHOOKS).unwrap();
    let file = file.display().to_string();
    let arguments = ["--payment", "pay_1", "--webhooks", &file];
    let output = run(trigger(&gateway, &keys, "standard-webhooks", &arguments)).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    eventually("it is captured", async || gateway.snapshot("pay_1").await["status"] == "captured").await;
    fs::write(&file, "objects = 1").unwrap();
    let output = run(trigger(&gateway, &keys, "standard-webhooks", &arguments)).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// A gateway that takes what it should refuse is found out.
#[tokio::test]
async fn trigger_fails_if_a_scenario_that_has_to_be_refused_is_taken() {
    let (keys, gateway) = (Keys::make(), Gateway::start().await);
    let limits = "body_bytes = 2097152";
    let wider = Gateway::with(Setup::limits(limits)).await;
    // The giant is as large as the limit of the other gateway says.
    let url = format!("http://{}", wider.ingest);
    let output = run(trigger(&gateway, &keys, "acme", &["--payment", "p", "giant", "--url", &url])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("should have refused"), "{output:?}");
    let output = run(trigger(&gateway, &keys, "acme", &["--payment", "p", "stale"])).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("takes a webhook of any age"), "{output:?}");
}
