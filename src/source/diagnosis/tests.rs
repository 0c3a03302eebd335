use super::*;
use crate::payment::Time;
use crate::source::{
    testing::{Bench, Pair},
    verify::{Algorithm, Encoding, KeyForm, Recipe},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};

const NOW_S: i64 = 1_790_000_000;

const BODY: &str = r#"{"id":"evt_1","data":{"text":"Zürich/<Bern>","list":[1,2.50,{}],"none":null}}"#;

fn at(s: i64) -> Time {
    Time::from_unix_s(NOW_S + s).unwrap()
}

fn examiner(name: &str, provider: &str, bench: &Bench, secrets: Vec<SourceSecret>) -> Arc<Examiner> {
    Arc::new(Examiner {
        name: name.into(),
        provider: provider.into(),
        live: Some(name == "live"),
        scheme: Scheme::Recipe(Box::new(bench.recipe.clone())),
        secrets,
        limits: TimeLimits::default(),
        options: bench.options.clone(),
        last: Mutex::new(None),
    })
}

/// A source with one secret, and a delivery that its provider signed.
struct Case {
    provider: &'static str,
    /// The recipe by which the delivery is signed; the source keeps that of its preset.
    signing: Bench,
    bench: Bench,
    secrets: Vec<SourceSecret>,
    signed_by: &'static Pair,
    /// The body as it was signed, and as it came.
    bodies: [Vec<u8>; 2],
    received_at: Time,
    change: fn(&mut Sample),
    beside: Vec<Arc<Examiner>>,
}

impl Case {
    fn new(provider: &'static str, bench: &Bench) -> Self {
        let clone = || Bench { recipe: bench.recipe.clone(), options: bench.options.clone() };
        Self {
            provider,
            secrets: vec![Pair::new().secret(&bench.recipe).into()],
            signing: clone(),
            bench: clone(),
            signed_by: Pair::new(),
            bodies: [BODY.into(), BODY.into()],
            received_at: at(0),
            change: |_| {},
            beside: Vec::new(),
        }
    }

    /// Returns what is found out about the delivery. `None` if it is verified or the source cannot be configured like that.
    fn examined(self) -> Option<Option<Diagnosis>> {
        let [signed, came] = self.bodies;
        let request = self.signing.sign(self.signed_by, &signed, at(0));
        let mut sample = Sample {
            headers: request.headers,
            query: request.query,
            body: came,
            received_at: self.received_at,
        };
        (self.change)(&mut sample);
        let examiner = examiner("live", self.provider, &self.bench, self.secrets);
        let good: Vec<SecretString> =
            examiner.secrets.iter().filter(|s| s.is_good_at(at(0))).map(|s| s.text.clone()).collect();
        let check = Check::new(&examiner.scheme, &good, examiner.limits).ok()?;
        let parts =
            RequestParts { headers: &sample.headers, query: &sample.query, options: &examiner.options };
        let request =
            UnverifiedRequest { parts, body: &sample.body, received_at: sample.received_at, key: None };
        let rejection = match sample.headers.contains_key("content-encoding") {
            true => Rejection::ContentEncoding,
            false => check.verify(request).err()?,
        };
        Some(examiner.examine(&sample, rejection, &self.beside))
    }
}

fn with_methods(recipe: &Recipe, change: impl Fn(&mut crate::source::verify::Method)) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.methods.iter_mut().for_each(change);
    recipe
}

fn text(secret: &SourceSecret) -> String {
    secret.text.expose_secret().to_owned()
}

/// What is expected to be found, and how the mistake is made. Nothing, if the source cannot make it.
type Mistake = (&'static str, Box<dyn Fn(Case) -> Option<Case>>);

/// The mistakes that can be made with any preset by which bodies are signed.
fn mistakes_on_the_way() -> Vec<Mistake> {
    let bodies = |signed: &str, came: &str| {
        let bodies = [signed.as_bytes().to_vec(), came.as_bytes().to_vec()];
        move |case| Some(Case { bodies: bodies.clone(), ..case })
    };
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(BODY).unwrap()).unwrap();
    let sorted = serde_json::from_str::<serde_json::Value>(BODY).unwrap().to_string();
    let python =
        r#"{"id": "evt_1", "data": {"text": "Z\u00fcrich/<Bern>", "list": [1, 2.50, {}], "none": null}}"#;
    let php = r#"{"id":"evt_1","data":{"text":"Z\u00fcrich\/<Bern>","list":[1,2.50,{}],"none":null}}"#;
    let go = r#"{"id":"evt_1","data":{"text":"Zürich/\u003cBern\u003e","list":[1,2.50,{}],"none":null}}"#;
    let with_lines = BODY.replace(',', ",\n");
    vec![
        ("line_break", Box::new(bodies(BODY, &format!("{BODY}\n")))),
        ("line_break", Box::new(bodies(&format!("{BODY}\n"), BODY))),
        ("line_break", Box::new(bodies(&with_lines, &with_lines.replace('\n', "\r\n")))),
        ("line_break", Box::new(bodies(&with_lines.replace('\n', "\r\n"), &with_lines))),
        ("json_rewritten", Box::new(bodies(&sorted, &pretty))),
        ("json_rewritten", Box::new(bodies(&pretty, &sorted))),
        ("json_rewritten", Box::new(bodies(python, BODY))),
        ("json_rewritten", Box::new(bodies(php, BODY))),
        ("json_rewritten", Box::new(bodies(go, BODY))),
        ("byte_order_mark", Box::new(bodies(&format!("\u{feff}{BODY}"), BODY))),
        ("body_base64", Box::new(bodies(BODY, &STANDARD.encode(BODY)))),
        (
            "body_compressed",
            Box::new(|case| {
                Some(Case { change: |sample| sample.body = vec![0x1f, 0x8b, 8, 0, 0, 0], ..case })
            }),
        ),
    ]
}

/// The mistakes that can be made with a source, whatever is signed. Those that its preset rules out are left out by the test.
fn mistakes_of_a_source() -> Vec<Mistake> {
    type Change = fn(&str) -> String;
    let secret = |change: Change| {
        move |case: Case| {
            let secrets = case.secrets.iter().map(|secret| change(&text(secret)).into()).collect();
            Some(Case { secrets, ..case })
        }
    };
    let signing = |change: fn(&mut crate::source::verify::Method)| {
        move |case: Case| {
            let recipe = with_methods(&case.signing.recipe, change);
            let is_hmac = case.bench.recipe.methods.iter().all(|method| {
                matches!(
                    method.algorithm,
                    Algorithm::HmacSha1 | Algorithm::HmacSha256 | Algorithm::HmacSha512
                )
            });
            let differs = recipe != case.bench.recipe;
            (is_hmac && differs)
                .then(|| Case { signing: Bench { recipe, options: case.bench.options.clone() }, ..case })
        }
    };
    vec![
        ("secret_spaces", Box::new(secret(|text| format!(" {text}")))),
        ("secret_spaces", Box::new(secret(|text| format!("{text}\n")))),
        ("secret_quotes", Box::new(secret(|text| format!("\"{text}\"")))),
        ("secret_name", Box::new(secret(|text| format!("SECRET={text}")))),
        ("secret_prefix", Box::new(secret(|text| format!("whsec_{text}")))),
        (
            "other_algorithm",
            Box::new(signing(|method| {
                method.algorithm = match method.algorithm {
                    Algorithm::HmacSha256 => Algorithm::HmacSha512,
                    _ => Algorithm::HmacSha256,
                }
            })),
        ),
        (
            "signature_form",
            Box::new(signing(|method| {
                method.encoding = match method.encoding {
                    Encoding::Hex => Encoding::Base64,
                    _ => Encoding::Hex,
                }
            })),
        ),
        (
            "key_form",
            Box::new(|case| {
                let is_text = |method: &crate::source::verify::Method| {
                    method.key == KeyForm::Utf8 && method.algorithm == Algorithm::HmacSha256
                };
                if !case.bench.recipe.methods.iter().all(is_text) || case.bench.recipe.names_keys() {
                    return None;
                }
                let recipe = with_methods(&case.bench.recipe, |method| method.key = KeyForm::Base64);
                Some(Case { signing: Bench { recipe, options: case.bench.options.clone() }, ..case })
            }),
        ),
        (
            "secret_out_of_time",
            Box::new(|case| {
                let old = Pair::two()[0];
                let mut secrets = case.secrets.clone();
                secrets
                    .push(SourceSecret { not_after: Some(at(0)), ..old.secret(&case.bench.recipe).into() });
                Some(Case { secrets, signed_by: old, ..case })
            }),
        ),
        (
            "secret_of_other_source",
            Box::new(|case| {
                let old = Pair::two()[0];
                let other =
                    examiner("test", case.provider, &case.bench, vec![old.secret(&case.bench.recipe).into()]);
                Some(Case { beside: vec![other], signed_by: old, ..case })
            }),
        ),
        (
            "other_url",
            Box::new(|case| {
                let mut options = case.bench.options.clone();
                let is_signed = |name: &String| {
                    case.bench.recipe.signs(&crate::source::verify::Piece::Option(name.clone()))
                };
                let name = options.keys().find(|name| is_signed(name))?.clone();
                options.get_mut(&name)?.push('/');
                Some(Case { bench: Bench { recipe: case.bench.recipe.clone(), options }, ..case })
            }),
        ),
        (
            "time_unit",
            Box::new(|case| {
                let mut recipe = case.signing.recipe.clone();
                let time = recipe.time.as_mut()?;
                if time.form != crate::source::payload::TimeForm::S || time.max_age.is_none() {
                    return None;
                }
                time.form = crate::source::payload::TimeForm::Ms;
                Some(Case { signing: Bench { recipe, options: case.bench.options.clone() }, ..case })
            }),
        ),
        ("clock", Box::new(|case| Some(Case { received_at: at(-86_400), ..case }))),
        ("clock_or_delay", Box::new(|case| Some(Case { received_at: at(86_400), ..case }))),
        (
            "body_coded",
            Box::new(|case| {
                let change = |sample: &mut Sample| {
                    drop(sample.headers.insert("content-encoding", HeaderValue::from_static("br")));
                };
                Some(Case { change, ..case })
            }),
        ),
        (
            "no_signature",
            Box::new(|case| {
                let change = |sample: &mut Sample| {
                    sample.headers.clear();
                    sample.query.clear();
                };
                Some(Case { change, ..case })
            }),
        ),
        (
            "other_key_id",
            Box::new(|case| {
                let recipe = &case.bench.recipe;
                let renamed = |secret: &SourceSecret| {
                    Some(format!("other:{}", text(secret).rsplit_once(':')?.1).into())
                };
                let secrets =
                    recipe.names_keys().then(|| case.secrets.iter().filter_map(renamed).collect())?;
                Some(Case { secrets, ..case })
            }),
        ),
    ]
}

#[test]
fn each_known_mistake_is_named_with_every_preset_with_which_it_can_be_made() {
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (provider, bench) in Bench::all() {
        let on_the_way = mistakes_on_the_way().into_iter().filter(|_| bench.signs_body());
        let on_the_way = on_the_way.map(|(cause, make)| (cause, make(Case::new(provider, &bench))));
        let of_the_source = mistakes_of_a_source()
            .into_iter()
            .map(|(cause, make)| (cause, make(Case::new(provider, &bench))));
        for (cause, case) in on_the_way.chain(of_the_source) {
            let Some(examined) = case.and_then(Case::examined) else { continue };
            let found = examined.as_ref().map(|diagnosis| diagnosis.cause);
            if found == Some(cause) {
                named.entry(provider).or_default().insert(cause);
            } else {
                wrong.push(format!("{provider}: {cause} was taken for {found:?}"));
            }
            if let Some(Diagnosis { change, .. }) = examined {
                let secrets = [Pair::new(), Pair::two()[0]].map(|pair| pair.secret(&bench.recipe));
                let bare =
                    |secret: &SecretString| secret.expose_secret().rsplit(':').next().unwrap().to_owned();
                assert!(!secrets.iter().any(|secret| change.contains(&bare(secret))), "{provider}: {change}");
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Presets that are signed by a MAC over the body.
    for provider in ["stripe", "generic", "standard-webhooks", "paddle", "square", "github-style"] {
        let Some(causes) = named.get(provider) else { continue };
        assert!(causes.len() >= 12, "{provider}: {causes:?}");
    }
    assert!(named["stripe"].len() >= 12 && named["generic"].len() >= 12, "{named:?}");
}

#[test]
fn a_delivery_that_was_changed_or_signed_by_a_stranger_has_no_cause() {
    for (provider, bench) in Bench::all() {
        let other = || examiner("test", provider, &bench, vec![Pair::two()[0].secret(&bench.recipe).into()]);
        let changed = [
            BODY.replace("evt_1", "evt_2"),
            BODY.replace("2.50", "2.5"),
            BODY.replace("null", "true"),
            BODY[..BODY.len() - 1].to_owned(),
            format!("{BODY}x"),
            BODY.replace("\"id\"", "\"iD\""),
            String::new(),
        ];
        for came in changed.iter().filter(|_| bench.signs_body()) {
            let bodies = [BODY.into(), came.clone().into_bytes()];
            let case = Case { bodies, beside: vec![other()], ..Case::new(provider, &bench) };
            assert_eq!(case.examined(), Some(None), "{provider} with {came}");
        }
        let by_a_stranger = Case { signed_by: Pair::two()[0], ..Case::new(provider, &bench) };
        assert_eq!(
            by_a_stranger
                .examined()
                .map(|found| found.map(|found| found.cause).filter(|cause| *cause != "other_key_id")),
            Some(None),
            "{provider}"
        );
    }
}

#[test]
fn a_preset_that_is_another_is_named() {
    let (stripe, generic) = (Bench::new("stripe"), Bench::new("generic"));
    let secret: SourceSecret = Pair::new().secret(&stripe.recipe).into();
    let sign = || {
        let request = stripe.sign(Pair::new(), BODY.as_bytes(), at(0));
        Sample { headers: request.headers, query: request.query, body: BODY.into(), received_at: at(0) }
    };
    let found = |secret: SourceSecret| {
        let found = examiner("live", "generic", &generic, vec![secret]).examine(
            &sign(),
            Rejection::MissingSignature,
            &[],
        );
        found.map(|found| (found.cause, found.sure, found.change.contains("provider = \"stripe\"")))
    };
    assert_eq!(found(secret), Some(("other_preset", true, true)));
    assert_eq!(
        found("whsec_of-another-endpoint".into()),
        Some(("other_preset", false, true)),
        "only its header is seen"
    );
}

#[test]
fn one_delivery_in_a_second_is_examined_and_no_long_one() {
    let bench = Bench::new("generic");
    let examiner = examiner("live", "generic", &bench, vec![Pair::new().secret(&bench.recipe).into()]);
    let start = Instant::now();
    assert!(!examiner.is_due(MAX_EXAMINED + 1, start));
    let due = (0..100).filter(|n| examiner.is_due(100, start + Duration::from_millis(n * 30))).count();
    assert_eq!(due, 3);
}
