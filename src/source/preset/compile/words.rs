//! The small values of which entries are made. Each is parsed and checked; an error names the key of the value.

use super::super::{
    mistake::{Checked, mistake},
    options::OptionRules,
};
use crate::source::payload::{Place, Pointer};
use http::HeaderName;

/// Parses a place. Fails if it names an option that the preset does not define.
pub(super) fn place(key: &str, text: &str, options: &OptionRules) -> Checked<Place> {
    match text.parse() {
        Ok(Place::Option(name)) if !options.contains_key(&*name) => no_option(key, &name),
        Ok(place) => Ok(place),
        Err(why) => mistake(key, format!("`{text}`: {why}")),
    }
}

/// Reports an option that the preset does not define.
pub(super) fn no_option<T>(key: &str, name: &str) -> Checked<T> {
    mistake(key, format!("there is no option `{name}`; add it to [options]"))
}

/// Parses a pointer into the payload.
pub(in crate::source::preset) fn pointer(key: &str, text: &str) -> Checked<Pointer> {
    text.parse().or_else(|why| mistake(key, format!("`{text}`: {why}")))
}

/// Parses the name of a header.
pub(super) fn header(key: &str, name: &str) -> Checked<HeaderName> {
    name.parse().or_else(|_| mistake(key, format!("`{name}` is not a header name")))
}

/// Checks a reason that a preset gives to its readers, which is one sentence or more.
pub(super) fn sentence(key: String, text: &str) -> Checked<()> {
    match text.trim().strip_suffix('.') {
        Some(words) if !words.is_empty() => Ok(()),
        _ => mistake(key, "allowed: a sentence, which ends with a full stop"),
    }
}
