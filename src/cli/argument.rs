//! How the values of arguments are parsed. Each error completes clap's "invalid value … for …: ".

use crate::{
    access::ALL,
    clock,
    config::duration,
    payment::{Name, NameError, Time},
};
use reqwest::Url;
use std::time::Duration;

/// Parses the name of a payment or realm.
pub(super) fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: NameError| error.to_string())
}

/// Parses a payment's id. `*` is refused, because it stands for all payments and only in the token of an operator.
pub(super) fn payment(text: &str) -> Result<Name, String> {
    if text == ALL { Err("`*` is not the id of a payment; name one payment".to_owned()) } else { name(text) }
}

/// Parses a duration such as `15m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| format!("it {error}"))
}

/// Parses a time as in RFC 3339, or how long ago it is, such as `15m`.
pub(super) fn moment(text: &str) -> Result<Time, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = duration::parse(text).map_err(|_| {
        "write a time like 2026-11-30T17:00:00Z, or how long ago it was, like 15m or 2h".to_owned()
    })?;
    let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Ok(Time::from_unix_ms(clock::now().unix_ms().saturating_sub(ago)).unwrap_or_default())
}

/// Parses an `http` or `https` URL.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}; write it like http://127.0.0.1:8080"))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("it must begin with http:// or https://".to_owned())
    }
}
