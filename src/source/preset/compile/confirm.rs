//! `[confirm]`: compiles how a provider is asked for a payment.

use super::{
    coded::PresetCodes,
    mapping::{Context, mapping},
    proof::Proof,
    words::header,
};
use crate::source::{
    inquiry::{Address, Inquiry, KEY, KEY_BASE64},
    preset::{
        mistake::{Checked, Mistake, mistake},
        options::OptionRules,
        raw,
    },
};
use std::time::Duration;

/// The allowed range of `spacing_ms`: a second between two requests is slow, and with a minute a source would never catch up.
const SPACING_MS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// Compiles `[confirm]`.
pub(in crate::source::preset) fn confirm(
    raw: raw::Confirm,
    options: &OptionRules,
    codes: &PresetCodes,
) -> Checked<Inquiry> {
    let Some(address) = Address::parse(&raw.url) else {
        let reason =
            "allowed: https://HOST/PATH in which `{payment}` stands once, for a whole part of the path";
        return mistake("confirm.url", reason);
    };
    if !raw.headers.values().any(|text| text.contains(KEY) || text.contains(KEY_BASE64)) {
        return mistake(
            "confirm.headers",
            "none of them holds `{key}`, so the request would have no credential",
        );
    }
    let headers = raw.headers.into_iter();
    let headers = headers.map(|(name, text)| {
        let key = format!("confirm.headers.{name}");
        if text.replace(KEY, "").replace(KEY_BASE64, "").contains(['{', '}']) {
            return mistake(key, "allowed: text, in which `{key}` stands for the source's key");
        }
        Ok((header(&key, &name)?, text))
    });
    let headers = headers.collect::<Checked<_>>()?;
    if !SPACING_MS.contains(&raw.spacing_ms) {
        return mistake("confirm.spacing_ms", "allowed: 1 to 60000");
    }
    if !raw.event.id.is_empty() {
        return mistake("confirm.event.id", "an answer is not an event, so it has no id");
    }
    if raw.map.is_empty() {
        return mistake("confirm.map", "it is missing; it says what an answer means");
    }
    let below = |Mistake { key, reason }| Mistake { key: format!("confirm.{key}"), reason };
    let mapping =
        mapping(&raw.event, &raw.map, Context { proof: Proof::Connection, options, codes }).map_err(below)?;
    Ok(Inquiry { address, headers, spacing: Duration::from_millis(raw.spacing_ms), mapping })
}
