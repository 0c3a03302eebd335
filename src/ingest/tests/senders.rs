//! Providers as tests play them. Each sender has payloads that its preset understands, from the fixtures, and signs with keys of its
//! own. A preset that lacks either fails every test that needs all senders.

mod adapters;
mod body;
mod post;

pub(super) use post::{Keys, Post, Signed};

use crate::{
    payment::Time,
    source::{
        Provider, SourceSettings,
        testing::{
            Adapter, Bench, BodyForm, Case, OptionValues, Pair, Piece, Preset, Recipe, Scheme, built_in,
            exempt, form as read_form, from_file, own_of, parse_xml, presets,
        },
    },
};
use body::{form, xml_of};
use http::HeaderName;
use serde_json::{Value, json};
use std::io::Write as _;
use tempfile::NamedTempFile;

/// When the senders post, in seconds since 1970: after all that their fixtures tell of.
pub(super) const NOW_S: i64 = 1_800_000_000;

/// A provider, played by a test.
pub(super) struct Sender {
    pub(super) preset: &'static str,
    pub(super) cases: Vec<Case>,
    pub(super) scheme: Scheme,
    /// The places of an event whose texts may leave unmasked.
    pub(super) exempt: Vec<String>,
    /// The place of the list of events, if a payload has several, such as `/events`.
    pub(super) each: Option<String>,
    pub(super) body: BodyForm,
    /// A preset file that extends the preset, if the preset does not say what payloads mean.
    own: Option<NamedTempFile>,
}

impl Sender {
    /// Returns a sender for every built-in preset.
    pub(super) fn all() -> Vec<Self> {
        presets().map(Self::new).collect()
    }

    fn new(preset: &'static str) -> Self {
        let own = built_in(preset).unwrap().is_err().then(|| {
            let mut own = NamedTempFile::new().unwrap();
            own.write_all(own_of(preset).as_bytes()).unwrap();
            own
        });
        let loaded = match &own {
            Some(own) => from_file(own.path()),
            None => built_in(preset).unwrap(),
        };
        let Preset { scheme, body, each, mapping, .. } = loaded.unwrap();
        let mut exempt = exempt(&mapping);
        if scheme == Scheme::Adapter(Adapter::Adyen) {
            // The adapter builds the event's id from these fields.
            exempt.extend(["/pspReference", "/eventCode", "/success"].map(str::to_owned));
        }
        let each = each.map(|each| each.to_string());
        let cases = cases(preset);
        assert!(cases.iter().any(is_about_a_payment), "{preset} has a payload");
        Self { preset, cases, scheme, exempt, each, body, own }
    }

    pub(super) fn recipe(&self) -> Option<&Recipe> {
        match &self.scheme {
            Scheme::Recipe(recipe) => Some(recipe),
            Scheme::Adapter(_) => None,
        }
    }

    fn options(&self, case: &Case) -> OptionValues {
        let mut options = self.recipe().map(|_| Bench::new(self.preset).options).unwrap_or_default();
        options.extend(case.options.clone());
        options
    }

    /// Returns the settings of a source for this sender, named after the preset, with the secrets of these keys.
    pub(super) fn settings(&self, keys: &[Keys]) -> SourceSettings {
        let case = self.case();
        SourceSettings {
            name: self.preset.into(),
            provider: match &self.own {
                Some(own) => Provider::File(own.path().to_owned()),
                None => Provider::Builtin(self.preset.to_owned()),
            },
            realm: "default".parse().unwrap(),
            secrets: keys.iter().map(|keys| self.secret(*keys).into()).collect(),
            payment: None,
            labels: Vec::new(),
            currency: case.currency.as_ref().map(|code| code.parse().unwrap()),
            shared_ids: true,
            live: None,
            max_age: None,
            max_future: None,
            api: None,
            options: self.options(case),
        }
    }

    fn secret(&self, keys: Keys) -> String {
        match &self.scheme {
            Scheme::Recipe(recipe) => {
                let secret = Pair::two()[keys as usize].secret(recipe);
                secrecy::ExposeSecret::expose_secret(&secret).to_owned()
            }
            Scheme::Adapter(adapter) => adapters::secret(*adapter, keys),
        }
    }

    /// Returns a case that is about a payment.
    fn case(&self) -> &Case {
        self.cases.iter().find(|case| is_about_a_payment(case)).unwrap()
    }

    /// Returns a payload with one event about one payment.
    pub(super) fn payload(&self) -> Value {
        let mut payload = self.payload_of(self.case());
        if let Some(events) = self.each.as_ref().and_then(|each| payload.pointer_mut(each)) {
            events.as_array_mut().unwrap().truncate(1);
        }
        payload
    }

    /// Returns the payload of a case, in the form that mappings read.
    pub(super) fn payload_of(&self, case: &Case) -> Value {
        match (&case.body, self.body) {
            (Value::String(text), BodyForm::Form) => read_form(text.as_bytes()),
            (Value::String(text), BodyForm::Xml) => parse_xml(text.as_bytes()).unwrap(),
            (value, _) => value.clone(),
        }
    }

    /// Builds the signed delivery of a payload.
    pub(super) fn post(&self, keys: Keys, payload: &Value, at: Time) -> Post {
        let mut post = match &self.scheme {
            Scheme::Recipe(_) => self.by_recipe(keys, payload, at),
            Scheme::Adapter(adapter) => adapters::post(*adapter, keys, payload, at),
        };
        for (name, value) in &self.case().headers {
            let name: HeaderName = name.parse().unwrap();
            if !post.headers.contains_key(&name) {
                post.headers.insert(name, value.parse().unwrap());
            }
        }
        post
    }

    /// Builds the signed delivery of any body, if the provider signs bodies as they are.
    pub(super) fn post_raw(&self, keys: Keys, body: Vec<u8>, at: Time) -> Option<Post> {
        let recipe = self.recipe()?;
        let mut bench = Bench::new(self.preset);
        bench.options = self.options(self.case());
        let signed = bench.sign(Pair::two()[keys as usize], &body, at);
        let covered = recipe.signs(&Piece::Body) || recipe.signs(&Piece::Crc32);
        let signature = Signed {
            body: if covered { (0..body.len()).collect() } else { Vec::new() },
            headers: signed.headers.keys().cloned().collect(),
            query: !signed.query.is_empty(),
        };
        Some(Post { headers: signed.headers, query: signed.query, body, signed: signature })
    }

    fn by_recipe(&self, keys: Keys, payload: &Value, at: Time) -> Post {
        let body = match self.body {
            BodyForm::Json | BodyForm::JsonOrEmpty => payload.to_string(),
            BodyForm::Form => form(payload),
            BodyForm::Xml => xml_of(payload),
        };
        self.post_raw(keys, body.into_bytes(), at).unwrap()
    }
}

/// Returns the fixtures of a preset.
fn cases(preset: &str) -> Vec<Case> {
    let plain = |body: Value| Case::new(body);
    match preset {
        "stripe" => {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/fixtures/stripe");
            let mut paths: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            // The first fixtures in this order are about charges.
            paths.sort();
            paths.iter().map(|path| plain(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect()
        }
        "generic" | "generic-timestamped" => ["pending", "confirmed", "expired", "failed"]
            .map(|event| {
                plain(json!({ "id": format!("evt_{event}"), "event": format!("payment.{event}"), "timestamp": NOW_S,
                    "payment": { "id": "pay_1", "status": event, "amount": "12.34", "currency": "EUR", "tx_hash": "0xabc" } }))
            })
            .into(),
        "standard-webhooks" | "svix" => {
            let data = json!({ "id": "inv_1", "amount": "12.34", "currency": "EUR", "note": "n" });
            vec![plain(json!({ "type": "invoice.paid", "timestamp": "2026-09-21T14:13:20Z", "data": data }))]
        }
        _ => Case::all(preset),
    }
}

/// Returns whether a case is about a payment. A fixture without a line about it counts as such.
fn is_about_a_payment(case: &Case) -> bool {
    case.says.first().is_none_or(|said| said != "ignored" && !said.starts_with("quarantined"))
}
