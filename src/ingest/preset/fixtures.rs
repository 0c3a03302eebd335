//! What the presets make of their providers' payloads: each file in `fixtures/events/` lists deliveries, and what each of their
//! events says, in a line.

use crate::{
    ingest::{
        Delivery,
        preset::{
            built_in,
            mapping::{FactRule, Mapping, Reading},
            presets,
        },
        source::{Source, SourceSettings},
    },
    payment::{Currency, DisputeState, Fact, Told, Trust},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Debug, path::PathBuf};

/// A delivery, and what it says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::ingest) struct Case {
    /// A JSON value, or a form as a text. For adapters, what they make of the body.
    pub(in crate::ingest) body: Value,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::ingest) headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::ingest) options: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::ingest) currency: Option<String>,
    /// A line for each event.
    pub(in crate::ingest) says: Vec<String>,
}

/// The example of RFC 7517, A.1.
const PLAID_KEY: &str = r#"{"kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;

/// The places of a payload whose texts may leave as they are: long numbers of the provider's own, and amounts.
pub(in crate::ingest) fn exempt(mapping: &Mapping) -> Vec<String> {
    let rules = mapping.entries.iter().flat_map(|entry| &entry.facts).filter_map(|fact| match &fact.rule {
        FactRule::Phase { money, .. } => money.as_ref(),
        FactRule::Capture(part) | FactRule::Refund(part) => part.amount.as_ref(),
        FactRule::Dispute(part) => part.amount.as_ref(),
        FactRule::Total { amount, .. } => Some(amount),
        FactRule::Note => None,
    });
    let own = mapping.own_ids.iter().map(ToString::to_string);
    own.chain(rules.map(|rule| rule.amount.to_string())).collect()
}

fn path(preset: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/ingest/fixtures/events", &format!("{preset}.json")].iter().collect()
}

impl Case {
    /// A body that comes alone.
    pub(in crate::ingest) fn new(body: Value) -> Self {
        let (headers, query, options) = (BTreeMap::new(), String::new(), BTreeMap::new());
        Self { body, headers, query, options, currency: None, says: Vec::new() }
    }

    /// The fixtures of a preset.
    pub(in crate::ingest) fn all(preset: &str) -> Vec<Self> {
        let text = std::fs::read_to_string(path(preset)).expect(preset);
        serde_json::from_str(&text).expect(preset)
    }

    fn source(&self, preset: &str) -> Source {
        let is_recipe = super::recipes().contains(&preset);
        let pair = crate::ingest::signature::tests::Pair::new();
        let secret = match preset {
            "braintree" => "public:8f3b1c2d9a7e55aa".into(),
            "plaid" => PLAID_KEY.into(),
            _ if is_recipe => pair.secret(&super::recipe_of(preset)),
            _ => "8f3b1c2d9a7e55aa".into(),
        };
        let currency = self.currency.as_ref().map(|code| code.parse().unwrap());
        let settings = SourceSettings::new("acme", preset, "shop".parse().unwrap(), secret);
        Source::build(SourceSettings { currency, options: self.options.clone(), ..settings }).unwrap()
    }

    fn says(&self, preset: &str) -> Vec<String> {
        let source = self.source(preset);
        let headers = self.headers.iter();
        let headers: HeaderMap =
            headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let body = self.body.as_str().map_or_else(|| self.body.to_string(), str::to_owned);
        let received_at = crate::payment::Time::from_unix_s(1_790_000_000).unwrap();
        let (body, query) = (body.as_bytes(), self.query.as_str());
        let delivery = Delivery { source: "acme", headers: &headers, query, body, received_at, peer: None };
        let payload = source.parse(body, 32).unwrap();
        match source.events(&payload) {
            Ok(events) => events.iter().map(|event| line(&source, &delivery, event)).collect(),
            Err(unclear) => vec![format!("quarantined: {} at {}", unclear.code, unclear.at)],
        }
    }
}

fn line(source: &Source, delivery: &Delivery<'_>, event: &Value) -> String {
    let mut reading = Reading::default();
    match source.mapping.read(&source.terms, source.around(delivery), event, &mut reading) {
        Ok(None) => "ignored".to_owned(),
        Err(unclear) => format!("quarantined: {} at {}", unclear.code, unclear.at),
        Ok(Some(statement)) => {
            let facts: Vec<String> = statement.facts.iter().map(fact).collect();
            let at = statement.occurred_at.map(|at| format!(" at {at}")).unwrap_or_default();
            let id = if statement.id.starts_with("sha256:") { "its digest" } else { &*statement.id };
            let mode = if statement.live { "" } else { ", a test" };
            let trust = if source.trust == Trust::Hint { ", a hint" } else { "" };
            format!("{}: {}{at}, by {id}{mode}{trust}", statement.payment.as_str(), facts.join(" and "))
        }
    }
}

pub(in crate::ingest) fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Phase { phase, money: None } => word(phase),
        Fact::Phase { phase, money: Some(money) } => {
            format!("{} {} {}", word(phase), money.amount, money.currency)
        }
        Fact::Capture(told) => part("capture", told),
        Fact::Refund(told) => part("refund", told),
        Fact::Dispute(told) => part::<DisputeState>("dispute", told),
        Fact::Total { of, amount, currency } => format!("{} {} in all", word(of), sum(*amount, *currency)),
        Fact::Note => "note".to_owned(),
    }
}

fn part<S: Debug>(kind: &str, told: &Told<S>) -> String {
    format!("{kind} {} of {} {}", told.id, sum(told.amount, told.currency), word(&told.state))
}

fn sum(amount: i64, currency: Option<Currency>) -> String {
    currency.map_or_else(|| amount.to_string(), |currency| format!("{amount} {currency}"))
}

fn word(word: &impl Debug) -> String {
    format!("{word:?}").to_lowercase()
}

#[test]
fn events_mean_what_the_fixtures_say() {
    let mut wrong = Vec::new();
    // Not those that say how deliveries are signed and not what they mean; and one is but signed otherwise than `generic`.
    let told = presets().filter(|name| built_in(name).unwrap().is_ok() && *name != "generic-timestamped");
    for preset in told {
        let mut cases = Case::all(preset);
        for case in &mut cases {
            let says = case.says(preset);
            if says != case.says {
                wrong.push(format!("{preset}: {} says {says:#?}", case.body));
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

/// Everything that this adds is what a careless shop or provider might.
pub(in crate::ingest) fn with_card_data(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(with_card_data).collect(),
        Value::Object(members) => {
            let mut members: serde_json::Map<_, _> =
                members.iter().map(|(key, value)| (key.clone(), with_card_data(value))).collect();
            members.insert("x-note".to_owned(), format!("card {PAN} cvv=987").into());
            members.insert("x-card".to_owned(), serde_json::json!({ "number": PAN, "cvc": "987" }));
            Value::Object(members)
        }
        other => other.clone(),
    }
}

const PAN: &str = "4242424242424242";

#[test]
fn i8_card_data_anywhere_in_a_payload_changes_nothing_and_goes_nowhere() {
    for preset in presets() {
        let Ok(text) = std::fs::read_to_string(path(preset)) else { continue };
        let cases: Vec<Case> = serde_json::from_str(&text).expect(preset);
        for case in cases {
            let salted = Case { body: with_card_data(&case.body), ..case };
            let says = salted.says(preset);
            assert_eq!(says, salted.says, "{preset}");
            assert!(!says.concat().contains(PAN), "{preset}");
        }
    }
}
