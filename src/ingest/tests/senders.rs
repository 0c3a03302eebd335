//! The providers as tests play them: of each preset payloads that it understands, from its fixtures, and a signer with keys of its
//! own. A preset without either fails every test that asks for all of them.

use crate::{
    fuzzing,
    payment::Time,
    source::{
        Provider, SourceSettings,
        testing::{
            Adapter, Bench, BodyForm, Case, OptionValues, Pair, Piece, Preset, Recipe, Scheme, Signer,
            braintree_form, braintree_hmac, built_in, exempt, form as read_form, from_file, own_of,
            parse_xml, presets, write_xml,
        },
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use std::{io::Write as _, sync::LazyLock};
use tempfile::NamedTempFile;

/// One side of a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keys {
    Old,
    New,
}

/// A provider.
pub(super) struct Sender {
    pub(super) preset: &'static str,
    pub(super) cases: Vec<Case>,
    pub(super) scheme: Scheme,
    /// The places of an event that may leave as they are.
    pub(super) exempt: Vec<String>,
    /// Where the events of a payload stand, if it holds several: `/events`.
    pub(super) each: Option<String>,
    pub(super) body: BodyForm,
    /// Of presets that say how deliveries are signed and not what they mean, one that extends them.
    own: Option<NamedTempFile>,
}

/// A delivery.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) headers: HeaderMap,
    pub(super) query: String,
    pub(super) body: Vec<u8>,
    pub(super) signed: Signed,
}

/// What of a delivery its signature covers, or is: bytes of the body by their places, headers, the query.
#[derive(Clone, Debug, Default)]
pub(super) struct Signed {
    pub(super) body: Vec<usize>,
    pub(super) headers: Vec<HeaderName>,
    pub(super) query: bool,
}

static PLAID: LazyLock<[Signer; 2]> = LazyLock::new(|| [Signer::new(), Signer::new()]);

const ADYEN: [&str; 2] = [
    "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00",
    "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
];
const BRAINTREE: [(&str, &str); 2] = [("old", "private-key-77aa"), ("new", "private-key-5f0c")];
const PLAIN: [&str; 2] = ["77aa5f0c8f3b1c2d", "8f3b1c2d9a7e55aa"];

/// The fields that Adyen signs, in order.
const ADYEN_FIELDS: [&str; 8] = [
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    "/merchantReference",
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
];

impl Sender {
    /// All of them.
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
            // The adapter makes the event's id of them.
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

    /// A source for it, named after the preset, with these secrets.
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
            currency: case.currency.as_ref().map(|code| code.parse().unwrap()),
            shared_ids: true,
            live: None,
            max_age: None,
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
            Scheme::Adapter(Adapter::Adyen) => ADYEN[keys as usize].to_owned(),
            Scheme::Adapter(Adapter::Braintree) => {
                let (public, private) = BRAINTREE[keys as usize];
                format!("{public}:{private}")
            }
            Scheme::Adapter(Adapter::Nowpayments | Adapter::Opennode) => PLAIN[keys as usize].to_owned(),
            Scheme::Adapter(Adapter::Plaid) => PLAID[keys as usize].jwk(&format!("{keys:?}"), None),
        }
    }

    /// A case that is about a payment.
    fn case(&self) -> &Case {
        self.cases.iter().find(|case| is_about_a_payment(case)).unwrap()
    }

    /// A payload that is about one payment, once.
    pub(super) fn payload(&self) -> Value {
        let mut payload = self.payload_of(self.case());
        if let Some(events) = self.each.as_ref().and_then(|each| payload.pointer_mut(each)) {
            events.as_array_mut().unwrap().truncate(1);
        }
        payload
    }

    /// A case's payload, in the form that mappings read.
    pub(super) fn payload_of(&self, case: &Case) -> Value {
        match (&case.body, self.body) {
            (Value::String(text), BodyForm::Form) => read_form(text.as_bytes()),
            (Value::String(text), BodyForm::Xml) => parse_xml(text.as_bytes()).unwrap(),
            (value, _) => value.clone(),
        }
    }

    /// The delivery of a payload, signed.
    pub(super) fn post(&self, keys: Keys, payload: &Value, at: Time) -> Post {
        let mut post = match &self.scheme {
            Scheme::Recipe(_) => self.by_recipe(keys, payload, at),
            Scheme::Adapter(Adapter::Adyen) => adyen(ADYEN[keys as usize], payload),
            Scheme::Adapter(Adapter::Braintree) => braintree(BRAINTREE[keys as usize], payload),
            Scheme::Adapter(Adapter::Nowpayments) => nowpayments(PLAIN[keys as usize], payload),
            Scheme::Adapter(Adapter::Opennode) => opennode(PLAIN[keys as usize], payload),
            Scheme::Adapter(Adapter::Plaid) => plaid(keys, payload, at),
        };
        for (name, value) in &self.case().headers {
            let name: HeaderName = name.parse().unwrap();
            if !post.headers.contains_key(&name) {
                post.headers.insert(name, value.parse().unwrap());
            }
        }
        post
    }

    /// The delivery of a body that may be anything, for a provider whose body is signed as it is.
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

/// A preset's fixtures.
fn cases(preset: &str) -> Vec<Case> {
    let plain = |body: Value| Case::new(body);
    match preset {
        "stripe" => {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/fixtures/stripe");
            let mut paths: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            // The first of them are about charges.
            paths.sort();
            paths.iter().map(|path| plain(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect()
        }
        "generic" | "generic-timestamped" => ["pending", "confirmed", "expired", "failed"]
            .map(|event| {
                plain(json!({ "id": format!("evt_{event}"), "event": format!("payment.{event}"), "timestamp": fuzzing::NOW_S,
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

/// Fixtures that say nothing are about a payment without saying so.
fn is_about_a_payment(case: &Case) -> bool {
    case.says.first().is_none_or(|said| said != "ignored" && !said.starts_with("quarantined"))
}

fn form(payload: &Value) -> String {
    let members = payload.as_object().unwrap().iter().map(|(key, value)| (key, text(Some(value))));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish()
}

fn xml_of(payload: &Value) -> String {
    let mut out = String::new();
    payload.as_object().into_iter().flatten().for_each(|(name, value)| write_xml(name, value, "", &mut out));
    out
}

/// A scalar as a text.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Each item with its own signature, by Adyen's description.
fn adyen(key: &str, payload: &Value) -> Post {
    let items = payload["items"].as_array().unwrap().iter().map(|item| {
        let fields = ADYEN_FIELDS.map(|at| text(item.pointer(at)));
        let mut mac = Hmac::<Sha256>::new_from_slice(&hex::decode(key).unwrap()).unwrap();
        mac.update(fields.join(":").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let mut item = item.clone();
        item.as_object_mut().unwrap().retain(|key, _| key != "id" && key != "live");
        item["additionalData"] = json!({ "hmacSignature": signature });
        json!({ "NotificationRequestItem": item })
    });
    let delivery = json!({ "live": "false", "notificationItems": items.collect::<Vec<_>>() });
    let body = delivery.to_string();
    let names = ADYEN_FIELDS.iter().map(|at| at.rsplit('/').next().unwrap()).chain(["hmacSignature"]);
    let places = names.flat_map(|name| {
        let start = body.find(&format!("\"{name}\":\"")).map_or(0, |at| at + name.len() + 4);
        let end = body[start..].find('"').unwrap();
        if start == 0 { 0..0 } else { start..start + end }
    });
    let signed = Signed { body: places.collect(), ..Signed::default() };
    Post { headers: HeaderMap::new(), query: String::new(), body: body.into_bytes(), signed }
}

fn braintree((public, private): (&str, &str), payload: &Value) -> Post {
    let document = STANDARD.encode(xml_of(payload)) + "\n";
    let signature = format!("{public}|{}", braintree_hmac(private, &document));
    let body = braintree_form(&signature, &document).into_bytes();
    let signed = Signed { body: (0..body.len()).collect(), ..Signed::default() };
    Post { headers: HeaderMap::new(), query: String::new(), body, signed }
}

fn nowpayments(secret: &str, payload: &Value) -> Post {
    // The maps of the library are sorted.
    let body = payload.to_string().into_bytes();
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    with_header("x-nowpayments-sig", &signature, body)
}

fn opennode(secret: &str, payload: &Value) -> Post {
    let mut payload = payload.clone();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text(payload.get("id")).as_bytes());
    payload["hashed_order"] = hex::encode(mac.finalize().into_bytes()).into();
    let body = form(&payload);
    let places = ["id=", "hashed_order="].into_iter().flat_map(|name| {
        let mut at = body.match_indices(name).map(|(at, _)| at);
        let start = at.find(|at| *at == 0 || body.as_bytes()[at - 1] == b'&').unwrap();
        start..body[start..].find('&').map_or(body.len(), |end| start + end)
    });
    let signed = Signed { body: places.collect(), ..Signed::default() };
    Post { headers: HeaderMap::new(), query: String::new(), body: body.into_bytes(), signed }
}

fn plaid(keys: Keys, payload: &Value, at: Time) -> Post {
    let body = payload.to_string().into_bytes();
    let head = json!({ "alg": "ES256", "kid": format!("{keys:?}"), "typ": "JWT" });
    let claims =
        json!({ "iat": at.unix_ms() / 1000, "request_body_sha256": hex::encode(Sha256::digest(&body)) });
    with_header("plaid-verification", &PLAID[keys as usize].token(&head, &claims), body)
}

/// A body that is signed as a whole by one header.
fn with_header(name: &'static str, value: &str, body: Vec<u8>) -> Post {
    let name = HeaderName::from_static(name);
    let headers = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
    let signed = Signed { body: (0..body.len()).collect(), headers: vec![name], query: false };
    Post { headers, query: String::new(), body, signed }
}
