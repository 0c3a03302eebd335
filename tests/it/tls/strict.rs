//! Browsers are led to TLS and kept there, and old protocols are refused.

use super::{NAME, Secure, run};
use crate::support::{Setup, free_address};
use load::http::request;
use std::process::Command;

#[tokio::test]
async fn every_answer_of_the_public_listener_tells_browsers_to_stay_with_tls() {
    let secure = Secure::start("hsts = \"180d\"").await;
    let bridge = secure.bridge().await;
    let expected = Some("max-age=15552000");
    for path in ["/v1/payments/pay_1", "/nowhere", "/v1/payments/pay_1/events"] {
        let answer = request(bridge, "GET", path, &[], b"").await.unwrap();
        assert_eq!(answer.head.header("strict-transport-security"), expected, "{path}");
    }
    let bearer = secure.gateway.bearer(&["pay_1"]);
    let stream = load::stream::Stream::open(bridge, "/v1/payments/pay_1/events", &bearer).await.unwrap();
    assert_eq!(stream.head.header("strict-transport-security"), expected, "a stream's answer");
    let plain = secure.gateway.admin("/livez").await;
    assert_eq!(plain.head.header("strict-transport-security"), None, "not without TLS");
}

#[tokio::test]
async fn the_listener_without_tls_redirects_reads_and_refuses_the_rest() {
    let address = free_address();
    let secure = Secure::start(&format!("redirect = \"{address}\"\nredirect_port = 443")).await;
    let ask = async |method: &str, host: &str, path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "-X", method, "-H"]);
        run(curl.arg(format!("host: {host}")).arg(format!("http://{address}{path}")), "").await
    };
    for (method, host, path, expected) in [
        ("GET", NAME, "/dashboard?a=b%20c", "308 https://pay.test/dashboard?a=b%20c"),
        ("GET", "pay.test:80", "/", "308 https://pay.test/"),
        ("GET", "evil.test", "/", "421 "),
        ("GET", "pay.test@evil.test", "/", "421 "),
        ("POST", NAME, "/webhooks/acme", "400 "),
    ] {
        assert_eq!(ask(method, host, path).await, expected, "{method} {host} {path}");
    }
    drop(secure);
}

/// What a client and the gateway agree on, if both know only what is named: `None` where they find nothing.
async fn agreed(secure: &Secure, options: &[&str]) -> Option<String> {
    let mut openssl = Command::new("openssl");
    let address = secure.gateway.listener.to_string();
    openssl.args(["s_client", "-connect", &address, "-servername", NAME]).args(options);
    let said = run(&mut openssl, "").await;
    let line = said.lines().find_map(|line| line.trim().strip_prefix("New, "))?;
    (!line.contains("(NONE)")).then(|| line.to_owned())
}

/// What a scanner of TLS looks for, with OpenSSL's client at its lowest level of security.
#[tokio::test]
async fn only_versions_and_ciphers_with_forward_secrecy_and_authentication_are_spoken() {
    let secure = Secure::with("", Setup::default()).await;
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(agreed(&secure, &[version]).await.is_some(), "{version}");
    }
    for version in ["-tls1", "-tls1_1"] {
        let options = [version, "-cipher", "ALL:@SECLEVEL=0"];
        assert_eq!(agreed(&secure, &options).await, None, "{version}");
    }
    for cipher in
        ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
    {
        assert!(agreed(&secure, &["-tls1_2", "-cipher", cipher]).await.is_some(), "{cipher}");
    }
    // All others that this OpenSSL knows.
    let listed = run(
        Command::new("openssl").args(["ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]),
        "",
    )
    .await;
    let good = |cipher: &str| {
        cipher.starts_with("ECDHE-ECDSA-") && (cipher.contains("GCM") || cipher.contains("CHACHA20"))
            || cipher.starts_with("TLS_")
    };
    let bad: Vec<&str> = listed.trim().split(':').filter(|cipher| !good(cipher)).collect();
    assert!(bad.len() > 20, "{listed}");
    let all = format!("{}:@SECLEVEL=0", bad.join(":"));
    assert_eq!(agreed(&secure, &["-tls1_2", "-cipher", &all]).await, None);
    for group in ["X25519", "P-256", "P-384"] {
        assert!(agreed(&secure, &["-groups", group]).await.is_some(), "{group}");
    }
    // No compression, no secrets for those who read the key later.
    let mut openssl = Command::new("openssl");
    let address = secure.gateway.listener.to_string();
    openssl.args(["s_client", "-connect", &address, "-servername", NAME, "-tls1_2"]);
    let said = run(&mut openssl, "").await;
    assert!(
        said.contains("Compression: NONE") && said.contains("Secure Renegotiation IS supported"),
        "{said}"
    );
}
