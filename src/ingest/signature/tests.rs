use super::*;
use crate::ingest::preset;
use http::HeaderValue;
use proptest::prelude::*;
use serde::Deserialize;

const NOW_S: i64 = 1_790_000_000;
const OLD: &str = "whsec_T2xkU2VjcmV0T2xkU2VjcmV0T2xkU2VjcmV0";
const NEW: &str = "whsec_TmV3U2VjcmV0TmV3U2VjcmV0TmV3U2VjcmV0";
/// Presets under test; Standard Webhooks by the file of a user who extends it.
const PRESETS: [&str; 4] = ["stripe", "standard-webhooks", "generic", "generic-timestamped"];

fn recipe(preset: &str) -> Recipe {
    preset::recipe_of(preset)
}

fn verifier(preset: &str, secrets: &[&str]) -> Verifier {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    Verifier::new(recipe(preset), &secrets, None).ok().unwrap()
}

fn headers(lines: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    map
}

fn at(s: i64) -> Time {
    Time::from_unix_s(NOW_S + s).unwrap()
}

/// What the SDKs of Stripe (npm `stripe` 23.1.0, `webhooks.generateTestHeaderString({payload, secret, timestamp})`) and of
/// Standard Webhooks (npm `standardwebhooks` 1.1.1, `new Webhook(secret).sign(id, date, payload)`) made of each body.
#[derive(Deserialize)]
struct Signed {
    preset: String,
    secret: String,
    at_s: i64,
    body: String,
    headers: std::collections::BTreeMap<String, String>,
}

#[test]
fn what_the_official_sdks_sign_is_verified_and_signed_alike() {
    let signed: Vec<Signed> = serde_json::from_str(include_str!("../fixtures/signed.json")).unwrap();
    assert_eq!(signed.len(), 4);
    for vector in signed {
        let verifier = verifier(&vector.preset, &[&vector.secret]);
        let theirs: Vec<_> = vector.headers.into_iter().collect();
        let time = Time::from_unix_s(vector.at_s).unwrap();
        assert_eq!(
            verifier.verify(&headers(&theirs), vector.body.as_bytes(), time),
            Ok(()),
            "{}",
            vector.preset
        );
        let id = theirs.iter().find(|(name, _)| name == "webhook-id").map_or("", |(_, id)| id);
        let ours = headers(&verifier.sign(vector.body.as_bytes(), time, id));
        assert_eq!(ours, headers(&theirs), "{}", vector.preset);
    }
}

#[test]
fn any_secret_may_have_signed_and_no_other() {
    for preset in PRESETS {
        let signed_by = |secret| headers(&verifier(preset, &[secret]).sign(b"{}", at(0), "msg_1"));
        for secrets in [[OLD, NEW], [NEW, OLD]] {
            let both = verifier(preset, &secrets);
            for secret in [OLD, NEW] {
                assert_eq!(both.verify(&signed_by(secret), b"{}", at(0)), Ok(()), "{preset}");
            }
        }
        let verdict = verifier(preset, &[NEW]).verify(&signed_by(OLD), b"{}", at(0));
        assert_eq!(verdict, Err(Rejection::BadSignature), "{preset}");
    }
}

#[test]
fn every_line_and_every_signature_counts() {
    let verifier = verifier("stripe", &[NEW]);
    let (_, good) = verifier.sign(b"{}", at(0), "").remove(0);
    let (time, signature) = good.split_once(',').unwrap();
    let junk = format!("v1={}", "0".repeat(64));
    let line = |text: &str| ("Stripe-Signature".to_owned(), text.to_owned());
    let upper = signature.to_uppercase().replace("V1", "v1");
    for (lines, expected) in [
        (vec![line(&format!("{time},{junk},{signature}"))], Ok(())),
        (vec![line(&format!("{signature},{junk},{time}"))], Ok(())),
        (vec![line(&format!("{time},{junk}")), line(&good)], Ok(())),
        (vec![line(&good), line("nonsense")], Ok(())),
        (vec![line(&format!("{time},{upper}"))], Ok(())),
        (
            vec![line(&format!("{time},v0={}", signature.trim_start_matches("v1=")))],
            Err(Rejection::MalformedSignature),
        ),
        (vec![line(&format!("{time},{junk}"))], Err(Rejection::BadSignature)),
        (vec![line(&format!("{time},v1=xyz"))], Err(Rejection::MalformedSignature)),
        (vec![line(&format!("{time},t=1,{signature}"))], Err(Rejection::MalformedSignature)),
        (vec![line(signature)], Err(Rejection::MissingTimestamp)),
        (vec![line(&format!("t=0{},{signature}", &time[2..]))], Err(Rejection::BadSignature)),
        (vec![line("")], Err(Rejection::MalformedSignature)),
        (vec![], Err(Rejection::MissingSignature)),
    ] {
        assert_eq!(verifier.verify(&headers(&lines), b"{}", at(0)), expected, "{lines:?}");
    }
}

#[test]
fn signed_headers_have_to_be_there_once() {
    for (preset, header, missing) in [
        ("standard-webhooks", "webhook-id", Rejection::MissingHeader),
        ("standard-webhooks", "webhook-timestamp", Rejection::MissingTimestamp),
        ("generic-timestamped", "x-timestamp", Rejection::MissingTimestamp),
    ] {
        let verifier = verifier(preset, &[NEW]);
        let good = headers(&verifier.sign(b"{}", at(0), "msg_1"));
        let mut without = good.clone();
        without.remove(header);
        assert_eq!(verifier.verify(&without, b"{}", at(0)), Err(missing), "{preset} without {header}");
        let mut twice = good.clone();
        twice.append(header, good[header].clone());
        assert_eq!(verifier.verify(&twice, b"{}", at(0)), Err(missing), "{preset} with {header} twice");
        let mut other = good;
        other.insert(header, HeaderValue::from_static("1789999999"));
        assert_eq!(verifier.verify(&other, b"{}", at(0)), Err(Rejection::BadSignature), "{preset} {header}");
    }
}

#[test]
fn the_window_of_time_has_two_sides() {
    for preset in ["stripe", "standard-webhooks", "generic-timestamped"] {
        let verifier = verifier(preset, &[NEW]);
        let signed = headers(&verifier.sign(b"{}", at(0), "msg_1"));
        for (received, expected) in [
            (0, Ok(())),
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(Rejection::StaleTimestamp)),
            (-301, Err(Rejection::FutureTimestamp)),
            (-86_400, Err(Rejection::FutureTimestamp)),
        ] {
            assert_eq!(verifier.verify(&signed, b"{}", at(received)), expected, "{preset} at {received}");
        }
    }
}

#[test]
fn a_generic_time_is_limited_where_the_source_asks() {
    let secrets = [SecretString::from(NEW)];
    let limited = Verifier::new(recipe("generic"), &secrets, Some(Duration::from_secs(60))).ok().unwrap();
    let unlimited = verifier("generic", &[NEW]);
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
    let verifier = verifier("generic-timestamped", &[NEW]);
    let mac = verifier.keys[0].sign([b"soon.".as_slice(), b"{}"]);
    let lines = [("x-timestamp".to_owned(), "soon".to_owned()), ("x-signature".to_owned(), hex::encode(mac))];
    assert_eq!(verifier.verify(&headers(&lines), b"{}", at(0)), Err(Rejection::MalformedTimestamp));
}

proptest! {
    #[test]
    fn a_changed_byte_anywhere_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        preset in prop::sample::select(PRESETS.to_vec()),
    ) {
        let verifier = verifier(preset, &[OLD, NEW]);
        let lines = verifier.sign(&body, at(0), "msg_1");
        let signed = headers(&lines);
        prop_assert_eq!(verifier.verify(&signed, &body, at(0)), Ok(()));
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= flip;
        prop_assert_eq!(verifier.verify(&signed, &changed, at(0)), Err(Rejection::BadSignature));
        prop_assert!(verifier.verify(&signed, &body[1..], at(0)).is_err());
        for name in signed.keys() {
            let mut value = signed[name].as_bytes().to_vec();
            let place = place.index(value.len());
            // A change of case within hex is none; every other change of a digit or a letter is one.
            value[place] = if value[place] == b'1' { b'2' } else { b'1' };
            let mut changed = signed.clone();
            changed.insert(name, HeaderValue::from_bytes(&value).unwrap());
            prop_assert!(verifier.verify(&changed, &body, at(0)).is_err());
        }
    }

    #[test]
    fn arbitrary_header_bytes_are_refused_without_a_panic(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6),
        preset in prop::sample::select(PRESETS.to_vec()),
    ) {
        let verifier = verifier(preset, &[OLD]);
        let mut map = headers(&verifier.sign(b"{}", at(0), "msg_1"));
        map.remove(&verifier.recipe.header);
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                map.append(verifier.recipe.header.clone(), value);
            }
        }
        let verdict = verifier.verify(&map, b"{}", at(0));
        prop_assert!(verdict.is_err());
    }
}
