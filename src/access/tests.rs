//! Admission, row by row: whatever is wrong with a token has its own reason, and nothing falls back to anonymous.

use super::{token::MAX_LIFETIME, *};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::header;
use proptest::prelude::*;
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW_S: i64 = 1_800_000_000;

fn at(seconds: i64) -> Time {
    Time::from_unix_s(NOW_S + seconds).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn secret_key(kid: &str, secret: &str) -> KeySettings {
    KeySettings {
        kid: kid.into(),
        algorithm: TokenAlgorithm::Hs256,
        material: Material::Secret(secret.into()),
        realms: vec![name("default")],
        operator: false,
    }
}

fn pair_key(
    kid: &str,
    algorithm: TokenAlgorithm,
    public_key: &str,
    private_key: Option<&str>,
) -> KeySettings {
    let material = Material::Pair { public_key: public_key.into(), private_key: private_key.map(Into::into) };
    KeySettings { kid: kid.into(), algorithm, material, realms: vec![name("default")], operator: false }
}

const ED25519: (&str, &str) =
    (include_str!("testdata/ed25519.pub.pem"), include_str!("testdata/ed25519.key.pem"));
const P256: (&str, &str) = (include_str!("testdata/p256.pub.pem"), include_str!("testdata/p256.key.pem"));
const P384_PUBLIC: &str = include_str!("testdata/p384.pub.pem");
const RSA: (&str, &str) = (include_str!("testdata/rsa.pub.pem"), include_str!("testdata/rsa.key.pem"));

/// One key of each kind; `op` is the operators'.
fn settings() -> AccessSettings {
    let operator = KeySettings { operator: true, ..secret_key("op", "another-Secret-of-0123456789-bytes") };
    AccessSettings {
        keys: vec![
            secret_key("k1", SECRET),
            operator,
            pair_key("ed", TokenAlgorithm::EdDsa, ED25519.0, Some(ED25519.1)),
            pair_key("ec", TokenAlgorithm::Es256, P256.0, Some(P256.1)),
            pair_key("rsa", TokenAlgorithm::Rs256, RSA.0, Some(RSA.1)),
        ],
        ..AccessSettings::default()
    }
}

fn access() -> Access {
    Access::new(settings()).unwrap()
}

fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap())])
}

/// A token with any header and claims, signed with an HS256 secret.
fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn good_header() -> Value {
    json!({"alg": "HS256", "kid": "k1", "typ": "JWT"})
}

fn good_claims() -> Value {
    json!({"aud": "paystream", "realm": "default", "payments": ["pay_1"], "iat": NOW_S, "exp": NOW_S + 900})
}

/// `base` with `changes` laid over it; null takes a member away.
fn with(base: Value, changes: &Value) -> Value {
    let Value::Object(mut members) = base else { unreachable!() };
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(key),
            value => members.insert(key.clone(), value.clone()),
        };
    }
    Value::Object(members)
}

fn admit(access: &Access, token: &str, now: Time) -> Result<Grant, Denied> {
    access.admit(&bearer(token), None, now)
}

#[test]
fn a_token_of_each_algorithm_is_minted_and_admitted() {
    let access = access();
    for kid in ["k1", "op", "ed", "ec", "rsa"] {
        let ids = [name("pay_1"), name("pay_2")];
        let token = access.mint(Some(kid), &name("default"), &ids, Duration::from_secs(900), at(0)).unwrap();
        let grant = admit(&access, &token, at(1)).unwrap();
        assert_eq!(grant.kid.as_deref(), Some(kid));
        assert_eq!(grant.expires_at, Some(at(930)));
        assert!(grant.allows(&ids[0]) && grant.allows(&ids[1]) && !grant.allows(&name("pay_3")), "{kid}");
        assert!(access.stands(&grant));
    }
}

#[test]
fn every_wrong_header_has_its_reason() {
    let access = access();
    for (changes, expected) in [
        (json!({"alg": "none"}), Denied::WrongAlgorithm),
        (json!({"alg": "HS512"}), Denied::WrongAlgorithm),
        (json!({"alg": "hs256"}), Denied::WrongAlgorithm),
        (json!({"alg": "RS256"}), Denied::WrongAlgorithm),
        (json!({"alg": null}), Denied::MalformedToken),
        (json!({"alg": 1}), Denied::MalformedToken),
        (json!({"kid": "k2"}), Denied::UnknownKey),
        (json!({"kid": ""}), Denied::UnknownKey),
        (json!({"kid": 1}), Denied::MalformedToken),
        (json!({"kid": null}), Denied::MissingKid),
        (json!({"kid": null, "alg": "none"}), Denied::UnknownKey),
        (json!({"kid": "rsa"}), Denied::WrongAlgorithm),
        (json!({"kid": "op"}), Denied::BadSignature),
        (json!({"crit": ["exp"]}), Denied::MalformedToken),
    ] {
        let token = signed(&with(good_header(), &changes), &good_claims(), SECRET);
        assert_eq!(admit(&access, &token, at(0)), Err(expected), "{changes}");
    }
}

#[test]
fn every_wrong_claim_has_its_reason() {
    let access = access();
    let many: Vec<String> = (0..65).map(|i| format!("pay_{i}")).collect();
    for (changes, expected) in [
        (json!({"exp": null}), Denied::BadClaim("exp")),
        (json!({"exp": "soon"}), Denied::BadClaim("exp")),
        (json!({"exp": -1}), Denied::BadClaim("exp")),
        (json!({"exp": 1e300}), Denied::BadClaim("exp")),
        (json!({"exp": i64::MAX}), Denied::BadClaim("exp")),
        (json!({"iat": null}), Denied::BadClaim("iat")),
        (json!({"iat": [1]}), Denied::BadClaim("iat")),
        (json!({"nbf": "x"}), Denied::BadClaim("nbf")),
        (json!({"exp": NOW_S - 30}), Denied::Expired),
        (json!({"iat": NOW_S + 31}), Denied::NotYetValid),
        (json!({"nbf": NOW_S + 31}), Denied::NotYetValid),
        (json!({"exp": NOW_S - 1}), Denied::NeverValid),
        (json!({"exp": NOW_S + 9, "iat": NOW_S + 10}), Denied::NeverValid),
        (json!({"exp": NOW_S + 9, "nbf": NOW_S + 10}), Denied::NeverValid),
        (json!({"exp": NOW_S + 86_401}), Denied::LifetimeTooLong),
        (json!({"iat": 0}), Denied::LifetimeTooLong),
        (json!({"aud": null}), Denied::BadClaim("aud")),
        (json!({"aud": 7}), Denied::BadClaim("aud")),
        (json!({"aud": "other"}), Denied::WrongAudience),
        (json!({"aud": ["other", "paystream2"]}), Denied::WrongAudience),
        (json!({"aud": []}), Denied::WrongAudience),
        (json!({"realm": null}), Denied::BadClaim("realm")),
        (json!({"realm": "a b"}), Denied::BadClaim("realm")),
        (json!({"realm": "other"}), Denied::RealmNotAllowed),
        (json!({"payments": null}), Denied::BadClaim("payments")),
        (json!({"payments": "pay_1"}), Denied::BadClaim("payments")),
        (json!({"payments": []}), Denied::BadClaim("payments")),
        (json!({"payments": [1]}), Denied::BadClaim("payments")),
        (json!({"payments": ["a\nb"]}), Denied::BadClaim("payments")),
        (json!({"payments": many}), Denied::BadClaim("payments")),
        (json!({"payments": ["*", "pay_1"]}), Denied::BadClaim("payments")),
        (json!({"payments": ["*"]}), Denied::OperatorNotAllowed),
    ] {
        let token = signed(&good_header(), &with(good_claims(), &changes), SECRET);
        assert_eq!(admit(&access, &token, at(0)), Err(expected), "{changes}");
    }
}

#[test]
fn claims_in_their_other_lawful_shapes_are_admitted() {
    let access = access();
    for changes in [
        json!({"aud": ["other", "paystream"]}),
        json!({"exp": NOW_S as f64 + 60.5}),
        json!({"nbf": NOW_S + 30}),
        json!({"iat": NOW_S + 30}),
        json!({"exp": NOW_S - 29, "iat": NOW_S - 29}),
        json!({"exp": NOW_S + 86_400}),
        json!({"payments": (0..64).map(|i| format!("pay_{i}")).collect::<Vec<_>>()}),
        json!({"sub": "customer", "jti": 7, "extra": {"deep": [1.5e300]}}),
    ] {
        let token = signed(&good_header(), &with(good_claims(), &changes), SECRET);
        assert!(admit(&access, &token, at(0)).is_ok(), "{changes}");
    }
}

#[test]
fn garbage_is_malformed_whatever_it_is() {
    let access = access();
    let good = signed(&good_header(), &good_claims(), SECRET);
    let long = format!("{good}{}", "A".repeat(20_000));
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "e30.e30",
        "e30.e30.",
        "bm8.bm8.bm8",
        "W10.W10.",
        &format!("{good}.x"),
        &long,
    ] {
        assert_eq!(admit(&access, token, at(0)), Err(Denied::MalformedToken), "{token:.60}");
    }
}

#[test]
fn a_missing_kid_is_fine_while_only_one_key_fits() {
    let token = signed(&json!({"alg": "HS256"}), &good_claims(), SECRET);
    let keys = vec![secret_key("k1", SECRET), pair_key("ed", TokenAlgorithm::EdDsa, ED25519.0, None)];
    let access = Access::new(AccessSettings { keys, ..AccessSettings::default() }).unwrap();
    assert_eq!(admit(&access, &token, at(0)).unwrap().kid.as_deref(), Some("k1"));
}

/// The classic confusion: a public key, known to all, used as an HMAC secret.
#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let access = access();
    for (kid, alg, public) in [("rsa", "RS256", RSA.0), ("ec", "ES256", P256.0), ("ed", "EdDSA", ED25519.0)] {
        let forged = signed(&json!({"alg": "HS256", "kid": kid}), &good_claims(), public);
        assert_eq!(admit(&access, &forged, at(0)), Err(Denied::WrongAlgorithm), "{kid}");
        let forged = signed(&json!({"alg": alg, "kid": kid}), &good_claims(), public);
        assert_eq!(admit(&access, &forged, at(0)), Err(Denied::BadSignature), "{kid}");
    }
}

#[test]
fn admission_and_a_running_stream_end_at_the_same_moment() {
    for leeway_s in [0_u32, 1, 30, 60, 61] {
        let settings = AccessSettings { leeway: Duration::from_secs(leeway_s.into()), ..settings() };
        let access = Access::new(settings).unwrap();
        let token = signed(&good_header(), &good_claims(), SECRET);
        let end = admit(&access, &token, at(0)).unwrap().expires_at.unwrap();
        assert_eq!(end, at(900 + i64::from(leeway_s)));
        let just_before = Time::from_unix_ms(end.unix_ms() - 1).unwrap();
        assert!(admit(&access, &token, just_before).is_ok(), "{leeway_s}");
        assert_eq!(admit(&access, &token, end), Err(Denied::Expired), "{leeway_s}");
    }
}

#[test]
fn open_mode_admits_the_anonymous_but_never_a_bad_token() {
    let access = Access::new(AccessSettings { open: Some(name("default")), ..settings() }).unwrap();
    let grant = access.admit(&HeaderMap::new(), None, at(0)).unwrap();
    assert_eq!((grant.payments.clone(), grant.expires_at), (Payments::All, None));
    assert!(access.stands(&grant));
    for (headers, query, expected) in [
        (bearer("x"), None, Denied::MalformedToken),
        (bearer(""), None, Denied::MalformedToken),
        (bearer(&signed(&good_header(), &good_claims(), "wrong")), None, Denied::BadSignature),
        (
            HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static("paystream_token="))]),
            None,
            Denied::MalformedToken,
        ),
        (HeaderMap::new(), Some("access_token="), Denied::MalformedToken),
    ] {
        assert_eq!(access.admit(&headers, query, at(0)), Err(expected));
    }
    access.replace(self::access());
    assert!(!access.stands(&grant), "an anonymous grant ends with open mode");
}

#[test]
fn without_a_token_nobody_gets_in() {
    for access in [access(), Access::new(AccessSettings::default()).unwrap()] {
        assert_eq!(access.admit(&HeaderMap::new(), Some("x=1"), at(0)), Err(Denied::MissingToken));
    }
}

/// A bad token in the first carrier is not saved by a good one in the next.
#[test]
fn the_first_carrier_decides() {
    let access = access();
    let good = signed(&good_header(), &good_claims(), SECRET);
    let query = format!("access_token={good}");
    assert!(access.admit(&HeaderMap::new(), Some(&query), at(0)).is_ok());
    assert_eq!(access.admit(&bearer("bad"), Some(&query), at(0)), Err(Denied::MalformedToken));
}

#[test]
fn operators_see_all_of_their_realm() {
    let access = access();
    let token = access.mint(None, &name("default"), &[name("*")], Duration::from_secs(60), at(0)).unwrap();
    let grant = admit(&access, &token, at(0)).unwrap();
    assert_eq!(grant.kid.as_deref(), Some("op"));
    assert!(grant.allows(&name("anything")));
}

#[test]
fn a_reload_revokes_what_its_keys_no_longer_cover() {
    let change = |edit: fn(&mut AccessSettings)| {
        let access = access();
        let token = signed(&good_header(), &good_claims(), SECRET);
        let grant = admit(&access, &token, at(0)).unwrap();
        let mut settings = settings();
        edit(&mut settings);
        access.replace(Access::new(settings).unwrap());
        assert_eq!(access.stands(&grant), admit(&access, &token, at(0)).is_ok());
        assert_eq!(access.stands(&grant.kind()), access.stands(&grant));
        access.stands(&grant)
    };
    assert!(change(|_| ()));
    assert!(change(|settings| settings.keys[0].realms.push(name("more"))));
    assert!(!change(|settings| drop(settings.keys.remove(0))));
    assert!(!change(
        |settings| settings.keys[0].material = Material::Secret("a-new-secret-of-32-bytes-0123456".into())
    ));
    assert!(!change(|settings| settings.keys[0].realms = vec![name("other")]));
    assert!(!change(|settings| settings.audience = "other".into()));
}

#[test]
fn bad_settings_are_refused() {
    assert!(Access::new(AccessSettings { cors: vec!["*".into()], ..AccessSettings::default() }).is_err());
}

#[test]
fn unusable_keys_are_refused_with_a_reason() {
    let check = |key: KeySettings, expected: &str| {
        let error = Access::new(AccessSettings { keys: vec![key], ..AccessSettings::default() })
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error} lacks {expected}");
    };
    check(secret_key("k", "short"), "secret is shorter than 32 bytes");
    check(secret_key("k", ""), "secret is empty");
    check(secret_key("k", &"ab".repeat(40)), "secret repeats a few characters");
    check(secret_key("k", "please-changeme-please-0123456789-please"), "secret is a placeholder");
    check(secret_key("k", &format!("{SECRET}\n")), "white space");
    check(secret_key("", SECRET), "kid is empty");
    check(KeySettings { realms: vec![], ..secret_key("k", SECRET) }, "realms is empty");
    check(
        KeySettings { algorithm: TokenAlgorithm::Es256, ..secret_key("k", SECRET) },
        "HS256 takes `secret`",
    );
    check(pair_key("k", TokenAlgorithm::Hs256, RSA.0, None), "HS256 takes `secret`");
    check(pair_key("k", TokenAlgorithm::Rs256, P256.0, None), "public_key is no public key in PEM for RS256");
    check(
        pair_key("k", TokenAlgorithm::Es256, P384_PUBLIC, None),
        "public_key is no public key in PEM for ES256",
    );
    check(
        pair_key("k", TokenAlgorithm::EdDsa, "nonsense", None),
        "public_key is no public key in PEM for EdDSA",
    );
    check(pair_key("k", TokenAlgorithm::EdDsa, ED25519.0, Some(ED25519.0)), "private_key is no private key");
    check(pair_key("k", TokenAlgorithm::EdDsa, ED25519.0, Some(P256.1)), "private_key is no private key");
    let twice = AccessSettings {
        keys: vec![secret_key("k", SECRET), secret_key("k", SECRET)],
        ..AccessSettings::default()
    };
    assert!(Access::new(twice).unwrap_err().0[0].to_string().contains("used twice"));
}

#[test]
fn what_cannot_be_minted_is_said() {
    let keys = vec![secret_key("k1", SECRET), pair_key("ed", TokenAlgorithm::EdDsa, ED25519.0, None)];
    let access = Access::new(AccessSettings { keys, ..AccessSettings::default() }).unwrap();
    let minute = Duration::from_secs(60);
    for (kid, realm, payments, ttl, expected) in [
        (Some("k9"), "default", vec!["p"], minute, "no key \"k9\"; configured are: k1, ed"),
        (Some("ed"), "default", vec!["p"], minute, "private_key"),
        (None, "other", vec!["p"], minute, "realm \"other\""),
        (None, "default", vec!["*"], minute, "operator = true"),
        (None, "default", vec!["*", "p"], minute, "alone"),
        (None, "default", vec![], minute, "1 to 64 payments"),
        (None, "default", vec!["p"; 65], minute, "1 to 64 payments"),
        (None, "default", vec!["p"], Duration::ZERO, "24 hours"),
        (None, "default", vec!["p"], MAX_LIFETIME + minute, "24 hours"),
    ] {
        let payments: Vec<Name> = payments.into_iter().map(name).collect();
        let error = access.mint(kid, &name(realm), &payments, ttl, at(0)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let shown = format!("{:?} {:?}", settings(), access());
    assert!(!shown.contains(SECRET) && !shown.contains("PRIVATE"), "{shown}");
}

proptest! {
    /// No single changed character of a good token is let in. (The last one of a part may carry unused bits: those the
    /// strict decoder refuses too.)
    #[test]
    fn a_damaged_token_is_denied(place in 0_usize..400, to in "[A-Za-z0-9_.-]") {
        let access = access();
        let good = signed(&good_header(), &good_claims(), SECRET);
        let place = place % good.len();
        let bad = format!("{}{to}{}", &good[..place], &good[place + 1..]);
        prop_assert_eq!(admit(&access, &bad, at(0)).is_ok(), bad == good);
    }

    #[test]
    fn any_text_is_answered_without_a_panic(token in "\\PC*", query in "\\PC*") {
        let access = Access::new(AccessSettings { open: Some(name("default")), ..settings() }).unwrap();
        if let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
            prop_assert!(access.admit(&headers, None, at(0)).is_err());
        }
        let _ = access.admit(&HeaderMap::new(), Some(&query), at(0));
    }
}
