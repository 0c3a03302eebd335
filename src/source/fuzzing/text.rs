//! Properties of the small parsers: forms, times and nesting.

use crate::source::payload::{self, OptionValues, RequestParts, TimeForm, is_within};
use http::HeaderMap;
use serde_json::Value;

/// A form is read as a plain model reads its bytes. If a key occurs twice, the last text counts in a body, and none in a query.
pub fn form(input: &[u8]) {
    let pairs: Vec<(String, String)> = input
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decoded(&pair[..end]), decoded(pair.get(end + 1..).unwrap_or_default()))
        })
        .collect();
    let form = payload::form(input);
    let form = form.as_object().expect("a form is an object");
    let query = std::str::from_utf8(input).ok();
    for (key, _) in &pairs {
        let texts: Vec<&String> =
            pairs.iter().filter(|(name, _)| name == key).map(|(_, text)| text).collect();
        assert_eq!(form.get(key).and_then(Value::as_str), texts.last().map(|text| text.as_str()), "{key:?}");
        let once = texts.first().filter(|_| texts.len() == 1).map(|text| text.as_str());
        if let Some(query) = query {
            let parts = RequestParts { headers: &HeaderMap::new(), query, options: &OptionValues::new() };
            assert_eq!(parts.query(key).as_deref(), once, "{key:?}");
        }
    }
    assert!(form.keys().all(|key| pairs.iter().any(|(name, _)| name == key)));
}

/// Decodes `application/x-www-form-urlencoded` byte by byte.
fn decoded(text: &[u8]) -> String {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).expect("two digits make a byte"));
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A time that is read can be written, and is then read as the same, to the second if the form has no fractions. The first byte
/// selects the form.
pub fn time(input: &[u8]) {
    const FORMS: [TimeForm; 5] =
        [TimeForm::S, TimeForm::Ms, TimeForm::SOrMs, TimeForm::Rfc3339, TimeForm::Rfc3339OrS];
    let Some((form, text)) = input.split_first() else { return };
    let form = FORMS[usize::from(*form) % FORMS.len()];
    let Some(time) = std::str::from_utf8(text).ok().and_then(|text| form.read(text)) else { return };
    let again = form.read(&form.write(time)).expect("what is written is read");
    let unit = if matches!(form, TimeForm::S | TimeForm::SOrMs) { 1000 } else { 1 };
    assert_eq!(again.unix_ms(), time.unix_ms() / unit * unit);
    assert_eq!(time.to_string().parse(), Ok(time));
    if let Some(number) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok()) {
        assert!([number, number.saturating_mul(1000)].contains(&time.unix_ms()), "{number}");
    }
}

/// A plain model counts the same nesting, and JSON nests no deeper than that. It may nest less deep if a key occurs twice, since
/// only one of the two is in the value. The first byte is the limit.
pub fn depth(input: &[u8]) {
    let Some((limit, text)) = input.split_first() else { return };
    let limit = usize::from(*limit % 40);
    let within = is_within(text, limit);
    assert_eq!(within, brackets(text) <= limit);
    assert!(!within || is_within(text, limit + 1));
    if let Ok(value) = serde_json::from_slice::<Value>(text) {
        assert!(!within || nesting(&value) <= limit);
    }
}

/// Returns the deepest nesting of brackets outside of strings.
fn brackets(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        match (quoted, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, _, b'"') => quoted = !quoted,
            (false, _, b'[' | b'{') => depth += 1,
            (false, _, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Returns how many levels deep a value nests. The parser has a limit of its own, so this ends.
fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(nesting).max().unwrap_or_default(),
        _ => 0,
    }
}
