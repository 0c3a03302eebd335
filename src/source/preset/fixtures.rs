//! The fixtures of presets. Each file in `fixtures/events/` lists deliveries, and says in one line for each event what the preset
//! makes of it.

use crate::{
    payment::{Currency, DisputeState, Fact, Name, Reported, Time, Trust},
    source::{
        Source,
        mapping::{EventSummary, FactRule, Mapping},
        payload::{RequestParts, Unclear},
        preset::{built_in, presets},
        settings::SourceSettings,
        verify::signature_tests::Pair,
    },
};
use http::HeaderMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Debug, path::PathBuf};

/// A delivery, and what its events say.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The body, as a JSON value, or a form as a text. For adapters, it is what they make of the body.
    pub(crate) body: Value,
    /// The headers that the mapping reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// The query of the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    /// The options of the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) options: BTreeMap<String, String>,
    /// The currency of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) currency: Option<String>,
    /// What the events say, in one line each.
    pub(crate) says: Vec<String>,
}

/// The example key of RFC 7517, A.1.
const PLAID_KEY: &str = r#"{"kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;

/// Returns the places of a payload whose texts may leave the gateway unchanged: long numbers of the provider's own, and amounts.
pub(crate) fn exempt(mapping: &Mapping) -> Vec<String> {
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
    [env!("CARGO_MANIFEST_DIR"), "src/source/fixtures/events", &format!("{preset}.json")].iter().collect()
}

impl Case {
    /// Builds a case of a body alone, without headers, query or options.
    pub(crate) fn new(body: Value) -> Self {
        let (headers, query, options) = (BTreeMap::new(), String::new(), BTreeMap::new());
        Self { body, headers, query, options, currency: None, says: Vec::new() }
    }

    /// Returns the fixtures of a preset.
    pub(crate) fn all(preset: &str) -> Vec<Self> {
        let text = std::fs::read_to_string(path(preset)).expect(preset);
        serde_json::from_str(&text).expect(preset)
    }

    fn source(&self, preset: &str) -> Source {
        let currency = self.currency.as_ref().map(|code| code.parse().unwrap());
        let settings = SourceSettings::new("acme", preset, "shop".parse().unwrap(), secret(preset));
        Source::build(SourceSettings { currency, options: self.options.clone(), ..settings }).unwrap()
    }

    /// Returns the type and the facts of each event that is understood.
    pub(crate) fn understood(&self, preset: &str) -> Vec<(String, Vec<Fact>)> {
        let read = |source: &Source, parts: RequestParts<'_>, event: &Value| {
            let mut summary = EventSummary::default();
            let mapped = source.read(Time::LAST, parts, event, &mut summary).ok().flatten()?;
            Some((summary.kind.to_string(), mapped.facts))
        };
        self.each_event(preset, read).unwrap_or_default().into_iter().flatten().collect()
    }

    fn says(&self, preset: &str) -> Vec<String> {
        let said = self.each_event(preset, line);
        said.unwrap_or_else(|unclear| vec![format!("quarantined: {} at {}", unclear.code, unclear.at)])
    }

    /// Reads each event of the delivery. Fails if the payload does not hold any.
    fn each_event<T>(
        &self,
        preset: &str,
        read: impl Fn(&Source, RequestParts<'_>, &Value) -> T,
    ) -> Result<Vec<T>, Unclear> {
        let source = self.source(preset);
        let headers = self.headers.iter();
        let headers: HeaderMap =
            headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let body = self.body.as_str().map_or_else(|| self.body.to_string(), str::to_owned);
        let parts = source.request_parts(&headers, &self.query);
        let payload = source.reader.parse(body.as_bytes(), 32).unwrap();
        let events = source.events(&payload)?;
        Ok(events.iter().map(|event| read(&source, parts, event)).collect())
    }
}

/// Returns a secret that a source of this preset accepts.
pub(crate) fn secret(preset: &str) -> SecretString {
    match preset {
        "braintree" => "public:8f3b1c2d9a7e55aa".into(),
        "plaid" => PLAID_KEY.into(),
        _ if super::recipes().contains(&preset) => Pair::new().secret(&super::recipe_of(preset)),
        _ => "8f3b1c2d9a7e55aa".into(),
    }
}

fn line(source: &Source, parts: RequestParts<'_>, event: &Value) -> String {
    let mut summary = EventSummary::default();
    match source.read(Time::LAST, parts, event, &mut summary) {
        Ok(None) => "ignored".to_owned(),
        Err(unclear) => format!("quarantined: {} at {}", unclear.code, unclear.at),
        Ok(Some(mapped)) => {
            let facts: Vec<String> = mapped.facts.iter().map(fact).collect();
            let at = mapped.occurred_at.map(|at| format!(" at {at}")).unwrap_or_default();
            let id = if mapped.id.starts_with("sha256:") { "its digest" } else { &*mapped.id };
            let mode = if mapped.live { "" } else { ", a test" };
            let trust = if source.trust == Trust::Hint { ", a hint" } else { "" };
            let labels: Vec<&str> = mapped.labels.kept.iter().map(|label| label.id.as_str()).collect();
            let also =
                if labels.is_empty() { String::new() } else { format!(", also {}", labels.join(" and ")) };
            let named: Vec<&str> = mapped.parts.iter().map(Name::as_str).collect();
            let named = named.join(" and ");
            let (whose, parts) = match mapped.payment {
                Some(payment) if named.is_empty() => (payment.to_string(), String::new()),
                Some(payment) => (payment.to_string(), format!(", with {named}")),
                None => (format!("part {named}"), String::new()),
            };
            format!("{whose}: {}{at}, by {id}{mode}{trust}{also}{parts}", facts.join(" and "))
        }
    }
}

/// Describes a fact in a few words.
pub(crate) fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Phase { phase, money, failure, action } => {
            let money =
                money.map(|money| format!(" {} {}", money.amount, money.currency)).unwrap_or_default();
            let failure = failure.map(|reason| format!(", because {}", spelled(&reason))).unwrap_or_default();
            let action = action.map(|action| format!(", next {}", spelled(&action))).unwrap_or_default();
            format!("{}{money}{failure}{action}", word(phase))
        }
        Fact::Capture(reported) => part("capture", reported),
        Fact::Refund(reported) => part("refund", reported),
        Fact::Dispute(reported) => part::<DisputeState>("dispute", reported),
        Fact::Total { of, amount, currency } => format!("{} {} in all", word(of), sum(*amount, *currency)),
        Fact::Note => "note".to_owned(),
    }
}

fn part<S: Debug>(kind: &str, reported: &Reported<S>) -> String {
    format!("{kind} {} of {} {}", reported.id, sum(reported.amount, reported.currency), word(&reported.state))
}

fn sum(amount: i64, currency: Option<Currency>) -> String {
    currency.map_or_else(|| amount.to_string(), |currency| format!("{amount} {currency}"))
}

fn spelled(word: &impl Serialize) -> String {
    serde_json::to_string(word).unwrap().replace('"', "")
}

fn word(word: &impl Debug) -> String {
    format!("{word:?}").to_lowercase()
}

#[test]
fn events_mean_what_the_fixtures_say() {
    let mut wrong = Vec::new();
    // Presets without a mapping are left out, and `generic-timestamped`, which differs from `generic` in the signature only.
    let mapped = presets().filter(|name| built_in(name).unwrap().is_ok() && *name != "generic-timestamped");
    for preset in mapped {
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

/// Adds card data to every object of a payload, as a careless shop or provider might.
pub(crate) fn with_card_data(value: &Value) -> Value {
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
