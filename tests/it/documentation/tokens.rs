//! The page of tokens: each claims set is signed and sent, and each language's lines make a token that opens the payment.

use super::blocks;
use crate::support::{Gateway, TOKEN_KEY, header, now_s};
use load::sign;
use serde_json::{Value, json};
use std::process::Command;

const PAGE: &str = "docs/src/guides/tokens.md";

/// When the tokens of the page were signed.
const SIGNED_AT: u64 = 1_796_000_000;

async fn status_and_reason(gateway: &Gateway, token: &str) -> String {
    let headers = [header("authorization", &format!("Bearer {token}"))];
    let answer = gateway.get("/v1/payments/pi_123", &headers).await;
    let reason = if answer.head.status == 200 { Value::Null } else { answer.json()["reason"].clone() };
    format!("{} {}", answer.head.status, reason.as_str().unwrap_or_default()).trim_end().to_owned()
}

#[tokio::test]
async fn each_token_of_the_page_is_answered_as_the_page_says() {
    let gateway = Gateway::start().await;
    let examples: Vec<_> = blocks(PAGE).into_iter().filter(|block| block.language == "json").collect();
    assert!(examples.len() >= 9, "{}", examples.len());
    for example in examples {
        let mut claims: Value = serde_json::from_str(&example.text).unwrap();
        let claims_of = claims.as_object_mut().unwrap();
        for (_, time) in
            claims_of.iter_mut().filter(|(name, _)| ["iat", "exp", "nbf"].contains(&name.as_str()))
        {
            *time = json!(time.as_u64().unwrap() + now_s() - SIGNED_AT);
        }
        let token = sign::jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims);
        let expected = example.marker.strip_prefix("answers ").unwrap_or_else(|| panic!("{}", example.text));
        assert_eq!(status_and_reason(&gateway, &token).await, expected, "{claims}");
    }
}

fn block(language: &str) -> String {
    blocks(PAGE).into_iter().find(|block| block.language == language).unwrap().text
}

#[tokio::test]
async fn the_lines_in_python_sign_a_token_that_opens_the_payment() {
    let python = std::env::var("PAYSTREAM_PYTHON").expect("tests/run sets PAYSTREAM_PYTHON");
    let script = format!("{}\nprint(token)", block("python"));
    let output =
        Command::new(python).args(["-c", &script]).env("PAYSTREAM_TOKEN_KEY", TOKEN_KEY).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let gateway = Gateway::start().await;
    assert_eq!(status_and_reason(&gateway, String::from_utf8(output.stdout).unwrap().trim()).await, "200");
}

#[tokio::test]
async fn the_lines_in_rust_sign_a_token_that_opens_the_payment() {
    let (now, key) = (now_s(), TOKEN_KEY);
    // The page's lines, as they stand there.
    let token = || -> jsonwebtoken::errors::Result<String> {
        #[rustfmt::skip]
        let claims = serde_json::json!({ "realm": "default", "payments": ["pi_123"],
            "aud": "paystream", "iat": now, "exp": now + 900 });
        let header = jsonwebtoken::Header { kid: Some("k1".into()), ..Default::default() }; // HS256
        #[rustfmt::skip]
        let token = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(key.as_bytes()))?;
        Ok(token)
    };
    let own: String = include_str!("tokens.rs").split_whitespace().collect();
    let shown = block("rust");
    for line in shown.lines() {
        let line: String = line.split_whitespace().collect();
        assert!(own.contains(&line), "{line}");
    }
    let gateway = Gateway::start().await;
    assert_eq!(status_and_reason(&gateway, &token().unwrap()).await, "200");
}
