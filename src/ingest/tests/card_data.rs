//! I8 for every preset: generated card data, anywhere in signed deliveries, leaves a gateway nowhere: not in answers, log lines, the
//! events and records of the operators' routes, streams, snapshots, metrics or the data folder.

mod card;

use super::{
    senders::{Keys, Post, Sender},
    *,
};
use crate::{
    access::OperatorRole,
    app::{App, Running},
    clock,
    config::{Config, Listen, Role, fresh_secret},
};
use aho_corasick::AhoCorasick;
use card::{Card, Place, card, place, salted};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{sample::Index, strategy::ValueTree as _, test_runner::TestRunner};
use reqwest::Client;
use std::{io, path::Path, sync::Mutex, time::Duration};

/// The number of deliveries of each fixture.
const SALTS: usize = 3;
/// The most fixtures of a preset that are delivered.
const CASES: usize = 12;

const ADMIN: &str = "an-admin-token-of-some-length";

/// Everything that left a gateway: where it left, and the text.
#[derive(Default)]
struct Doors(Vec<(String, String)>);

impl Doors {
    fn saw(&mut self, door: impl Into<String>, text: String) {
        self.0.push((door.into(), text));
    }

    fn check(&self, cards: &[(Card, String)]) {
        let forbidden =
            cards.iter().flat_map(|(card, how)| card.forbidden().into_iter().map(move |text| (text, how)));
        let forbidden: Vec<(String, &String)> = forbidden.collect();
        let search = AhoCorasick::new(forbidden.iter().map(|(text, _)| text)).unwrap();
        for (door, text) in &self.0 {
            if let Some(found) = search.find(text) {
                let (card, how) = &forbidden[found.pattern()];
                let before =
                    (0..=found.start().saturating_sub(200)).rev().find(|at| text.is_char_boundary(*at));
                let around: String = text[before.unwrap_or(0)..].chars().take(400).collect();
                panic!("{card} ({how}) came out by {door}: {around}");
            }
        }
    }
}

/// The log of the gateway, at every level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gateway {
    running: Running,
    client: Client,
    folder: tempfile::TempDir,
}

impl Gateway {
    async fn start(senders: &[Sender]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::dev(folder.path().join("data"), &fresh_secret()).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        config.listen = Listen { public: any, ingest: any, admin: any };
        config.operators.add("admin", OperatorRole::Write, &ADMIN.into()).unwrap();
        // A source whose ids are the shop's own would be exempt from the check.
        // Some fixtures tell of what has not happened yet.
        let max_future = Some(Duration::from_secs(365 * 86_400));
        let settings = |sender: &Sender| SourceSettings {
            shared_ids: false,
            max_future,
            ..sender.settings(&[Keys::New])
        };
        config.sources = senders.iter().map(|sender| Source::build(settings(sender)).unwrap()).collect();
        config.limits.failed_signatures_per_second = u32::MAX;
        config.limits.failed_signatures_per_peer = u32::MAX;
        let running = App::start(config, Role::All).await.unwrap();
        Self { running, client: Client::new(), folder }
    }

    async fn post(&self, source: &str, post: &Post, card: &Card, beside: bool) -> (u16, String) {
        let note = utf8_percent_encode(&card.written, NON_ALPHANUMERIC);
        let extra = if beside { format!("note={note}&cvv={}", card.mark) } else { String::new() };
        let url = format!("http://{}/webhooks/{source}?{}&{extra}", self.running.listen.ingest, post.query);
        let mut request = self.client.post(url).headers(post.headers.clone()).body(post.body.clone());
        if beside {
            request =
                request.header("x-note", card.amid().replace("\r\n", "")).header("user-agent", &card.digits);
            // The card also comes in headers that no signature covers, under the providers' own names.
            for name in [
                "x-razorpay-event-id",
                "x-shopify-event-id",
                "webhook-id",
                "x-delivery-id",
                "x-idempotency-key",
            ] {
                if !post.signed.headers.iter().any(|signed| signed == name) {
                    request = request.header(name, &card.written);
                }
            }
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn get(&self, address: std::net::SocketAddr, path: &str) -> String {
        let request = self.client.get(format!("http://{address}{path}"));
        // The public listener refuses this token, even if everyone may watch, so it gets none.
        let is_public = address == self.running.listen.public;
        let request = if is_public { request } else { request.bearer_auth(ADMIN) };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// Returns all records of a source, once there are as many as the source had events.
    async fn records(&self, source: &str) -> String {
        let admin = self.running.listen.admin;
        let metrics = self.get(admin, "/metrics").await;
        let prefix = format!(r#"paystream_events_total{{source="{source}","#);
        let counts = metrics.lines().filter(|line| line.starts_with(&prefix));
        let events: u64 = counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        loop {
            let deliveries = self.get(admin, &format!("/admin/sources/{source}/deliveries?limit=1024")).await;
            let listed: Value = serde_json::from_str(&deliveries).unwrap();
            if listed["records"].as_array().unwrap().len() as u64 >= events.min(1024) {
                let first = self.get(admin, &format!("/admin/sources/{source}/quarantine?limit=1024")).await;
                return deliveries + &first + &self.held(source).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns the quarantine of a source as operators see it: the list, and some of its records with their bodies.
    async fn held(&self, source: &str) -> String {
        let admin = self.running.listen.admin;
        let mut seen = self.get(admin, &format!("/admin/quarantine?source={source}&limit=1024")).await;
        let listed: Value = serde_json::from_str(&seen).unwrap();
        for id in
            listed["records"].as_array().unwrap().iter().filter_map(|record| record["id"].as_str()).take(32)
        {
            let shown = self.get(admin, &format!("/admin/quarantine/{id}")).await;
            assert!(shown.contains("\"kept\""), "{shown}");
            seen += &shown;
        }
        seen
    }

    /// Returns the snapshot of a payment, and its stream up to the snapshot.
    async fn watch(&self, payment: &str, mut live: reqwest::Response) -> String {
        let payment = utf8_percent_encode(payment, NON_ALPHANUMERIC);
        let snapshot = self.get(self.running.listen.public, &format!("/v1/payments/{payment}")).await;
        let seq = serde_json::from_str::<Value>(&snapshot).unwrap()["seq"].to_string();
        let mut seen = String::new();
        while !seen.contains(&format!(r#""seq":{seq},"#)) {
            seen.push_str(&String::from_utf8_lossy(&live.chunk().await.unwrap().unwrap()));
        }
        seen + &snapshot
    }

    async fn open(&self, payment: &str) -> reqwest::Response {
        let payment = utf8_percent_encode(payment, NON_ALPHANUMERIC);
        let url = format!("http://{}/v1/payments/{payment}/events", self.running.listen.public);
        self.client.get(url).send().await.unwrap()
    }
}

/// Returns the payment that a sender's fixture is about.
fn payment(sender: &Sender) -> String {
    match sender.preset {
        "stripe" => "pi_3PqJt2KZvKYlo2C1".to_owned(),
        "generic" | "generic-timestamped" => "pay_1".to_owned(),
        "standard-webhooks" | "svix" => "inv_1".to_owned(),
        "mercado-pago" => "msg_1".to_owned(),
        _ => {
            let said =
                sender.cases.iter().flat_map(|case| &case.says).find(|said| said.contains(": ")).unwrap();
            said.split(": ").next().unwrap().to_owned()
        }
    }
}

#[tokio::test]
async fn i8_card_data_anywhere_in_any_provider_s_deliveries_comes_out_nowhere() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info,paystream=trace")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber, a log line that another thread reaches first is switched off for all threads.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let logged = tracing::subscriber::set_default(subscriber);
    let senders = Sender::all();
    let gateway = Gateway::start(&senders).await;
    let (mut doors, mut cards) = (Doors::default(), Vec::new());
    let mut runner = TestRunner::default();
    let mut streams = Vec::new();
    for sender in &senders {
        streams.push(gateway.open(&payment(sender)).await);
        deliver(&gateway, sender, &mut runner, &mut doors, &mut cards).await;
    }
    let mut kept = Vec::new();
    for (sender, live) in senders.iter().zip(streams) {
        let records = gateway.records(sender.preset).await;
        // If the fixtures of another preset are about a payment of the same name, the payment belongs to the other provider.
        let is_taken =
            ["accepted", "other_provider"].iter().any(|word| records.contains(&format!("\"{word}\"")));
        assert!(is_taken, "{} had some accepted", sender.preset);
        kept.push(records.clone());
        doors.saw(format!("the records of {}", sender.preset), records);
        doors.saw(format!("a stream of {}", sender.preset), gateway.watch(&payment(sender), live).await);
    }
    doors.saw("the metrics", gateway.get(gateway.running.listen.admin, "/metrics").await);
    gateway.running.shutdown().await;
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    drop(logged);
    doors.saw("the log", log.clone());
    doors.saw("the data folder", text_below(gateway.folder.path()));
    assert!(doors.0.last().unwrap().1.contains("pi_3PqJt2KZvKYlo2C1"), "the data folder can be searched");
    doors.check(&cards);
    // The card data was seen, and masked or quarantined.
    for word in ["outcome=\"accepted\"", "reason=\"pan_like_id\"", "******"] {
        assert!(log.contains(word), "{word} is not in the log of {} bytes", log.len());
    }
    assert!(kept.concat().contains("******"));
}

/// Delivers each fixture with cards in several places, and also deliveries that are unsigned, unreadable or to an unknown source.
async fn deliver(
    gateway: &Gateway,
    sender: &Sender,
    runner: &mut TestRunner,
    doors: &mut Doors,
    cards: &mut Vec<(Card, String)>,
) {
    let preset = sender.preset;
    let strategy = (card(), place(), any::<Index>());
    // One delivery has no card data, so that there is something to watch.
    let (card, ..) = strategy.new_tree(runner).unwrap().current();
    let plain = sender.post(Keys::New, &sender.payload(), clock::now());
    assert_eq!(gateway.post(preset, &plain, &card, false).await.0, 200, "{preset}");
    for case in sender.cases.iter().take(CASES) {
        for _ in 0..SALTS {
            let (card, place, index) = strategy.new_tree(runner).unwrap().current();
            let payload = salted(sender, &sender.payload_of(case), &card, &place, index);
            let post = sender.post(Keys::New, &payload, clock::now());
            let (status, answer) = gateway.post(preset, &post, &card, matches!(place, Place::Beside)).await;
            assert_eq!(status, 200, "{preset}, {place:?}: {answer}\n{payload}");
            doors.saw(format!("an answer to {preset}"), answer);
            cards.push((card, format!("{place:?} in {preset}: {payload}")));
        }
    }
    let (card, ..) = strategy.new_tree(runner).unwrap().current();
    let payload = salted(
        sender,
        &sender.payload(),
        &card,
        &Place::Nested,
        any::<Index>().new_tree(runner).unwrap().current(),
    );
    let signed = sender.post(Keys::New, &payload, clock::now());
    let coded = http::HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
    let unsigned = Post {
        headers: http::HeaderMap::new(),
        query: String::new(),
        ..sender.post(Keys::Old, &payload, clock::now())
    };
    let unreadable = sender.post_raw(Keys::New, card.amid().into_bytes(), clock::now());
    for post in [Post { headers: coded, ..signed }, unsigned].into_iter().chain(unreadable) {
        for source in [preset, &card.digits] {
            let (status, answer) = gateway.post(source, &post, &card, true).await;
            assert!(status < 500, "{preset}: {answer}");
            doors.saw(format!("an answer to {preset}"), answer);
        }
    }
    cards.push((card, format!("in what {preset} did not sign")));
}

/// Returns the contents of all files below a folder, as text where possible.
fn text_below(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&text_below(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    all
}
