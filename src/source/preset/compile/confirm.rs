//! `[confirm]`: compiles how a provider is asked for a payment.

use super::{
    coded::PresetCodes,
    mapping::{Context, mapping},
    proof::Proof,
    words::{header, no_option},
};
use crate::{
    payment::Trust,
    source::{
        inquiry::{Address, CLIENT_ID, Inquiry, KEY, KEY_BASE64, TOKEN, TokenRule},
        payload::BodyForm,
        preset::{
            mistake::{Checked, Mistake, mistake},
            options::OptionRules,
            raw,
        },
    },
};
use http::{HeaderName, uri::PathAndQuery};
use std::{collections::BTreeMap, time::Duration};

/// The allowed range of `spacing_ms`: a second between two requests is slow, and with a minute a source would never catch up.
const SPACING_MS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// Compiles `[confirm]` of a preset whose webhooks have this trust.
pub(in crate::source::preset) fn confirm(
    raw: raw::Confirm,
    trust: Trust,
    options: &OptionRules,
    codes: &PresetCodes,
) -> Checked<Inquiry> {
    if raw.on == raw::Asking::Demand && trust == Trust::Hint {
        return mistake("confirm.on", "hints mean nothing until the provider is asked; leave `demand` out");
    }
    let address = address(&raw.url, options)?;
    let token = raw.token.map(token).transpose()?;
    let credentials: &[_] = if token.is_some() { &[TOKEN] } else { &[KEY, KEY_BASE64] };
    let headers = headers("confirm.headers", raw.headers, credentials)?;
    let body = raw.body.unwrap_or(BodyForm::Json);
    if ![BodyForm::Json, BodyForm::Xml].contains(&body) {
        return mistake("confirm.body", "allowed: json, xml");
    }
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
    let (on_demand, spacing) = (raw.on == raw::Asking::Demand, Duration::from_millis(raw.spacing_ms));
    Ok(Inquiry { on_demand, address, headers, token, body, spacing, mapping })
}

/// Parses the address of a payment. Fails if it names an option that the preset does not define.
fn address(url: &str, options: &OptionRules) -> Checked<Address> {
    let Some(address) = Address::parse(url) else {
        let reason = "allowed: https://HOST/PATH in which `{payment}` stands once, for a whole part of the path, and `{option:NAME}` \
                      for other parts; /PATH alone if each source has a host of its own";
        return mistake("confirm.url", reason);
    };
    let unknown = address.options().find(|name| !options.contains_key(*name)).map(str::to_owned);
    unknown.map_or(Ok(address), |name| no_option("confirm.url", &name))
}

/// Compiles `[confirm.token]`.
fn token(raw: raw::Token) -> Checked<TokenRule> {
    let is_path = raw.path.starts_with('/') && raw.path.parse::<PathAndQuery>().is_ok();
    if !is_path || raw.path.contains(['{', '}', '#']) {
        return mistake("confirm.token.path", "allowed: /PATH");
    }
    let headers = headers("confirm.token.headers", raw.headers, &[KEY, KEY_BASE64])?;
    Ok(TokenRule { path: raw.path, headers })
}

/// Checks the headers of a request, at least one of which has to contain one of the credentials.
fn headers(
    key: &str,
    raw: BTreeMap<String, String>,
    credentials: &[&str],
) -> Checked<Vec<(HeaderName, String)>> {
    let has_credential = |text: &String| credentials.iter().any(|credential| text.contains(credential));
    if !raw.values().any(has_credential) {
        let credential = credentials.first().copied().unwrap_or_default();
        let reason = format!("none of them holds `{credential}`, so the request would have no credential");
        return mistake(key, reason);
    }
    let header = |(name, text): (String, String)| {
        let key = format!("{key}.{name}");
        let known = credentials.iter().chain(&[CLIENT_ID]);
        let rest = known.fold(text.clone(), |rest, known| rest.replace(known, ""));
        if rest.contains(['{', '}']) {
            let credential = credentials.first().copied().unwrap_or_default();
            let reason = format!(
                "allowed: text, in which `{credential}` stands for the credential and `{CLIENT_ID}` for the client's id"
            );
            return mistake(key, reason);
        }
        Ok((header(&key, &name)?, text))
    };
    raw.into_iter().map(header).collect()
}
