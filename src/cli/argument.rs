//! How the values of arguments are parsed. Each error completes clap's "invalid value … for …: ".

use crate::{
    access::ALL,
    clock,
    config::duration,
    payment::{Name, NameError, Time},
};
use reqwest::{Url, header::HeaderValue};
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

/// Parses an `http` or `https` URL that holds no password and no query, since it is shown.
pub(super) fn bare_url(text: &str) -> Result<Url, String> {
    let url = url(text)?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if is_bare { Ok(url) } else { Err("it must have no user, no password and no query".to_owned()) }
}

/// Parses an origin in the form that browsers send: scheme, host and perhaps a port.
pub(super) fn origin(text: &str) -> Result<HeaderValue, String> {
    let url = url(text)?;
    let origin = url.origin().ascii_serialization();
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let value = HeaderValue::from_str(&origin).ok().filter(|_| is_bare && url.username().is_empty());
    value.ok_or_else(|| "write it like https://shop.example, without a path".to_owned())
}
