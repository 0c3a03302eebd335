//! `[backfill]`: compiles how a provider lists its past events.

use super::words::{header, pointer};
use crate::source::{
    backfill::{CursorAt, Listing, Next, SINCE_RFC3339, SINCE_S},
    inquiry::{KEY, KEY_BASE64, origin},
    preset::{
        mistake::{Checked, mistake},
        raw,
    },
};
use http::{Uri, uri::Scheme};
use std::time::Duration;

/// The allowed range of `spacing_ms`.
const SPACING_MS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// The allowed range of `kept_s`: up to two years.
const KEPT_S: std::ops::RangeInclusive<u64> = 3_600..=2 * 365 * 86_400;

/// Compiles `[backfill]`.
pub(in crate::source::preset) fn backfill(raw: raw::Backfill) -> Checked<Listing> {
    let bare = raw.url.replace(SINCE_S, "0").replace(SINCE_RFC3339, "0");
    let uri = bare.parse::<Uri>().ok().filter(|uri| uri.scheme() == Some(&Scheme::HTTPS));
    let start = uri.as_ref().and_then(origin);
    let Some(origin) =
        start.filter(|origin| !bare.contains(['{', '}']) && raw.url.starts_with(origin.as_str()))
    else {
        return mistake(
            "backfill.url",
            "allowed: https://HOST/PATH, in which `{since:s}` or `{since:rfc3339}` may stand",
        );
    };
    if !raw.headers.values().any(|text| text.contains(KEY) || text.contains(KEY_BASE64)) {
        return mistake(
            "backfill.headers",
            "none of them holds `{key}`, so the request would have no credential",
        );
    }
    let headers = raw.headers.into_iter();
    let headers = headers.map(|(name, text)| Ok((header(&format!("backfill.headers.{name}"), &name)?, text)));
    let headers = headers.collect::<Checked<_>>()?;
    if !SPACING_MS.contains(&raw.spacing_ms) {
        return mistake("backfill.spacing_ms", "allowed: 1 to 60000");
    }
    if !KEPT_S.contains(&raw.kept_s) {
        return mistake("backfill.kept_s", "allowed: 3600 to 63072000");
    }
    let raw::NextPage { parameter, at, last, more } = raw.next;
    let at = match (at, last, more) {
        (Some(at), None, None) => CursorAt::Answer(pointer("backfill.next.at", &at)?),
        (None, Some(last), Some(more)) => CursorAt::LastEvent {
            at: pointer("backfill.next.last", &last)?,
            more: pointer("backfill.next.more", &more)?,
        },
        _ => return mistake("backfill.next", "allowed: either `at`, or `last` and `more`"),
    };
    let time = (pointer("backfill.time.at", &raw.time.at)?, raw.time.form);
    let (spacing, kept) = (Duration::from_millis(raw.spacing_ms), Duration::from_secs(raw.kept_s));
    let path = raw.url.get(origin.len()..).unwrap_or_default().to_owned();
    let (events, next) = (pointer("backfill.events", &raw.events)?, Next { parameter, at });
    Ok(Listing { origin, path, headers, spacing, kept, events, time, next })
}
