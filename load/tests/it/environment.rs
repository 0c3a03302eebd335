//! What the caller's environment changes, and what it must not change.

use super::tool;

/// A program that prints its environment and ends. The tool then shows what it has printed.
const PRINTS_ITS_ENVIRONMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/environment.sh");

/// Variables that are exported where another gateway runs on the same machine.
const EXPORTED: [(&str, &str); 5] = [
    ("PAYSTREAM_TOKEN_KEY", "of-another-gateway"),
    ("PAYSTREAM_TOKEN", "of-another-gateway"),
    ("PAYSTREAM_SOURCE_SECRET", "of-another-gateway"),
    ("PAYSTREAM_CONFIG", "/etc/paystream/of-another-gateway.toml"),
    ("PAYSTREAM__STORE__KIND", "redis"),
];

#[test]
fn a_spawned_gateway_gets_a_clean_environment_whatever_is_exported() {
    let output = tool()
        .args(["hold", "--sizes", "1", "--spawn", PRINTS_ITS_ENVIRONMENT])
        .envs(EXPORTED)
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for set in ["LOAD_TOKEN_KEY=", "LOAD_SOURCE_SECRET=", "PATH=", "RUST_LOG=warn"] {
        assert!(text.contains(set), "{set}: {text}");
    }
    assert!(!text.contains("PAYSTREAM"), "{text}");
}

#[test]
fn a_secret_that_is_typed_beside_spawn_is_refused() {
    for option in ["--token", "--token-key", "--secret", "--source"] {
        let output = tool().args(["hold", "--spawn", "paystream", option, "x"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("cannot be used with") && text.contains(option), "{text}");
    }
}
