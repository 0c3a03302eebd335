//! Properties of every preset: what passes its recipe, and what its mapping makes of a payload.

use crate::{
    fuzzing::request::{NOW_S, Request, now},
    payment::{Event, Fact, MAX_FACTS, Name, State, Subject, Time},
    redact,
    source::{
        Source,
        mapping::EventSummary,
        payload::{self, BodyForm, OptionValues, RequestParts, Unclear, is_within},
        preset,
        settings::{Provider, SourceSettings},
        verify::{
            Carrier, Piece, Recipe, RecipeVerifier, Signer, TimeLimits, UnsignedDelivery, adapter_fuzzing,
        },
    },
};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeSet, io::Write as _, sync::LazyLock};

/// How many levels deep payloads may nest, which is the default of the limit.
const DEPTH: usize = 32;

/// The byte between the payloads of one input: the record separator of RFC 7464.
const SEPARATOR: u8 = 0x1e;

/// The most events of one input. The fold is compared over all of them.
const MAX_EVENTS: usize = 16;

/// A preset, and the secret and options with which the corpus is signed for it.
#[derive(Deserialize)]
struct Vector {
    preset: String,
    secret: String,
    #[serde(default)]
    options: OptionValues,
}

/// The vectors of `tests/clients/oracles/sign.py`.
static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../fixtures/signed.json")).expect("the vectors are JSON")
});

/// The vectors that were signed by private keys, which nobody kept.
static BY_KEYS: LazyLock<Vec<Vector>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../fixtures/signed-by-keys.json")).expect("the vectors are JSON")
});

/// A public key that signs nothing in the corpus.
const PUBLIC_KEY: &str = include_str!("../../access/testdata/rsa.pub.pem");
/// A certificate whose key signs nothing in the corpus.
const CERTIFICATE: &str = include_str!("../fixtures/adapters/paypal.pem");

/// A recipe, with a secret that the corpus is signed with, and another that nothing is signed with.
struct Bench {
    recipe: Recipe,
    options: OptionValues,
    known: RecipeVerifier,
    unknown: RecipeVerifier,
    /// Whether we can sign. For some recipes this takes a private key that nobody kept.
    signs: bool,
}

impl Bench {
    fn new(name: &str) -> Self {
        let recipe = preset::recipe_of(name);
        let Vector { secret, options, .. } = vector(name).expect(name);
        let verifier = |secret: String| {
            RecipeVerifier::new(recipe.clone(), &[secret.into()], TimeLimits::default())
                .expect("it is a secret")
        };
        let (known, unknown) = (verifier(secret.clone()), verifier(other(name, secret)));
        let signs = VECTORS.iter().any(|vector| vector.preset == name);
        Self { recipe, options: options.clone(), known, unknown, signs }
    }
}

fn vector(name: &str) -> Option<&'static Vector> {
    VECTORS.iter().chain(BY_KEYS.iter()).find(|vector| vector.preset == name)
}

/// Returns another key, or a secret that differs in one character which both hexadecimal and base 64 allow.
fn other(name: &str, secret: &str) -> String {
    match name {
        "paypal" => return CERTIFICATE.to_owned(),
        "wise" => return PUBLIC_KEY.to_owned(),
        _ => {}
    }
    let (start, end) = secret.split_at(secret.len() - 10);
    let changed = if end.starts_with('0') { '1' } else { '0' };
    format!("{start}{changed}{}", &end[1..])
}

/// Nobody passes without the secret, whatever the request; a request that passes does so only with that body; and what the
/// provider signs passes whatever else is in the request, but not once a byte of it has changed.
pub fn recipe(input: &[u8]) {
    static BENCHES: LazyLock<Vec<(&str, Bench)>> =
        LazyLock::new(|| preset::recipes().into_iter().map(|name| (name, Bench::new(name))).collect());
    let request = Request::read(input);
    let (name, bench) = request.pick(&BENCHES);
    let parts = RequestParts { headers: &request.headers, query: request.query, options: &bench.options };
    assert!(bench.unknown.verify(parts, request.body, now()).is_err(), "{name}");
    let tampered = [request.body, b"x"].concat();
    let signs_body = bench.recipe.signs(&Piece::Body);
    if bench.known.verify(parts, request.body, now()).is_ok() && signs_body {
        assert!(bench.known.verify(parts, &tampered, now()).is_err(), "{name}");
    }
    if !bench.signs {
        return;
    }
    let signed = signed(request, bench);
    let parts = RequestParts { headers: &signed.headers, query: &signed.query, options: &bench.options };
    assert_eq!(bench.known.verify(parts, signed.body, now()), Ok(()), "{name}");
    assert!(bench.unknown.verify(parts, signed.body, now()).is_err(), "{name}");
    if signs_body {
        assert!(bench.known.verify(parts, &tampered, now()).is_err(), "{name}");
    }
    let later = Time::from_unix_s(NOW_S + 24 * 60 * 60).expect("it is a time");
    let limited = bench.recipe.time.as_ref().is_some_and(|time| time.max_age.is_some());
    assert_eq!(bench.known.verify(parts, signed.body, later).is_err(), limited, "{name}");
}

/// A request that was signed. One line with signatures of its own may precede ours, and whatever could be taken for what we sign
/// is removed.
struct Signed<'a> {
    headers: http::HeaderMap,
    query: String,
    body: &'a [u8],
}

fn signed<'a>(request: Request<'a>, bench: &Bench) -> Signed<'a> {
    const ID: &str = "msg_1";
    let delivery = UnsignedDelivery::new(request.body, ID, now());
    let ours =
        bench.known.sign(&delivery, Signer::Secret, &bench.options).expect("it has a secret to sign with");
    let mut headers = request.headers;
    headers.remove(ID);
    for (name, _) in &ours.headers {
        let name: HeaderName = name.parse().expect("it is a header's name");
        let line = headers.remove(&name).filter(|line| line.len() < 64);
        if let (true, Some(line)) = (bench.recipe.carrier == Carrier::Header(name.clone()), line) {
            headers.append(name, line);
        }
    }
    for (name, value) in &ours.headers {
        let name: HeaderName = name.parse().expect("it is a header's name");
        headers.append(name, HeaderValue::try_from(value).expect("it is a header's value"));
    }
    let theirs = form_urlencoded::parse(request.query.as_bytes());
    let theirs = theirs.filter(|(key, _)| ours.query.iter().all(|(name, _)| name != key));
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(theirs).extend_pairs(&ours.query).finish();
    Signed { headers, query, body: request.body }
}

fn source(name: &str) -> Source {
    let (secret, options) = match vector(name) {
        Some(vector) => (vector.secret.clone(), vector.options.clone()),
        None => (adapter_fuzzing::secret(name).to_owned(), OptionValues::new()),
    };
    // These presets say how deliveries are signed, but not what they mean, so a file extends them.
    let mut own = tempfile::NamedTempFile::new().expect("a file can be made");
    let provider = if ["standard-webhooks", "svix"].contains(&name) {
        own.write_all(preset::own_of(name).as_bytes()).expect("the file can be written");
        Provider::File(own.path().to_owned())
    } else {
        Provider::Builtin(name.to_owned())
    };
    let realm = "shop".parse().expect("it is a name");
    let settings = SourceSettings::new("acme", name, realm, secret.into());
    let currency = "USD".parse().ok();
    Source::build(SourceSettings { provider, currency, options, ..settings }).expect("the preset is good")
}

/// What a mapping says is masked, can be stored and is the same each time; it is the same for the kept parts of a payload as for
/// the whole payload; and what the events say together does not depend on their order or repetition.
pub fn mapping(input: &[u8]) {
    static SOURCES: LazyLock<Vec<(&str, Source)>> =
        LazyLock::new(|| preset::presets().map(|name| (name, source(name))).collect());
    let request = Request::read(input);
    let (_, source) = request.pick(&SOURCES);
    let mut events: Vec<Event> = Vec::new();
    for body in request.body.split(|byte| *byte == SEPARATOR) {
        let read = read(source, &request, &source.reader.parse(body, DEPTH));
        if matches!(source.reader.body, BodyForm::Json | BodyForm::JsonOrEmpty)
            && let Ok(whole) = serde_json::from_slice(body)
            && is_within(body, DEPTH)
        {
            assert_eq!(self::read(source, &request, &Ok(whole)), read);
        }
        let room = MAX_EVENTS - events.len();
        events.extend(read.into_iter().flatten().take(room));
    }
    events.iter().for_each(|event| check_event(source, event));
    check_fold(events);
}

/// Returns the events of a payload, with `None` for each that is ignored or quarantined.
fn read(source: &Source, request: &Request<'_>, payload: &Result<Value, Unclear>) -> Vec<Option<Event>> {
    let parts = RequestParts { headers: &request.headers, query: request.query, options: &source.options };
    let Ok(Ok(items)) = payload.as_ref().map(|payload| source.events(payload)) else { return Vec::new() };
    assert!(items.len() <= payload::MAX_EVENTS);
    let event = |item: &Value| {
        let mut summary = EventSummary::default();
        let mapped = source.mapping.read(&source.terms, Time::LAST, parts, item, &mut summary);
        assert_eq!(redact::text(&summary.kind, 128), *summary.kind, "the type is fit to leave");
        let mapped = mapped.ok()??;
        Some(Event {
            id: mapped.id,
            source: "acme".into(),
            provider: "acme".into(),
            kind: summary.kind,
            occurred_at: mapped.occurred_at,
            received_at: now(),
            subject: match (mapped.payment, mapped.parts.first()) {
                (Some(payment), _) => Subject::payment(source.realm.clone(), payment),
                (None, part) => Subject::part(&source.realm, "acme", mapped.live, part?.clone())?,
            },
            live: mapped.live,
            trust: source.trust,
            facts: mapped.facts,
            labels: mapped.labels.kept,
            parts: mapped.parts,
            binding: None,
        })
    };
    items.iter().take(MAX_EVENTS).map(event).collect()
}

fn check_event(source: &Source, event: &Event) {
    // The provider's own long numbers may look like card numbers.
    let is_fit =
        |id: &str| id.parse::<Name>().is_ok() && (!redact::is_pan_like(id) || source.mapping.has_own_ids());
    assert!((1..=MAX_FACTS).contains(&event.facts.len()));
    assert!(event.id.parse::<Name>().is_ok() && !redact::is_pan_like(&event.id), "{}", event.id);
    assert!(is_fit(event.subject.id.as_str()), "{}", event.subject.id);
    for fact in &event.facts {
        let (id, amount) = match fact {
            Fact::Phase { money, .. } => (None, money.map_or(0, |money| money.amount)),
            Fact::Capture(reported) | Fact::Refund(reported) => (Some(&reported.id), reported.amount),
            Fact::Dispute(reported) => (Some(&reported.id), reported.amount),
            Fact::Total { amount, .. } => (None, *amount),
            Fact::Note => (None, 0),
        };
        assert!(amount >= 0, "{fact:?}");
        assert!(id.is_none_or(|id| is_fit(id)), "{fact:?}");
    }
    let stored = serde_json::to_string(event).expect("an event can be written");
    assert_eq!(serde_json::from_str::<Event>(&stored).ok().as_ref(), Some(event), "{stored}");
}

/// Any order of events folds to the same state. The store keeps one event of each identity, and so does this check.
fn check_fold(mut events: Vec<Event>) {
    let mut seen = BTreeSet::new();
    events.retain(|event| seen.insert(event.identity()));
    let expected = State::fold(&events);
    for turn in 0..events.len().min(4) {
        let (end, start) = events.split_at(turn);
        let turned = || start.iter().chain(end);
        let backwards = || turned().collect::<Vec<_>>().into_iter().rev();
        assert_eq!(State::fold(turned()), expected);
        assert_eq!(State::fold(backwards().chain(turned())), expected);
        assert_eq!(State::fold(backwards()).status(), expected.status());
    }
}
