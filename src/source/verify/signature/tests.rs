mod bench;
mod keys;
mod others;

pub(crate) use bench::Bench;
pub(crate) use keys::Pair;

use super::{
    delivery::UnsignedDelivery,
    recipe::{Carrier, Piece, TimeFrom, TimeRule},
    verifier::RecipeVerifier,
};
use crate::{
    payment::Time,
    source::{
        payload::OptionValues,
        preset,
        verify::{rejection::Rejection, window::TimeLimits},
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bench::Request;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

const NOW_S: i64 = 1_790_000_000;

fn stripe() -> (Bench, RecipeVerifier) {
    let bench = Bench::new("stripe");
    let verifier = bench.verifier(&[Pair::new()]);
    (bench, verifier)
}

fn at(s: i64) -> Time {
    Time::from_unix_s(NOW_S + s).unwrap()
}

#[test]
fn any_secret_may_have_signed_and_no_other() {
    let [old, new] = Pair::two();
    for (preset, bench) in Bench::all() {
        for pairs in [[old, new], [new, old]] {
            let both = bench.verifier(&pairs);
            for pair in [old, new] {
                let signed = bench.sign(pair, b"{}", at(0));
                assert_eq!(both.verify(signed.parts(), b"{}", at(0)), Ok(()), "{preset}");
            }
        }
        let signed = bench.sign(old, b"{}", at(0));
        let verdict = bench.verifier(&[new]).verify(signed.parts(), b"{}", at(0));
        assert_eq!(verdict, Err(Rejection::BadSignature), "{preset}");
    }
}

#[test]
fn a_tampered_body_is_refused_wherever_it_is_signed() {
    for (preset, bench) in Bench::all().filter(|(_, bench)| bench.signs_body()) {
        let signed = bench.sign(Pair::new(), b"{\"a\":1}", at(0));
        let verifier = bench.verifier(&[Pair::new()]);
        for body in [b"{\"a\":2}".as_slice(), b"{\"a\":1", b"{\"a\":1}\n", b""] {
            let verdict = verifier.verify(signed.parts(), body, at(0));
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
            let verdict = verifier.verify(request.parts(), b"{}", at(0));
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
        if matches!(from, TimeFrom::Payload(_)) {
            continue;
        }
        let seconds = |time: Duration| time.as_secs() as i64;
        let (max_age, max_future) = (max_age.map(seconds), seconds(max_future));
        let beyond = max_age.map_or(Ok(()), |_| Err(Rejection::StaleTimestamp));
        let max_age = max_age.unwrap_or(365 * 86_400);
        let verifier = bench.verifier(&[Pair::new()]);
        let signed = bench.sign(Pair::new(), b"{}", at(0));
        for (received, expected) in [
            (0, Ok(())),
            (max_age, Ok(())),
            (-max_future, Ok(())),
            (max_age + 1, beyond),
            (-max_future - 1, Err(Rejection::FutureTimestamp)),
            (-86_400, Err(Rejection::FutureTimestamp)),
        ] {
            let verdict = verifier.verify(signed.parts(), b"{}", at(received));
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
        assert_eq!(verifier.verify(request.parts(), b"{}", at(0)), expected, "{lines:?}");
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
        let other = RecipeVerifier::new(renamed, &[secret.into()], TimeLimits::default()).ok().unwrap();
        let verdict = other.verify(signed.parts(), b"{}", at(0));
        assert_eq!(verdict, Err(Rejection::BadSignature), "{preset}");
    }
}

#[test]
fn a_secret_belongs_to_the_method_whose_prefix_it_bears() {
    let bench = Bench::new("standard-webhooks");
    let [old, new] = Pair::two();
    let public: SecretString = format!("whpk_{}", STANDARD.encode(old.ed25519_public())).into();
    let both = [public.clone(), new.secret(&bench.recipe)];
    let verifier = RecipeVerifier::new(bench.recipe.clone(), &both, TimeLimits::default()).ok().unwrap();
    let only = RecipeVerifier::new(bench.recipe.clone(), &[public], TimeLimits::default()).ok().unwrap();
    let asymmetric = bench.request(only.sign_by(
        |message| old.ed25519_sign(message),
        &UnsignedDelivery::new(b"{}", "msg_1", at(0)),
        &OptionValues::new(),
    ));
    assert!(asymmetric.headers["webhook-signature"].to_str().unwrap().starts_with("v1a,"));
    assert_eq!(verifier.verify(asymmetric.parts(), b"{}", at(0)), Ok(()));
    assert_eq!(verifier.verify(asymmetric.parts(), b"[]", at(0)), Err(Rejection::BadSignature));
    let symmetric = bench.sign(new, b"{}", at(0));
    assert_eq!(verifier.verify(symmetric.parts(), b"{}", at(0)), Ok(()));
    // A signature by one method is never accepted as one by the other.
    let mut crossed = symmetric;
    let line = crossed.headers["webhook-signature"].to_str().unwrap().replace("v1,", "v1a,");
    crossed.headers.insert("webhook-signature", line.parse().unwrap());
    assert_eq!(verifier.verify(crossed.parts(), b"{}", at(0)), Err(Rejection::BadSignature));
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
    assert_eq!(verifier.verify(signed.parts(), b"{}", at(0)), Ok(()));
    signed.headers.insert("x-request-id", "r".parse().unwrap());
    assert_eq!(verifier.verify(signed.parts(), b"{}", at(0)), Err(Rejection::BadSignature));
}

#[test]
fn a_generic_time_is_never_in_the_future_and_its_age_is_limited_where_the_source_asks() {
    let recipe = || preset::recipe_of("generic");
    let secrets = [Pair::new().secret(&recipe())];
    let limits = TimeLimits { max_age: Some(Duration::from_secs(60)), max_future: None };
    let limited = RecipeVerifier::new(recipe(), &secrets, limits).ok().unwrap();
    let unlimited = RecipeVerifier::new(recipe(), &secrets, TimeLimits::default()).ok().unwrap();
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
        let of_unlimited = expected.or_else(|why| match why {
            Rejection::FutureTimestamp => Err(why),
            _ => Ok(()),
        });
        assert_eq!(unlimited.check_payload_time(&payload, at(0)), of_unlimited, "{timestamp}");
    }
    let limits = TimeLimits { max_age: None, max_future: Some(Duration::from_secs(600)) };
    let patient = RecipeVerifier::new(recipe(), &secrets, limits).ok().unwrap();
    for (timestamp, expected) in [(1_790_000_600, Ok(())), (1_790_000_601, Err(Rejection::FutureTimestamp))] {
        let payload = serde_json::json!({ "timestamp": timestamp });
        assert_eq!(patient.check_payload_time(&payload, at(0)), expected, "{timestamp}");
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
    assert_eq!(verifier.verify(request.parts(), b"{}", at(0)), Err(Rejection::MalformedTimestamp));
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
        prop_assert_eq!(verifier.verify(signed.parts(), &body, at(0)), Ok(()));
        if bench.signs_body() {
            let mut changed = body.clone();
            changed[place.index(body.len())] ^= flip;
            prop_assert_eq!(verifier.verify(signed.parts(), &changed, at(0)), Err(Rejection::BadSignature));
            prop_assert!(verifier.verify(signed.parts(), &body[1..], at(0)).is_err());
        }
        for name in signed.headers.keys() {
            let mut value = signed.headers[name].as_bytes().to_vec();
            let place = place.index(value.len());
            // A change of case within hexadecimal changes nothing, but every other change of a digit or a letter does.
            value[place] = if value[place] == b'1' { b'2' } else { b'1' };
            let mut changed = signed.clone();
            changed.headers.insert(name, HeaderValue::from_bytes(&value).unwrap());
            prop_assert!(verifier.verify(changed.parts(), &body, at(0)).is_err());
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
        let verdict = verifier.verify(request.parts(), b"{}", at(0));
        prop_assert!(verdict.is_err());
    }
}
