//! A request as a fuzzer's bytes spell it, and the time at which it comes.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what does not hold has to end the run, as in a test"
)]

use crate::payment::Time;
use http::{HeaderMap, HeaderName, HeaderValue};

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
