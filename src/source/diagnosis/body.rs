//! Bodies that something between the provider and the gateway wrote again, and what they were before.

use super::{
    cause::{Diagnosis, guess, sure},
    json,
    sample::Sample,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use std::borrow::Cow;

/// A body as it may have been signed.
pub(super) struct Original<'a> {
    pub(super) body: Cow<'a, [u8]>,
    pub(super) cause: &'static str,
    pub(super) change: String,
}

/// A mark that some programs put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes with which data in the format of gzip begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Returns what a body may have been when it was signed, the likely ones first.
pub(super) fn originals(body: &[u8]) -> impl Iterator<Item = Original<'_>> {
    const LINES: &str = "Something between the provider and the gateway adds or removes a line break or spaces around the body, or \
                         changes its line breaks. Have it pass the body on byte by byte.";
    let lines = [
        Some([body, b"\n"].concat()),
        Some([body, b"\r\n"].concat()),
        Some(body.trim_ascii().to_vec()),
        Some(body.trim_ascii_end().to_vec()),
        Some(without_returns(body)),
        Some(with_returns(body)),
    ];
    let lines = lines.into_iter().flatten().map(|body| ("line_break", LINES, body));
    let mark = match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(bare) => bare.to_vec(),
        None => [BYTE_ORDER_MARK, body].concat(),
    };
    let mark = (
        "byte_order_mark",
        "Something between the provider and the gateway adds or removes the byte order mark before the body. Have it pass the body \
         on byte by byte.",
        mark,
    );
    let text = STANDARD.decode(body.trim_ascii()).ok();
    let text = text.map(|body| {
        (
            "body_base64",
            "The body arrives in base 64, as some gateways for functions pass it on. Have it decoded before it comes here.",
            body,
        )
    });
    let whole = lines.chain([mark]).chain(text);
    let whole = whole
        .filter(move |(_, _, original)| original != body)
        .map(|(cause, change, body)| Original { body: body.into(), cause, change: change.to_owned() });
    let written = json::writings(body).filter(move |written| written != body).map(|written| Original {
        body: written.into(),
        cause: "json_rewritten",
        change: "Something between the provider and the gateway parses the JSON and writes it again, with other spaces or escapes. Have \
                 it pass the raw body on, byte by byte."
            .to_owned(),
    });
    whole.chain(written)
}

fn without_returns(body: &[u8]) -> Vec<u8> {
    let is_kept = |place: usize| body.get(place..place + 2) != Some(b"\r\n");
    body.iter().enumerate().filter(|(place, _)| is_kept(*place)).map(|(_, byte)| *byte).collect()
}

fn with_returns(body: &[u8]) -> Vec<u8> {
    let bare = without_returns(body);
    bare.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// A body whose coding hides what was signed.
pub(super) fn coded(sample: &Sample) -> Diagnosis {
    let coding =
        sample.headers.get(CONTENT_ENCODING).and_then(|coding| coding.to_str().ok()).unwrap_or("unknown");
    let coding: String = coding.chars().filter(char::is_ascii_graphic).take(32).collect();
    sure(
        "body_coded",
        format!(
            "The request says `Content-Encoding: {coding}`, so the bytes that were signed are not those that came. Turn compression of \
             requests off at whatever stands between the provider and the gateway."
        ),
    )
}

/// What can be seen of a body without knowing what it was.
pub(super) fn seen(sample: &Sample) -> Option<Diagnosis> {
    if sample.body.starts_with(GZIP) {
        return Some(guess(
            "body_compressed",
            "The body is compressed, though no header says so. Turn compression of requests off at whatever stands between the provider \
             and the gateway."
                .to_owned(),
        ));
    }
    let stated = sample.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse::<usize>().ok()?;
    (stated > sample.body.len()).then(|| {
        let here = sample.body.len();
        guess(
            "body_truncated",
            format!(
                "The request announces a body of {stated} bytes, and {here} are here. Take the whole body."
            ),
        )
    })
}
