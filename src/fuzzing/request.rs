//! A request as the fuzzer's bytes describe it, and the time at which it arrives.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a property that does not hold ends the run, as in a test"
)]

use crate::payment::Time;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The time at which deliveries and tokens arrive, in seconds since 1970. The corpora were signed for it.
pub(crate) const NOW_S: i64 = 1_790_000_000;

/// The most headers that are taken from the bytes.
const MAX_HEADERS: usize = 16;

/// A request as the bytes describe it: a line that names a preset, lines `name: value`, a line `?query`, an empty line, the body.
pub(crate) struct Request<'a> {
    /// The name of the preset, which may be anything.
    pub(crate) preset: &'a [u8],
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The query, without the question mark.
    pub(crate) query: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request. Every input is one.
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

    /// Returns the item with the name of the preset. If there is none, the bytes of the name choose one, so that every input has one.
    pub(crate) fn pick<T>(&self, items: &'static [(&'static str, T)]) -> (&'static str, &'static T) {
        let named = items.iter().find(|(name, _)| name.as_bytes() == self.preset);
        let sum: usize = self.preset.iter().map(|byte| usize::from(*byte)).sum();
        let (name, item) = named.unwrap_or(&items[sum % items.len()]);
        (name, item)
    }
}

/// Returns the first line, and what follows it.
pub(crate) fn line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    end.map_or((input, &[]), |end| (&input[..end], &input[end + 1..]))
}

/// Returns the time [`NOW_S`].
pub(crate) fn now() -> Time {
    Time::from_unix_s(NOW_S).expect("it is a time")
}
