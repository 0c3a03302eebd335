//! What must hold for whatever bytes a stranger sends: one function for each parser that reads them, called by the fuzzer's
//! targets in `fuzz/` and, over the corpora that are kept there, by the tests.
//!
//! Each asserts what its parser promises, by a way of reckoning of its own: that what is written is read again as the same, that a
//! plain model agrees, that nobody passes who has no secret. None of this is built into the program.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what does not hold has to end the run, as in a test"
)]

use crate::{
    access::{self, Access, AccessSettings, Grant, KeySettings, Material, Payments},
    ingest,
    payment::{Currency, Cursor, MoneyError, Name, Time, parse_decimal, parse_minor},
    redact,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use sha2::Sha256;
use std::sync::LazyLock;

/// A target: its name in `fuzz/`, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 14] = [
    ("adapter", ingest::fuzzing::adapter),
    ("canonical", ingest::fuzzing::canonical),
    ("card", redact::fuzzing::card),
    ("cursor", cursor),
    ("depth", ingest::fuzzing::depth),
    ("form", ingest::fuzzing::form),
    ("header", ingest::fuzzing::header),
    ("mapping", ingest::fuzzing::mapping),
    ("money", money),
    ("recipe", ingest::fuzzing::recipe),
    ("redact", redact::fuzzing::redact),
    ("time", ingest::fuzzing::time),
    ("token", token),
    ("xml", ingest::fuzzing::xml),
];

/// The second at which deliveries and tokens come in; the corpora were signed for it.
pub(crate) const NOW_S: i64 = 1_790_000_000;

/// The most headers that are taken from the bytes.
const MAX_HEADERS: usize = 16;

/// A request as the bytes spell it: a line that names a preset, lines `name: value`, a line `?query`, an empty line, the body.
pub(crate) struct Request<'a> {
    pub(crate) preset: &'a [u8],
    pub(crate) headers: HeaderMap,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn read(input: &'a [u8]) -> Self {
        let (preset, mut rest) = line(input);
        let mut read = Self { preset, headers: HeaderMap::new(), query: "", body: b"" };
        loop {
            let (text, after) = line(rest);
            rest = after;
            if text.is_empty() {
                return Self { body: rest, ..read };
            }
            if let Some(query) = text.strip_prefix(b"?") {
                read.query = std::str::from_utf8(query).unwrap_or_default();
            } else if let Some(colon) = text.iter().position(|byte| *byte == b':')
                && read.headers.len() < MAX_HEADERS
                && let Ok(name) = HeaderName::from_bytes(&text[..colon])
                && let Ok(value) = HeaderValue::from_bytes(text[colon + 1..].trim_ascii())
            {
                read.headers.append(name, value);
            }
        }
    }

    /// The item of that name, or any: the bytes decide, so that every input has one.
    pub(crate) fn pick<T>(&self, items: &'static [(&'static str, T)]) -> (&'static str, &'static T) {
        let named = items.iter().find(|(name, _)| name.as_bytes() == self.preset);
        let sum: usize = self.preset.iter().map(|byte| usize::from(*byte)).sum();
        let (name, item) = named.unwrap_or(&items[sum % items.len()]);
        (name, item)
    }
}

/// The first line, and what follows it.
pub(crate) fn line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    end.map_or((input, &[]), |end| (&input[..end], &input[end + 1..]))
}

/// The time of [`NOW_S`].
pub(crate) fn now() -> Time {
    Time::from_unix_s(NOW_S).expect("it is a time")
}

/// A cursor has one spelling, which is safe in a header, an address and an `id:` line.
pub fn cursor(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(cursor) = text.parse::<Cursor>() else { return };
    assert_eq!(cursor.to_string(), text);
    assert!(text.len() <= 8 + 1 + 20);
    assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
}

/// An amount is read exactly: a model that compares digits agrees, what is written is read as the same, and each further digit
/// of the minor unit multiplies by ten. The first byte is the exponent.
pub fn money(input: &[u8]) {
    let Some((exponent, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(currency) = text.parse::<Currency>() {
        assert_eq!(currency.to_string().parse(), Ok(currency), "{text:?}");
        assert_eq!(Currency::asset(currency.code(), currency.exponent()), Ok(currency));
    }
    let exponent = exponent % 19;
    let read = parse_decimal(text, exponent);
    assert_eq!(read == Err(MoneyError::NotDecimal), decimal(text).is_none(), "{text:?}");
    assert_eq!(parse_minor(text), parse_decimal(text, 0));
    let Ok(amount) = read else { return };
    let written = major(amount, exponent);
    assert_eq!(parse_decimal(&written, exponent), Ok(amount), "{text:?}");
    assert_eq!(decimal(text), decimal(&written), "{text:?} was read as {written}");
    let finer = amount.checked_mul(10).ok_or(MoneyError::TooLarge);
    assert_eq!(parse_decimal(text, exponent + 1), finer, "{text:?}");
}

/// Minor units in major ones.
fn major(amount: i64, exponent: u8) -> String {
    let width = usize::from(exponent);
    let digits = format!("{:0>width$}", amount.unsigned_abs(), width = width + 1);
    let (whole, fraction) = digits.split_at(digits.len() - width);
    let sign = if amount < 0 { "-" } else { "" };
    let point = if width > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// A decimal number as its sign, its significant digits, and the power of ten of the last of them; nothing if it is none.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let power = i64::from(power.parse::<i32>().ok()?);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let power = power - i64::try_from(fraction.len()).ok()? + i64::try_from(all.len() - kept.len()).ok()?;
    match kept.trim_start_matches('0') {
        "" => Some((false, String::new(), 0)),
        digits => Some((negative, digits.to_owned(), power)),
    }
}

const TOKEN_KEY: &str = "b1946ac92492d2347c6235b4d2611184f1c9b8e07a6d5342";
const OTHER_KEY: &str = "c1946ac92492d2347c6235b4d2611184f1c9b8e07a6d5342";
const LEEWAY_S: i64 = 30;

fn doorkeeper(secret: &str) -> Access {
    let key = |kid: &str, operator| KeySettings {
        kid: kid.to_owned(),
        algorithm: access::TokenAlgorithm::Hs256,
        material: Material::Secret(format!("{secret}{kid}").into()),
        realms: vec!["default".parse().expect("it is a name")],
        operator,
    };
    let settings =
        AccessSettings { keys: vec![key("k1", false), key("ops", true)], ..AccessSettings::default() };
    Access::new(settings).expect("the settings are good")
}

/// Nobody is let in without a key, wherever a request carries its token; and of what a holder of a key writes into the claims (the
/// body), only what is right counts.
pub fn token(input: &[u8]) {
    static KNOWN: LazyLock<Access> = LazyLock::new(|| doorkeeper(TOKEN_KEY));
    static UNKNOWN: LazyLock<Access> = LazyLock::new(|| doorkeeper(OTHER_KEY));
    let Request { preset: kid, headers, query, body } = Request::read(input);
    assert!(UNKNOWN.admit(&headers, Some(query), now()).is_err());
    // The corpus has tokens that are good.
    if let Ok(grant) = KNOWN.admit(&headers, Some(query), now()) {
        assert!(KNOWN.stands(&grant) && !UNKNOWN.stands(&grant));
    }
    let kid = if kid == b"ops" { "ops" } else { "k1" };
    let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
    let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(body));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(format!("{TOKEN_KEY}{kid}").as_bytes()).expect("any length will do");
    mac.update(message.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    let bearer = HeaderValue::try_from(format!("Bearer {message}.{signature}")).expect("it is base 64");
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    assert!(UNKNOWN.admit(&headers, None, now()).is_err());
    if let Ok(grant) = KNOWN.admit(&headers, None, now()) {
        check_grant(&grant, body, kid == "ops");
    }
}

/// Whether the claims that were admitted say what the grant does.
fn check_grant(grant: &Grant, claims: &[u8], operator: bool) {
    let claims: Value = serde_json::from_slice(claims).expect("what is no JSON is not admitted");
    assert_eq!(claims["realm"], "default");
    assert_eq!(grant.realm.as_str(), "default");
    let audience = &claims["aud"];
    assert!(
        audience == "paystream"
            || audience.as_array().is_some_and(|several| several.contains(&"paystream".into()))
    );
    match &grant.payments {
        Payments::All => assert!(operator && claims["payments"] == serde_json::json!(["*"])),
        Payments::Ids(ids) => {
            let ids: Vec<&str> = ids.iter().map(Name::as_str).collect();
            assert_eq!(claims["payments"], serde_json::json!(ids));
            assert!((1..=access::MAX_PAYMENTS).contains(&ids.len()) && !ids.contains(&"*"));
        }
    }
    // Fractions are cut off, and not reckoned with here.
    if let (Some(issued), Some(expires)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) {
        assert!(expires + LEEWAY_S > NOW_S && expires - issued <= 24 * 60 * 60 && issued <= NOW_S + LEEWAY_S);
        assert_eq!(grant.expires_at, Time::from_unix_s(expires + LEEWAY_S).ok());
    }
    if let Some(not_before) = claims["nbf"].as_i64() {
        assert!(not_before <= NOW_S + LEEWAY_S);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(path).unwrap())
        };
        files.map(file).collect()
    }

    #[test]
    fn every_target_holds_over_its_corpus_and_what_lies_beside_it() {
        for (target, holds) in TARGETS {
            let corpus = corpus(target);
            assert!(corpus.len() >= 12, "{target} has a corpus");
            holds(b"");
            for (path, input) in corpus {
                assert!(input.len() <= 4096, "{path} is small");
                holds(&input);
                for cut in 1..8 {
                    let at = input.len() * cut / 8;
                    holds(&input[..at]);
                    let mut changed = input.clone();
                    if let Some(byte) = changed.get_mut(at) {
                        *byte ^= 1 << cut;
                    }
                    holds(&changed);
                }
            }
        }
    }

    #[test]
    fn every_target_has_its_binary() {
        let manifest = include_str!("../fuzz/Cargo.toml");
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for (target, _) in TARGETS {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
    }
}
