//! Attacks on the tokens of streams: keys that are not what they seem, headers that name keys, tokens that are too large, places of
//! other realms, origins that look like an allowed one. (Each wrong header and claim has a row in `access.rs`.)

use crate::support::{Gateway, OTHER_SECRET, Setup, TOKEN_KEY, claims, generic, header, next_message, token};
use load::{
    sign::{self, base64_url, hmac_sha256, jwt_hs256},
    stream::Next,
};
use serde_json::{Value, json};

const RSA_PUBLIC: &str = include_str!("../../../src/access/testdata/rsa.pub.pem");
const ED_PUBLIC: &str = include_str!("../../../src/access/testdata/ed25519.pub.pem");

/// A gateway that also has a key of each asymmetric kind.
fn with_pairs() -> Setup {
    let pair = |kid: &str, algorithm: &str, file: &str| {
        let root = env!("CARGO_MANIFEST_DIR");
        format!(
            "[[access.key]]\nkid = \"{kid}\"\nalgorithm = \"{algorithm}\"\n\
             public_key = \"file:{root}/src/access/testdata/{file}.pub.pem\"\nrealms = [\"default\"]\n"
        )
    };
    let access = pair("rsa", "RS256", "rsa") + &pair("ed", "EdDSA", "ed25519");
    Setup { access, ..Setup::default() }
}

/// A token with this header, signed with HMAC by `key`.
fn forged(header: &Value, key: &[u8]) -> String {
    let part = |value: &Value| base64_url(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(&claims("default", &["pay_1"])));
    format!("{message}.{}", base64_url(&hmac_sha256(key, message.as_bytes())))
}

async fn ask(gateway: &Gateway, token: &str) -> (u16, String) {
    let bearer = [header("authorization", &format!("Bearer {token}"))];
    let answer = gateway.get("/v1/payments/pay_1", &bearer).await;
    let reason = match answer.head.status {
        401 => answer.json()["reason"].as_str().unwrap().to_owned(),
        _ => String::new(),
    };
    (answer.head.status, reason)
}

/// A public key is known to everyone. A verifier that lets the token choose the algorithm would take it as the secret of HMAC.
#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    let gateway = Gateway::with(with_pairs()).await;
    for (kid, pem) in [("rsa", RSA_PUBLIC), ("ed", ED_PUBLIC)] {
        for key in [pem, pem.trim(), pem.trim_end()] {
            for alg in ["HS256", "HS384", "none", "None", ""] {
                let refused =
                    ask(&gateway, &forged(&json!({ "alg": alg, "kid": kid }), key.as_bytes())).await;
                assert_eq!(refused, (401, "wrong_algorithm".to_owned()), "{alg} {kid}");
            }
            for alg in ["RS256", "EdDSA"] {
                let (status, _) =
                    ask(&gateway, &forged(&json!({ "alg": alg, "kid": kid }), key.as_bytes())).await;
                assert_eq!(status, 401, "{alg} {kid}");
            }
            // Without a name, the key of the algorithm counts: here the HMAC keys, of which there are two.
            assert_eq!(ask(&gateway, &forged(&json!({ "alg": "HS256" }), key.as_bytes())).await.0, 401);
        }
    }
}

/// A token may say where its key is. Nobody who verifies may listen to that.
#[tokio::test]
async fn a_token_cannot_bring_its_own_key() {
    let gateway = Gateway::start().await;
    let own = b"a key of the attacker's own, long enough";
    let jwk = json!({ "kty": "oct", "k": base64_url(own), "alg": "HS256", "kid": "k1" });
    for header in [
        json!({ "alg": "HS256", "kid": "k1", "jwk": jwk }),
        json!({ "alg": "HS256", "kid": "k1", "jku": "https://evil.example/jwks.json" }),
        json!({ "alg": "HS256", "kid": "k1", "x5u": "https://evil.example/cert.pem", "x5c": ["MIIB"] }),
        json!({ "alg": "HS256", "kid": "../../../../dev/null" }),
        json!({ "alg": "HS256", "kid": "k1' OR '1'='1" }),
        json!({ "alg": "HS256", "kid": "k1\u{0}" }),
        json!({ "alg": "HS256", "kid": ["k1"] }),
        json!({ "alg": ["HS256", "none"], "kid": "k1" }),
    ] {
        for key in [&own[..], b"", b"\0"] {
            let (status, reason) = ask(&gateway, &forged(&header, key)).await;
            assert_eq!(status, 401, "{header}");
            let known = ["bad_signature", "unknown_key", "malformed_token"];
            assert!(known.contains(&reason.as_str()), "{header}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_too_large_is_refused_wherever_it_stands() {
    let gateway = Gateway::with(Setup::limits("head_bytes = 65536")).await;
    let mut large = claims("default", &["pay_1"]);
    large["filler"] = "x".repeat(20_000).into();
    let large = jwt_hs256("k1", TOKEN_KEY.as_bytes(), &large);
    for (path, headers) in [
        ("/v1/payments/pay_1".to_owned(), vec![header("authorization", &format!("Bearer {large}"))]),
        ("/v1/payments/pay_1".to_owned(), vec![header("cookie", &format!("paystream_token={large}"))]),
        (format!("/v1/payments/pay_1?access_token={large}"), vec![]),
    ] {
        let answer = gateway.get(&path, &headers).await;
        assert!([401, 414, 431].contains(&answer.head.status), "{}", answer.head.status);
    }
    let (status, _) = ask(&gateway, &token("default", &["pay_1"])).await;
    assert_eq!(status, 200);
}

/// Realms may have payments of the same id. A place in one log must say nothing about the other.
#[tokio::test]
async fn a_cursor_of_another_realm_opens_nothing_there() {
    let gateway = Gateway::start().await;
    let post = async |source: &str, secret: &str, id: &str| {
        let body = generic(id, "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
        let answer = gateway.post_raw(source, &sign::generic(secret, &body), &body).await;
        assert_eq!(answer.head.status / 100, 2, "{}", answer.text());
    };
    for id in ["foreign-1", "foreign-2", "foreign-3"] {
        post("other", OTHER_SECRET, id).await;
    }
    let theirs = [header("authorization", &format!("Bearer {}", token("other", &["pay_1"])))];
    let mut stream = gateway.open("/v1/payments/pay_1/events", &theirs).await;
    let (cursor, snapshot) = next_message(&mut stream).await;
    assert_eq!(snapshot["seq"], 3);
    // The payment of that id in this realm has no events, and so no cursor but its own.
    let mut resumed = gateway.resume("pay_1", &cursor).await;
    let (own, message) = next_message(&mut resumed).await;
    assert_eq!((&message["type"], &message["seq"]), (&json!("snapshot"), &json!(0)), "{message}");
    assert!(!message.to_string().contains("foreign"), "{message}");
    assert_ne!(own, cursor);
    // An event there is not heard here; the next thing here is this realm's own.
    post("other", OTHER_SECRET, "foreign-4").await;
    gateway.accept(&generic("own-1", "pending", "pay_1", 1_700_000_000)).await;
    let (_, message) = next_message(&mut resumed).await;
    assert_eq!((&message["type"], &message["seq"]), (&json!("update"), &json!(1)), "{message}");
}

#[tokio::test]
async fn only_the_configured_origin_may_read_however_similar_another_is() {
    let gateway = Gateway::start().await;
    let bearer = gateway.bearer(&["pay_1"]);
    for (origin, may_read) in [
        ("https://shop.example", true),
        ("null", false),
        ("", false),
        ("*", false),
        ("http://shop.example", false),
        ("https://shop.example:8443", false),
        ("https://shop.example.evil.example", false),
        ("https://evilshop.example", false),
        ("https://evil.shop.example", false),
        ("https://shop.example@evil.example", false),
        ("https://shop.example/", false),
        ("https://shopXexample", false),
        ("https://shop.example, https://evil.example", false),
        ("http://localhost:3000", false),
    ] {
        let mut headers = bearer.clone();
        headers.push(header("origin", origin));
        let mut heads = vec![gateway.get("/v1/payments/pay_1", &headers).await.head];
        heads.push(gateway.open("/v1/payments/pay_1/events", &headers).await.head.clone());
        // A refusal too: its reason is not for other origins.
        heads.push(gateway.get("/v1/payments/pay_1", &[header("origin", origin)]).await.head);
        let preflight = [header("origin", origin), header("access-control-request-method", "GET")];
        let path = "/v1/payments/pay_1";
        heads.push(load::http::request(gateway.public, "OPTIONS", path, &preflight, b"").await.unwrap().head);
        for head in heads {
            let allowed = head.header("access-control-allow-origin");
            assert_eq!(allowed, may_read.then_some(origin), "{origin}: {head:?}");
            assert_eq!(head.header("vary"), Some("Origin"), "{origin}: {head:?}");
            if !may_read {
                assert_eq!(head.header("access-control-allow-credentials"), None, "{origin}");
            }
        }
    }
}

/// A key that is taken away must not live on in an open stream, nor an expired token in a long poll.
#[tokio::test]
async fn a_token_that_expires_ends_what_it_opened() {
    let gateway = Gateway::with(Setup { access: "leeway = \"0s\"".to_owned(), ..Setup::default() }).await;
    let mut short = claims("default", &["pay_1"]);
    short["exp"] = (short["iat"].as_u64().unwrap() + 2).into();
    let bearer =
        [header("authorization", &format!("Bearer {}", jwt_hs256("k1", TOKEN_KEY.as_bytes(), &short)))];
    let mut stream = gateway.open("/v1/payments/pay_1/events", &bearer).await;
    assert_eq!(next_message(&mut stream).await.1["type"], "snapshot");
    let etag = gateway.get("/v1/payments/pay_1", &bearer).await;
    let etag = etag.head.header("etag").unwrap().to_owned();
    let mut poll = bearer.to_vec();
    poll.extend([header("if-none-match", &etag), header("prefer", "wait=4")]);
    let polled = gateway.get("/v1/payments/pay_1", &poll).await;
    assert_eq!((polled.head.status, &polled.json()["reason"]), (401, &json!("expired")));
    assert_eq!(next_message(&mut stream).await.1["reason"], "token_expired");
    let end = stream.next().await.unwrap();
    assert!(matches!(end, Next::End(_)), "{end:?}");
}
