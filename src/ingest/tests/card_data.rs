//! I8 over every preset: card data, generated and put anywhere into deliveries that are signed, comes out of no door of a gateway:
//! answers, log lines, events and records as the operators' routes show them, streams, snapshots, metrics, the data folder.

use super::{
    senders::{Keys, Post, Sender},
    *,
};
use crate::{
    app::{App, Running},
    clock,
    config::{Config, Listen, Role},
    ingest::preset::raw::BodyForm,
};
use aho_corasick::AhoCorasick;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use reqwest::Client;
use std::{io, path::Path};

/// Deliveries of each fixture, and the most fixtures of a preset.
const SALTS: usize = 3;
const CASES: usize = 12;

const ADMIN: &str = "an-admin-token-of-some-length";

/// A card, as somebody wrote it into a payload.
#[derive(Clone, Debug)]
struct Card {
    digits: String,
    written: String,
    /// Digits.
    cvv: String,
    /// What no digits of anything else can be: it stands where a code or track would.
    mark: String,
}

/// Where it was written.
#[derive(Clone, Debug)]
enum Place {
    /// In place of a text or number.
    Instead,
    /// As a number.
    Number,
    /// Amid a text, with its code.
    Amid,
    /// As a key, with another beside it whose name says what it holds.
    Key(&'static str),
    /// In an object of its own.
    Nested,
    /// Beside the body.
    Around,
}

/// The networks' prefixes, and how many digits their numbers have.
const SCHEMES: [(&str, usize); 20] = [
    ("4", 13),
    ("4", 16),
    ("4", 19),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("65", 16),
    ("36", 14),
    ("38", 14),
    ("3528", 16),
    ("3589", 16),
    ("62", 17),
    ("62", 19),
    ("50", 13),
    ("6759", 18),
    ("2200", 16),
];

const CARD_KEYS: [&str; 10] = [
    "cvc",
    "CVV",
    "cvv2",
    "security_code",
    "card_number",
    "cardNo",
    "pan",
    "track1",
    "track2_data",
    "pin_block",
];

fn card() -> impl Strategy<Value = Card> {
    let digits = (select(SCHEMES.to_vec()), proptest::collection::vec(0_u32..10, 19)).prop_map(
        |((prefix, length), random)| {
            let random = random.iter().filter_map(|digit| char::from_digit(*digit, 10));
            let body: String = prefix.chars().chain(random).take(length - 1).collect();
            let check =
                (0..10).map(|check| format!("{body}{check}")).find(|number| redact::is_pan_like(number));
            check.expect("one of ten digits passes")
        },
    );
    let groups = select(vec![(" ", false), ("-", false), ("", false), ("", false), (" ", true), ("-", true)]);
    (digits, groups, "[0-9]{3,4}", "[a-z]{12}").prop_map(|(digits, (gap, amex), cvv, mark)| {
        let breaks: &[usize] = if amex { &[4, 10] } else { &[4, 8, 12, 16] };
        let mut written = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if breaks.contains(&place) {
                written.push_str(gap);
            }
            written.push(digit);
        }
        Card { digits, written, cvv, mark }
    })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        3 => Just(Place::Instead),
        2 => Just(Place::Number),
        2 => Just(Place::Amid),
        2 => select(CARD_KEYS.to_vec()).prop_map(Place::Key),
        1 => Just(Place::Nested),
        1 => Just(Place::Around),
    ]
}

impl Card {
    /// What may be found nowhere. The first six digits and the last four may be shown.
    fn forbidden(&self) -> Vec<String> {
        let Self { digits, written, cvv, mark } = self;
        let mut all = vec![digits.clone(), written.clone()];
        // Fewer digits may well be those of a time.
        all.extend(digits.get(..digits.len() - 4).filter(|start| start.len() > 10).map(str::to_owned));
        all.extend([mark.clone(), format!("cvv={cvv}"), format!("cvc: {cvv}"), format!("cvc\":\"{cvv}")]);
        all
    }

    fn amid(&self) -> String {
        format!(
            "card {}, cvv={} \r\n \"cvc\":\"{}\" track2=;{}=",
            self.written, self.cvv, self.cvv, self.digits
        )
    }
}

/// The payload with the card in it.
fn salted(sender: &Sender, payload: &Value, card: &Card, place: &Place, index: Index) -> Value {
    let mut payload = payload.clone();
    let (mut leaves, mut objects) = (Vec::new(), Vec::new());
    places(&payload, String::new(), &mut leaves, &mut objects);
    leaves.retain(|at| !sender.exempt.contains(&within_event(sender, at)));
    let leaf = leaves.get(index.index(leaves.len().max(1))).and_then(|at| payload.pointer_mut(at));
    match (place, leaf) {
        (Place::Instead, Some(leaf)) => *leaf = card.written.clone().into(),
        (Place::Number, Some(leaf)) => *leaf = serde_json::from_str(&card.digits).unwrap(),
        (Place::Amid, Some(leaf)) => *leaf = card.amid().into(),
        _ => {}
    }
    let object = objects.get(index.index(objects.len().max(1))).and_then(|at| payload.pointer_mut(at));
    let Some(object) = object.and_then(Value::as_object_mut) else { return payload };
    match place {
        // No element of XML begins with a digit.
        Place::Key(key) => {
            let number = if sender.body == BodyForm::Json {
                card.written.clone()
            } else {
                format!("n{}", card.digits)
            };
            object.insert(number.replace(' ', "-"), "x".into());
            object.insert((*key).to_owned(), card.mark.clone().into());
        }
        Place::Nested => {
            let card = json!({ "number": card.digits, "cvc": card.mark, "holder": { "note": [card.amid(), card.written] } });
            object.insert("x-card".to_owned(), card);
        }
        _ => {}
    }
    payload
}

/// The pointers to all scalars and to all objects.
fn places(value: &Value, at: String, leaves: &mut Vec<String>, objects: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                places(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), leaves, objects);
            }
            objects.push(at);
        }
        Value::Array(items) => {
            (0..)
                .zip(items)
                .for_each(|(index, item): (usize, _)| places(item, format!("{at}/{index}"), leaves, objects));
        }
        Value::Null => {}
        _ => leaves.push(at),
    }
}

/// A pointer into a payload as the mapping has it, which begins at an event.
fn within_event(sender: &Sender, at: &str) -> String {
    let item = sender.each.as_ref().and_then(|each| at.strip_prefix(each.as_str())?.strip_prefix('/'));
    let within = item.map_or(at, |item| item.find('/').map_or("", |slash| &item[slash..]));
    // An expanded object stands for its id.
    within.to_owned()
}

/// Everything that came out of a gateway.
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

/// What is logged, at every level of ours.
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
        let mut config = Config::dev(folder.path().join("data"));
        let any = "127.0.0.1:0".parse().unwrap();
        config.listen = Listen { public: any, ingest: any, admin: any };
        config.admin_token = Some(ADMIN.into());
        config.sources = senders.iter().map(|sender| sender.settings(&[Keys::New])).collect();
        config.limits.failed_signatures_per_second = u32::MAX;
        let running = App::start(config, Role::All).await.unwrap();
        Self { running, client: Client::new(), folder }
    }

    async fn post(&self, source: &str, post: &Post, card: &Card, around: bool) -> (u16, String) {
        let note = utf8_percent_encode(&card.written, NON_ALPHANUMERIC);
        let extra = if around { format!("note={note}&cvv={}", card.mark) } else { String::new() };
        let url = format!("http://{}/webhooks/{source}?{}&{extra}", self.running.listen.ingest, post.query);
        let mut request = self.client.post(url).headers(post.headers.clone()).body(post.body.clone());
        if around {
            request =
                request.header("x-note", card.amid().replace("\r\n", "")).header("user-agent", &card.digits);
            // What comes in headers that no signature covers, under the providers' own names.
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
        // A token that is none is refused, also where everyone may watch.
        let is_public = address == self.running.listen.public;
        let request = if is_public { request } else { request.bearer_auth(ADMIN) };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// All of a source's records, once there are as many as it had events.
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
                return deliveries
                    + &self.get(admin, &format!("/admin/sources/{source}/quarantine?limit=1024")).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A payment's snapshot, and its stream up to there.
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

/// The payment that a fixture is about.
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
        assert!(records.contains("\"accepted\""), "{} had some accepted", sender.preset);
        kept.push(records.clone());
        doors.saw(format!("the records of {}", sender.preset), records);
        doors.saw(format!("a stream of {}", sender.preset), gateway.watch(&payment(sender), live).await);
    }
    doors.saw("the metrics", gateway.get(gateway.running.listen.admin, "/metrics").await);
    gateway.running.shutdown().await;
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    drop(logged);
    // It was seen, and kept from leaving.
    assert!(
        log.contains("outcome=\"accepted\"")
            && log.contains("reason=\"pan_like_id\"")
            && log.contains("******")
    );
    assert!(kept.concat().contains("******"));
    doors.saw("the log", log);
    doors.saw("the data folder", text_below(gateway.folder.path()));
    assert!(doors.0.last().unwrap().1.contains("pi_3PqJt2KZvKYlo2C1"), "the data folder can be searched");
    doors.check(&cards);
}

/// Each fixture with cards in several places; and what is not signed, not to be read, or to nobody.
async fn deliver(
    gateway: &Gateway,
    sender: &Sender,
    runner: &mut TestRunner,
    doors: &mut Doors,
    cards: &mut Vec<(Card, String)>,
) {
    let preset = sender.preset;
    let strategy = (card(), place(), any::<Index>());
    for case in sender.cases.iter().take(CASES) {
        for _ in 0..SALTS {
            let (card, place, index) = strategy.new_tree(runner).unwrap().current();
            let payload = salted(sender, &sender.payload_of(case), &card, &place, index);
            let post = sender.post(Keys::New, &payload, clock::now());
            let (status, answer) = gateway.post(preset, &post, &card, matches!(place, Place::Around)).await;
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

/// All that the files below a folder hold, as text where it is text.
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
