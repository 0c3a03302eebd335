use super::*;
use crate::{
    payment::{Event, Fact, State, Status, Subject, Trust},
    source::{
        Source,
        error::SourceError,
        preset::{
            Case as WebhookCase, built_in,
            fixtures::{fact, secret},
            option_names, presets,
        },
        settings::SourceSettings,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const API_KEY: &str = "live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM";
const PAN: &str = "4242424242424242";

fn settings(preset: &str) -> SourceSettings {
    SourceSettings {
        options: option_names(preset).into_iter().map(|name| (name, "x".to_owned())).collect(),
        api: Some(ApiSettings {
            client_id: Some("client-4f1d9b".into()),
            key: API_KEY.into(),
            url: has_no_host(preset).then(|| "https://pay.shop.example".to_owned()),
        }),
        ..SourceSettings::new("acme", preset, "shop".parse().unwrap(), secret(preset))
    }
}

fn source(preset: &str) -> Source {
    Source::build(settings(preset)).unwrap()
}

/// Returns whether each customer of the provider has a host of its own, so that the source has to name it.
fn has_no_host(preset: &str) -> bool {
    let inquiry = built_in(preset).unwrap().unwrap().confirm;
    inquiry.is_some_and(|inquiry| inquiry.address.origin(None).is_err())
}

/// An answer of a provider's API, and what it means, in one line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    body: serde_json::Value,
    /// The payment that was asked for, if it is not the one of the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// The webhooks that together say the same: types, each of which may be followed by a colon and the beginning of what it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    like: Vec<String>,
    says: String,
}

impl Case {
    /// Returns what the answer means with this body.
    fn read(&self, preset: &str, first: &str, body: &Value) -> Result<PaymentAnswer, AnswerError> {
        let currency = self.currency.as_ref().map(|code| code.parse().unwrap());
        let source = Source::build(SourceSettings { currency, ..settings(preset) }).unwrap();
        let payment = self.payment.as_deref().unwrap_or(first).parse().unwrap();
        // An answer that is not JSON is a text.
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        source.api().unwrap().read(&payment, text.as_bytes(), Time::LAST, 64)
    }

    fn says(&self, preset: &str, first: &str, body: &Value) -> String {
        match self.read(preset, first, body) {
            Err(AnswerError::Malformed) => "malformed".to_owned(),
            Err(AnswerError::Unclear(Unclear { code, at })) => format!("quarantined: {code} at {at}"),
            Ok(PaymentAnswer { kind, occurred_at, live, facts, labels, .. }) => {
                let facts: Vec<String> = facts.iter().map(fact).collect();
                let at = occurred_at.map(|at| format!(" at {at}")).unwrap_or_default();
                let mode = if live { "" } else { ", a test" };
                let labels: String =
                    labels.iter().map(|label| format!(", also {}", label.id.as_str())).collect();
                format!("{kind}: {}{at}{mode}{labels}", facts.join(" and "))
            }
        }
    }
}

fn path(preset: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/source/fixtures/answers", &format!("{preset}.json")].iter().collect()
}

/// Returns the presets whose providers can be asked, each with the payment of its first answer and all answers.
fn answers() -> Vec<(&'static str, String, Vec<Case>)> {
    let can_be_asked = |preset: &&str| built_in(preset).unwrap().is_ok_and(|preset| preset.confirm.is_some());
    let of = |preset: &'static str| {
        let cases: Vec<Case> =
            serde_json::from_str(&std::fs::read_to_string(path(preset)).expect(preset)).expect(preset);
        let Case { body, payment, .. } = &cases[0];
        let places = ["/id", "/payment/id", "/data/id", "/payments/id", "/order_id"];
        let id = places.iter().find_map(|at| body.pointer(at));
        let id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        let id = payment.clone().or(id).expect(preset);
        (preset, id, cases)
    };
    presets().filter(can_be_asked).map(of).collect()
}

#[test]
fn answers_mean_what_the_fixtures_say() {
    let mut wrong = Vec::new();
    for (preset, first, mut cases) in answers() {
        for case in &mut cases {
            let says = case.says(preset, &first, &case.body);
            if says != case.says {
                wrong.push(format!("{preset}: {} says {says}", case.body));
                case.says = says;
            }
        }
        if std::env::var_os("PAYSTREAM_WRITE_FIXTURES").is_some() {
            let lines: Vec<String> =
                cases.iter().map(|case| format!("  {}", serde_json::to_string(case).unwrap())).collect();
            std::fs::write(path(preset), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The status of a payment about which these events were told, one after the other.
fn status(events: impl IntoIterator<Item = Vec<Fact>>) -> Status {
    let event = |(second, facts): (i64, Vec<Fact>)| Event {
        id: format!("evt_{second}").into(),
        source: "acme".into(),
        provider: "acme".into(),
        kind: "changed".into(),
        occurred_at: Time::from_unix_s(second).ok(),
        received_at: Time::LAST,
        subject: Subject::payment("shop".parse().unwrap(), "p".parse().unwrap()),
        live: true,
        trust: Trust::Verified,
        facts,
        labels: Vec::new(),
        parts: Vec::new(),
        binding: None,
    };
    let events: Vec<Event> = (1..).zip(events).map(event).collect();
    State::fold(&events).status()
}

/// Two ways to learn the same must not lead to two statuses: an answer, and the webhooks that say what it says.
#[test]
fn an_answer_and_the_webhooks_that_say_the_same_lead_to_one_status() {
    for (preset, first, cases) in answers() {
        let told = WebhookCase::all(preset);
        let told: Vec<(String, Vec<Fact>)> = told.iter().flat_map(|case| case.understood(preset)).collect();
        let says = |facts: &[Fact]| facts.iter().map(fact).collect::<Vec<_>>().join(" and ");
        let webhook = |like: &String| {
            let (kind, begins) = like.split_once(": ").unwrap_or((like, ""));
            let is_like =
                |(other, facts): &&(String, Vec<Fact>)| other == kind && says(facts).starts_with(begins);
            told.iter().find(is_like).unwrap_or_else(|| panic!("{preset} has no webhook {like}")).1.clone()
        };
        let mut compared = 0;
        for case in cases.iter().filter(|case| !case.like.is_empty()) {
            let answer = case.read(preset, &first, &case.body).unwrap();
            let webhooks: Vec<Vec<Fact>> = case.like.iter().map(webhook).collect();
            assert_eq!(status([answer.facts]), status(webhooks), "{preset}: {}", case.says);
            compared += 1;
        }
        let tells_nothing = told.iter().flat_map(|(_, facts)| facts).all(|fact| *fact == Fact::Note);
        assert!(compared >= 2 || tells_nothing, "{preset}: {compared} of its answers are compared");
    }
}

#[test]
fn i8_card_data_anywhere_in_an_answer_changes_nothing_and_goes_nowhere() {
    for (preset, first, cases) in answers() {
        for case in cases {
            let says =
                case.says(preset, &first, &crate::source::preset::fixtures::with_card_data(&case.body));
            assert_eq!(says, case.says, "{preset}");
            assert!(!says.contains(PAN), "{preset}");
        }
    }
}

#[test]
fn a_request_names_its_payment_and_carries_the_key() {
    for (preset, payment, expected) in [
        ("mollie-classic", "tr_1", "https://api.mollie.com/v2/payments/tr_1"),
        ("mollie-classic", "a/../b?c#d%2e", "https://api.mollie.com/v2/payments/a%2F..%2Fb%3Fc%23d%252e"),
        ("opennode", "47bb-df40", "https://api.opennode.com/v2/charge/47bb-df40"),
        ("revolut", "6516e61c", "https://merchant.revolut.com/api/orders/6516e61c"),
    ] {
        let source = source(preset);
        let request = source.api().unwrap().request(&payment.parse().unwrap()).unwrap();
        assert_eq!(request.uri().to_string(), expected);
        let authorization = &request.headers()["authorization"];
        assert!(authorization.is_sensitive() && authorization.to_str().unwrap().ends_with(API_KEY));
        assert!(!format!("{request:?}").contains(API_KEY));
    }
    for (preset, payment, expected) in [
        ("stripe", "pi_1", "https://api.stripe.com/v1/payment_intents/pi_1?expand%5B%5D=latest_charge"),
        ("braintree", "t/1", "https://api.braintreegateway.com/merchants/x/transactions/t%2F1"),
    ] {
        let request = source(preset).api().unwrap().request(&payment.parse().unwrap()).unwrap();
        assert_eq!(request.uri().to_string(), expected);
    }
    let request = source("klarna-push").api().unwrap().request(&"f3392f8b".parse().unwrap()).unwrap();
    assert_eq!(request.headers()["authorization"], format!("Basic {}", STANDARD.encode(API_KEY)));
    assert!(request.headers()["authorization"].is_sensitive());
    let source = source("mollie-classic");
    for (payment, code) in [(".", "bad_payment_id"), ("..", "bad_payment_id"), (PAN, "pan_like_id")] {
        let refused = source.api().unwrap().request(&payment.parse().unwrap()).unwrap_err();
        assert_eq!(refused.code, code);
    }
    // The ids of Mercado Pago are long numbers.
    let source = self::source("mercado-pago");
    let request = source.api().unwrap().request(&PAN.parse().unwrap()).unwrap();
    assert_eq!(request.uri().path(), format!("/v1/payments/{PAN}"));
}

#[test]
fn another_origin_takes_the_place_of_the_provider_s_own() {
    for (url, expected) in [
        ("https://api-sandbox.example", Some("https://api-sandbox.example/v2/payments/tr_1")),
        ("https://api-sandbox.example:8443/", Some("https://api-sandbox.example:8443/v2/payments/tr_1")),
        ("http://127.0.0.1:9999", Some("http://127.0.0.1:9999/v2/payments/tr_1")),
        ("http://[::1]:9999", Some("http://[::1]:9999/v2/payments/tr_1")),
        ("http://localhost", Some("http://localhost/v2/payments/tr_1")),
        ("http://api.example", None),
        ("https://user:pass@api.example", None),
        ("https://api.example/v3", None),
        ("https://api.example/?x", None),
        ("ftp://127.0.0.1", None),
        ("api.example", None),
        ("/v2", None),
        ("", None),
    ] {
        let api = Some(ApiSettings { client_id: None, key: API_KEY.into(), url: Some(url.to_owned()) });
        let built = Source::build(SourceSettings { api, ..settings("mollie-classic") });
        let request = |source: Source| {
            source.api().unwrap().request(&"tr_1".parse().unwrap()).unwrap().uri().to_string()
        };
        match expected {
            Some(expected) => assert_eq!(request(built.unwrap()), expected),
            None => assert_eq!(built.err(), Some(SourceError::Api(ApiError::Url)), "{url}"),
        }
    }
}

#[test]
fn credentials_that_cannot_be_used_are_refused_with_the_reason() {
    let with = |preset: &str, change: &dyn Fn(&mut SourceSettings)| {
        let mut settings = settings(preset);
        change(&mut settings);
        Source::build(settings).unwrap_err().to_string()
    };
    let key = |key: &str| Some(ApiSettings { client_id: None, key: key.into(), url: None });
    for (told, expected) in [
        (
            with("adyen-platform", &|_| ()),
            "api: the preset `adyen-platform` has neither [confirm] nor [backfill], so its provider",
        ),
        (with("braintree", &|s| s.options.clear()), "api: option `merchant_id` is part of the API's address"),
        (
            with("braintree", &|s| drop(s.options.insert("merchant_id".to_owned(), "..".to_owned()))),
            "api: option `merchant_id` is part of the API's address",
        ),
        (
            with("revolut", &|s| s.payment = Some(vec!["/order".into()])),
            "api: the provider knows its own ids",
        ),
        (with("revolut", &|s| s.api = key("sk_short")), "api: key is shorter than 16 bytes; use the API key"),
        (with("revolut", &|s| s.api = key("your-secret-api-key")), "api: key is a placeholder"),
        (
            with("revolut", &|s| s.api = key("sk_Zq81LmXw0tB7cYhKdé")),
            "api: key has characters that no header",
        ),
    ] {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn an_address_has_the_payment_once_as_a_whole_part_of_its_path() {
    for (url, is_one) in [
        ("https://api.example/v1/payments/{payment}", true),
        ("https://api.example/{payment}", true),
        ("https://api.example:8443/a/{payment}/b?full=1", true),
        ("http://api.example/{payment}", false),
        ("https://api.example/p-{payment}", false),
        ("https://api.example/{payment}-p", false),
        ("https://api.example/a?id={payment}", true),
        ("https://api.example/a?b=c&id={payment}&d=e", true),
        ("/a/{payment}", true),
        ("/{payment}.json", true),
        ("https://api.example/{option:shop}/{payment}", true),
        ("https://{option:shop}/{payment}", false),
        ("https://api.example/a-{option:shop}/{payment}", false),
        ("https://api.example/{payment}/{option:shop}", false),
        ("https://api.example/a?id={payment}/b", false),
        ("https://api.example/a?id-{payment}", false),
        ("https://api.example/a#id={payment}", false),
        ("https://api.example/{payment}#a", false),
        ("https://api.example/?a=/{payment}", false),
        ("https://api.example/{payment}/{payment}", false),
        ("https://api.example/{payment}/{other}", false),
        ("https://user@api.example/{payment}", false),
        ("https://{payment}", false),
        ("/{payment}", true),
        ("api.example/{payment}", false),
        ("", false),
    ] {
        assert_eq!(Address::parse(url).is_some(), is_one, "{url}");
    }
}

proptest::proptest! {
    /// Reads the address as an HTTP client does, which may take a name for a step to another folder.
    #[test]
    fn whatever_a_payment_is_called_it_is_one_part_of_the_path(payment in "[!-~]{1,40}|[./%2eE]{1,8}") {
        let source = source("mollie-classic");
        if let Ok(request) = source.api().unwrap().request(&payment.parse().unwrap()) {
            let url: reqwest::Url = request.uri().to_string().parse().unwrap();
            let parts: Vec<&str> = url.path_segments().unwrap().collect();
            let name = percent_encoding::percent_decode_str(parts[2]).decode_utf8().unwrap();
            proptest::prop_assert_eq!((parts.len(), parts[0], parts[1], &*name), (3, "v2", "payments", &*payment));
            proptest::prop_assert_eq!((url.host_str(), url.query()), (Some("api.mollie.com"), None));
        }
    }

    #[test]
    fn whatever_a_payment_is_called_it_is_one_value_of_the_query(payment in "[!-~]{1,40}|[./%2eE&=]{1,8}") {
        let source = source("flutterwave-v3");
        if let Ok(request) = source.api().unwrap().request(&payment.parse().unwrap()) {
            let url: reqwest::Url = request.uri().to_string().parse().unwrap();
            let pairs: Vec<_> = url.query_pairs().collect();
            proptest::prop_assert_eq!(pairs.len(), 1);
            proptest::prop_assert_eq!((&*pairs[0].0, &*pairs[0].1), ("tx_ref", &*payment));
            let there = "/v3/transactions/verify_by_reference";
            proptest::prop_assert_eq!((url.host_str(), url.path()), (Some("api.flutterwave.com"), there));
        }
    }

    #[test]
    fn any_answer_is_read_or_refused(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200), text in "\\PC{0,80}") {
        for preset in ["mollie-classic", "opennode", "braintree", "cashfree"] {
            let source = source(preset);
            for body in [&body[..], text.as_bytes(), format!("{{\"id\":\"p\",\"status\":{text}}}").as_bytes()] {
                let _ = source.api().unwrap().read(&"p".parse().unwrap(), body, Time::LAST, 8);
            }
        }
    }
}
