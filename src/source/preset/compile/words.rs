//! The words of which entries are made, each read and checked with the key that it stands under.

use super::super::{
    mistake::{Checked, mistake},
    options::OptionRules,
};
use crate::source::payload::{Place, Pointer};
use http::HeaderName;

/// A place, and that an option which it names is one.
pub(super) fn place(key: &str, text: &str, options: &OptionRules) -> Checked<Place> {
    match text.parse() {
        Ok(Place::Option(name)) if !options.contains_key(&*name) => no_option(key, &name),
        Ok(place) => Ok(place),
        Err(why) => mistake(key, format!("`{text}`: {why}")),
    }
}

pub(super) fn no_option<T>(key: &str, name: &str) -> Checked<T> {
    mistake(key, format!("there is no option `{name}`; add it to [options]"))
}

pub(in crate::source::preset) fn pointer(key: &str, text: &str) -> Checked<Pointer> {
    text.parse().or_else(|why| mistake(key, format!("`{text}`: {why}")))
}

pub(super) fn header(key: &str, name: &str) -> Checked<HeaderName> {
    name.parse().or_else(|_| mistake(key, format!("`{name}` is no header name")))
}

/// A reason that a preset gives to its readers: one sentence or more.
pub(super) fn sentence(key: String, text: &str) -> Checked<()> {
    match text.trim().strip_suffix('.') {
        Some(words) if !words.is_empty() => Ok(()),
        _ => mistake(key, "allowed: a sentence, which ends with a full stop"),
    }
}
