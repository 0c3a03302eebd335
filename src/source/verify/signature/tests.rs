use super::*;
use crate::source::preset;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

mod keys;
pub(crate) use keys::Pair;

const NOW_S: i64 = 1_790_000_000;

/// A request without its body, and what its source is configured with.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request {
    pub(crate) headers: HeaderMap,
    pub(crate) query: String,
    options: OptionValues,
}

impl Request {
    fn around(&self) -> RequestParts<'_> {
        RequestParts { headers: &self.headers, query: &self.query, options: &self.options }
    }
}

/// A preset's recipe with secrets of one's own.
pub(crate) struct Bench {
    recipe: Recipe,
    pub(crate) options: OptionValues,
}

impl Bench {
    pub(crate) fn new(preset: &str) -> Self {
        let options = preset::option_names(preset).into_iter().map(|name| {
            let value = format!("https://{name}.example/hook");
            (name, value)
        });
        Self { recipe: preset::recipe_of(preset), options: options.collect() }
    }

    /// Every built-in preset that is a recipe.
    fn all() -> impl Iterator<Item = (&'static str, Self)> {
        preset::recipes().into_iter().map(|name| (name, Self::new(name)))
    }

    fn verifier(&self, pairs: &[&Pair]) -> RecipeVerifier {
        let secrets: Vec<SecretString> = pairs.iter().map(|pair| pair.secret(&self.recipe)).collect();
        RecipeVerifier::new(self.recipe.clone(), &secrets, None).ok().unwrap()
    }

    pub(crate) fn sign(&self, pair: &Pair, body: &[u8], at: Time) -> Request {
        let verifier = self.verifier(&[pair]);
        let sign = |message: &[&[u8]]| {
            pair.sign(&self.recipe, message).unwrap_or_else(|| verifier.keys[0].sign(message))
        };
        self.request(verifier.sign_by(sign, body, at, "msg_1", &self.options))
    }

    fn request(&self, signed: Signed) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in signed.headers {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(signed.query).finish();
        Request { headers, query, options: self.options.clone() }
    }

    fn signs_body(&self) -> bool {
        self.recipe.signs(&Piece::Body)
    }
}

fn stripe() -> (Bench, RecipeVerifier) {
    let bench = Bench::new("stripe");
    let verifier = bench.verifier(&[Pair::new()]);
    (bench, verifier)
}

fn at(s: i64) -> Time {
    Time::from_unix_s(NOW_S + s).unwrap()
}

/// What someone else made of a body: `tests/clients/oracles/sign.py`, and the providers' own libraries agree with it as far as there
/// are any (`check.mjs`).
#[derive(Deserialize)]
struct Theirs {
    preset: String,
    secret: String,
    at_s: i64,
    id: String,
    body: String,
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    options: OptionValues,
}

impl Theirs {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../fixtures/signed.json")).unwrap()
    }

    /// What stands in Revolut's manual, and in the tests of the libraries of Standard Webhooks, Svix and Square.
    fn published() -> Vec<Self> {
        serde_json::from_str(include_str!("../../fixtures/published.json")).unwrap()
    }

    /// What only a private key can sign, which nobody kept: `tests/clients/oracles/check.py`.
    fn by_private_keys() -> Vec<Self> {
        let all: Vec<Self> =
            serde_json::from_str(include_str!("../../fixtures/signed-by-keys.json")).unwrap();
        all.into_iter().filter(|theirs| theirs.preset != "plaid").collect()
    }

    fn verifier(&self) -> RecipeVerifier {
        let secrets = [self.secret.as_str().into()];
        RecipeVerifier::new(preset::recipe_of(&self.preset), &secrets, None).ok().unwrap()
    }

    fn request(&self) -> Request {
        let pairs = self.headers.iter();
        let headers = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Request { headers, query: self.query.clone(), options: self.options.clone() }
    }

    fn at(&self) -> Time {
        Time::from_unix_s(self.at_s).unwrap()
    }
}

#[test]
fn what_others_sign_is_verified_and_no_changed_byte_of_it() {
    let all = Theirs::all().into_iter().chain(Theirs::published()).chain(Theirs::by_private_keys());
    for theirs in all {
        let (verifier, request, preset) = (theirs.verifier(), theirs.request(), &theirs.preset);
        let verify = |body: &[u8]| verifier.verify(request.around(), body, theirs.at());
        assert_eq!(verify(theirs.body.as_bytes()), Ok(()), "{preset}");
        let signs_body = [Piece::Body, Piece::Crc32].iter().any(|piece| verifier.recipe.signs(piece));
        for place in (0..theirs.body.len()).filter(|_| signs_body) {
            let mut changed = theirs.body.clone().into_bytes();
            changed[place] ^= 1;
            assert_eq!(verify(&changed), Err(Rejection::BadSignature), "{preset} at {place}");
        }
    }
}

#[test]
fn every_recipe_by_private_keys_is_checked_against_others() {
    let theirs: Vec<String> = Theirs::by_private_keys().into_iter().map(|theirs| theirs.preset).collect();
    for (preset, bench) in Bench::all() {
        let is_public = bench.recipe.methods[0].algorithm.is_public() || preset == "standard-webhooks";
        assert_eq!(theirs.iter().any(|known| known == preset), is_public, "{preset}");
    }
}

#[test]
fn what_others_sign_is_signed_alike() {
    for theirs in Theirs::all() {
        // It names headers of its own choice; ours names one that is not there.
        if theirs.preset == "coinbase" {
            continue;
        }
        let signed = theirs.verifier().sign(theirs.body.as_bytes(), theirs.at(), &theirs.id, &theirs.options);
        let (mut ours, mut expected) = (Bench::new(&theirs.preset).request(signed), theirs.request());
        if theirs.preset == "authorize-net" {
            // Theirs writes hexadecimal in capitals.
            for request in [&mut ours, &mut expected] {
                let line = request.headers["x-anet-signature"].to_str().unwrap().to_lowercase();
                request.headers.insert("x-anet-signature", line.parse().unwrap());
            }
        }
        assert_eq!((ours.headers, ours.query), (expected.headers, expected.query), "{}", theirs.preset);
    }
}

#[test]
fn every_recipe_with_a_shared_secret_is_checked_against_others() {
    let theirs: Vec<String> = Theirs::all().into_iter().map(|theirs| theirs.preset).collect();
    for (preset, bench) in Bench::all() {
        let is_shared = !bench.recipe.methods[0].algorithm.is_public();
        assert_eq!(theirs.iter().any(|known| known == preset), is_shared, "{preset}");
    }
}

#[test]
fn any_secret_may_have_signed_and_no_other() {
    let [old, new] = Pair::two();
    for (preset, bench) in Bench::all() {
        for pairs in [[old, new], [new, old]] {
            let both = bench.verifier(&pairs);
            for pair in [old, new] {
                let signed = bench.sign(pair, b"{}", at(0));
                assert_eq!(both.verify(signed.around(), b"{}", at(0)), Ok(()), "{preset}");
            }
        }
        let signed = bench.sign(old, b"{}", at(0));
        let verdict = bench.verifier(&[new]).verify(signed.around(), b"{}", at(0));
        assert_eq!(verdict, Err(Rejection::BadSignature), "{preset}");
    }
}

#[test]
fn a_tampered_body_is_refused_wherever_it_is_signed() {
    for (preset, bench) in Bench::all().filter(|(_, bench)| bench.signs_body()) {
        let signed = bench.sign(Pair::new(), b"{\"a\":1}", at(0));
        let verifier = bench.verifier(&[Pair::new()]);
        for body in [b"{\"a\":2}".as_slice(), b"{\"a\":1", b"{\"a\":1}\n", b""] {
            let verdict = verifier.verify(signed.around(), body, at(0));
            assert_eq!(verdict, Err(Rejection::BadSignature), "{preset}");
        }
    }
}

#[test]
fn whatever_is_signed_has_to_be_there_once_and_as_it_was() {
    for (preset, bench) in Bench::all() {
        let verifier = bench.verifier(&[Pair::new()]);
        let good = bench.sign(Pair::new(), b"{}", at(0));
        let refused = |request: &Request, what: &str| {
            let verdict = verifier.verify(request.around(), b"{}", at(0));
            assert!(verdict.is_err(), "{preset} with {what}");
        };
        for name in good.headers.keys() {
            let mut without = good.clone();
            without.headers.remove(name);
            refused(&without, &format!("no {name}"));
            let mut other = good.clone();
            other.headers.insert(name, HeaderValue::from_static("1789999999"));
            refused(&other, &format!("another {name}"));
            if Carrier::Header(name.clone()) != bench.recipe.carrier {
                let mut twice = good.clone();
                twice.headers.append(name, good.headers[name].clone());
                refused(&twice, &format!("{name} twice"));
            }
        }
        if !good.query.is_empty() {
            refused(&Request { query: String::new(), ..good.clone() }, "no query");
            refused(&Request { query: good.query.replace('=', "=x"), ..good.clone() }, "another query");
            refused(&Request { query: format!("{0}&{0}", good.query), ..good.clone() }, "the query twice");
        }
        for name in bench.recipe.signed.iter().flat_map(|part| &part.pieces).filter_map(|piece| match piece {
            Piece::Option(name) => Some(name),
            _ => None,
        }) {
            let mut moved = good.clone();
            moved.options.insert(name.clone(), "https://elsewhere.example".to_owned());
            refused(&moved, "another option");
        }
    }
}

#[test]
fn the_window_of_time_has_two_sides() {
    for (preset, bench) in Bench::all() {
        let Some(TimeRule { from, max_age, max_future, .. }) = bench.recipe.time.clone() else { continue };
        let Some(max_age) = max_age.filter(|_| !matches!(from, TimeFrom::Payload(_))) else { continue };
        let (max_age, max_future) = (max_age.as_secs() as i64, max_future.as_secs() as i64);
        let verifier = bench.verifier(&[Pair::new()]);
        let signed = bench.sign(Pair::new(), b"{}", at(0));
        for (received, expected) in [
            (0, Ok(())),
            (max_age, Ok(())),
            (-max_future, Ok(())),
            (max_age + 1, Err(Rejection::StaleTimestamp)),
            (-max_future - 1, Err(Rejection::FutureTimestamp)),
            (-86_400, Err(Rejection::FutureTimestamp)),
        ] {
            let verdict = verifier.verify(signed.around(), b"{}", at(received));
            assert_eq!(verdict, expected, "{preset} at {received}");
        }
    }
}

#[test]
fn every_line_and_every_signature_counts() {
    let (bench, verifier) = stripe();
    let good = bench.sign(Pair::new(), b"{}", at(0)).headers["stripe-signature"].clone();
    let (time, signature) = good.to_str().unwrap().split_once(',').unwrap();
    let junk = format!("v1={}", "0".repeat(64));
    let upper = signature.to_uppercase().replace("V1", "v1");
    for (lines, expected) in [
        (vec![format!("{time},{junk},{signature}")], Ok(())),
        (vec![format!("{signature},{junk},{time}")], Ok(())),
        (vec![format!("{time},{upper}")], Ok(())),
        (vec![format!("{time},{junk}"), format!("{time},{signature}")], Ok(())),
        (vec!["junk".to_owned(), format!("{time},{signature}")], Ok(())),
        (vec![format!("{time},{}", signature.replace("v1", "v0"))], Err(Rejection::MalformedSignature)),
        (vec![format!("{time},v1=xyz")], Err(Rejection::MalformedSignature)),
        (vec![format!("{time},t=1,{signature}")], Err(Rejection::MalformedSignature)),
        (vec![signature.to_owned()], Err(Rejection::MissingTimestamp)),
        (vec![format!("t=0{},{signature}", &time[2..])], Err(Rejection::BadSignature)),
        (vec![String::new()], Err(Rejection::MalformedSignature)),
        (vec![], Err(Rejection::MissingSignature)),
    ] {
        let line = |text: &String| ("stripe-signature".parse().unwrap(), text.parse().unwrap());
        let headers: HeaderMap = lines.iter().map(line).collect();
        let request = Request { headers, query: String::new(), options: OptionValues::new() };
        assert_eq!(verifier.verify(request.around(), b"{}", at(0)), expected, "{lines:?}");
    }
}

#[test]
fn a_key_is_tried_only_on_signatures_that_name_it() {
    for preset in ["klarna", "worldpay"] {
        let bench = Bench::new(preset);
        let signed = bench.sign(Pair::new(), b"{}", at(0));
        let renamed = bench.verifier(&[Pair::new()]).recipe;
        let secret = Pair::new().secret(&renamed);
        let secret = secrecy::ExposeSecret::expose_secret(&secret).replacen("new:", "other:", 1);
        let other = RecipeVerifier::new(renamed, &[secret.into()], None).ok().unwrap();
        let verdict = other.verify(signed.around(), b"{}", at(0));
        assert_eq!(verdict, Err(Rejection::BadSignature), "{preset}");
    }
}

#[test]
fn a_secret_belongs_to_the_method_whose_prefix_it_bears() {
    let bench = Bench::new("standard-webhooks");
    let [old, new] = Pair::two();
    let public: SecretString = format!("whpk_{}", STANDARD.encode(old.ed25519_public())).into();
    let both = [public.clone(), new.secret(&bench.recipe)];
    let verifier = RecipeVerifier::new(bench.recipe.clone(), &both, None).ok().unwrap();
    let only = RecipeVerifier::new(bench.recipe.clone(), &[public], None).ok().unwrap();
    let asymmetric = bench.request(only.sign_by(
        |message| old.ed25519_sign(message),
        b"{}",
        at(0),
        "msg_1",
        &OptionValues::new(),
    ));
    assert!(asymmetric.headers["webhook-signature"].to_str().unwrap().starts_with("v1a,"));
    assert_eq!(verifier.verify(asymmetric.around(), b"{}", at(0)), Ok(()));
    assert_eq!(verifier.verify(asymmetric.around(), b"[]", at(0)), Err(Rejection::BadSignature));
    let symmetric = bench.sign(new, b"{}", at(0));
    assert_eq!(verifier.verify(symmetric.around(), b"{}", at(0)), Ok(()));
    // A signature of one method is never taken for one of the other.
    let mut crossed = symmetric;
    let line = crossed.headers["webhook-signature"].to_str().unwrap().replace("v1,", "v1a,");
    crossed.headers.insert("webhook-signature", line.parse().unwrap());
    assert_eq!(verifier.verify(crossed.around(), b"{}", at(0)), Err(Rejection::BadSignature));
}

#[test]
fn optional_pieces_are_left_out_where_they_are_not_there() {
    let bench = Bench::new("mercado-pago");
    let pair = Pair::new();
    let verifier = bench.verifier(&[pair]);
    let mut signed = bench.sign(pair, b"{}", at(0));
    let ts = NOW_S.to_string();
    let mac = verifier.keys[0].sign(&[b"id:abc-1;", format!("ts:{ts};").as_bytes()]);
    signed.headers.remove("x-request-id");
    signed.headers.insert("x-signature", format!("ts={ts},v1={}", hex::encode(mac)).parse().unwrap());
    signed.query = "data.id=ABC-1&type=payment".to_owned();
    assert_eq!(verifier.verify(signed.around(), b"{}", at(0)), Ok(()));
    signed.headers.insert("x-request-id", "r".parse().unwrap());
    assert_eq!(verifier.verify(signed.around(), b"{}", at(0)), Err(Rejection::BadSignature));
}

#[test]
fn a_generic_time_is_limited_where_the_source_asks() {
    let recipe = || preset::recipe_of("generic");
    let secrets = [Pair::new().secret(&recipe())];
    let limited = RecipeVerifier::new(recipe(), &secrets, Some(Duration::from_secs(60))).ok().unwrap();
    let unlimited = RecipeVerifier::new(recipe(), &secrets, None).ok().unwrap();
    for (timestamp, expected) in [
        (r#""2026-09-21T14:13:20Z""#, Ok(())),
        ("1790000000", Ok(())),
        ("1789999939", Err(Rejection::StaleTimestamp)),
        ("1790000301", Err(Rejection::FutureTimestamp)),
        (r#""yesterday""#, Err(Rejection::MalformedTimestamp)),
        ("null", Err(Rejection::MissingTimestamp)),
    ] {
        let payload: Value = serde_json::from_str(&format!(r#"{{"timestamp":{timestamp}}}"#)).unwrap();
        assert_eq!(limited.check_payload_time(&payload, at(0)), expected, "{timestamp}");
        assert_eq!(unlimited.check_payload_time(&payload, at(0)), Ok(()), "{timestamp}");
    }
}

#[test]
fn a_signature_over_a_time_that_is_none_is_refused_after_it_was_found_good() {
    let bench = Bench::new("generic-timestamped");
    let verifier = bench.verifier(&[Pair::new()]);
    let mac = verifier.keys[0].sign(&[b"soon.", b"{}"]);
    let mut request = bench.sign(Pair::new(), b"{}", at(0));
    request.headers.insert("x-timestamp", "soon".parse().unwrap());
    request.headers.insert("x-signature", hex::encode(mac).parse().unwrap());
    assert_eq!(verifier.verify(request.around(), b"{}", at(0)), Err(Rejection::MalformedTimestamp));
}

proptest! {
    #[test]
    fn a_changed_byte_anywhere_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        preset in prop::sample::select(preset::recipes()),
    ) {
        let bench = Bench::new(preset);
        let [old, new] = Pair::two();
        let verifier = bench.verifier(&[old, new]);
        let signed = bench.sign(old, &body, at(0));
        prop_assert_eq!(verifier.verify(signed.around(), &body, at(0)), Ok(()));
        if bench.signs_body() {
            let mut changed = body.clone();
            changed[place.index(body.len())] ^= flip;
            prop_assert_eq!(verifier.verify(signed.around(), &changed, at(0)), Err(Rejection::BadSignature));
            prop_assert!(verifier.verify(signed.around(), &body[1..], at(0)).is_err());
        }
        for name in signed.headers.keys() {
            let mut value = signed.headers[name].as_bytes().to_vec();
            let place = place.index(value.len());
            // A change of case within hex is none; every other change of a digit or a letter is one.
            value[place] = if value[place] == b'1' { b'2' } else { b'1' };
            let mut changed = signed.clone();
            changed.headers.insert(name, HeaderValue::from_bytes(&value).unwrap());
            prop_assert!(verifier.verify(changed.around(), &body, at(0)).is_err());
        }
    }

    #[test]
    fn arbitrary_header_bytes_are_refused_without_a_panic(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6),
        preset in prop::sample::select(preset::recipes()),
    ) {
        let bench = Bench::new(preset);
        let verifier = bench.verifier(&[Pair::new()]);
        let mut request = bench.sign(Pair::new(), b"{}", at(0));
        let Carrier::Header(name) = &bench.recipe.carrier else { return Ok(()) };
        request.headers.remove(name);
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                request.headers.append(name.clone(), value);
            }
        }
        let verdict = verifier.verify(request.around(), b"{}", at(0));
        prop_assert!(verdict.is_err());
    }
}
