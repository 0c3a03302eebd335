//! From a preset as it is written to one that can be used. Each mistake is told with its key and what is allowed.

mod confirm;
mod ignored;
mod mapping;
mod recipe;

use super::{Options, pointer::Pointer, raw};
use crate::ingest::place::Place;
use http::HeaderName;
pub(super) use {
    confirm::confirm,
    ignored::ignored,
    mapping::{Proof, mapping},
    recipe::recipe,
};

/// What is wrong, and where.
pub(super) struct Mistake {
    pub(super) key: String,
    pub(super) reason: String,
}

type Checked<T> = Result<T, Mistake>;

pub(super) fn mistake<T>(key: impl Into<String>, reason: impl ToString) -> Checked<T> {
    Err(Mistake { key: key.into(), reason: reason.to_string() })
}

/// A place, and that an option which it names is one.
fn place(key: &str, text: &str, options: &Options) -> Checked<Place> {
    match text.parse() {
        Ok(Place::Option(name)) if !options.contains_key(&*name) => no_option(key, &name),
        Ok(place) => Ok(place),
        Err(why) => mistake(key, format!("`{text}`: {why}")),
    }
}

fn no_option<T>(key: &str, name: &str) -> Checked<T> {
    mistake(key, format!("there is no option `{name}`; add it to [options]"))
}

pub(super) fn pointer(key: &str, text: &str) -> Checked<Pointer> {
    text.parse().or_else(|why| mistake(key, format!("`{text}`: {why}")))
}

fn header(key: &str, name: &str) -> Checked<HeaderName> {
    name.parse().or_else(|_| mistake(key, format!("`{name}` is no header name")))
}

/// A reason that a preset gives to its readers: one sentence or more.
fn sentence(key: String, text: &str) -> Checked<()> {
    match text.trim().strip_suffix('.') {
        Some(words) if !words.is_empty() => Ok(()),
        _ => mistake(key, "allowed: a sentence, which ends with a full stop"),
    }
}

/// `[options]`, checked for sense.
pub(super) fn options(options: &Options) -> Checked<()> {
    let strange = |choice: &raw::Choice| choice.default.as_ref().is_some_and(|word| !choice.allows(word));
    match options.iter().find(|(_, choice)| strange(choice)) {
        Some((name, choice)) => {
            mistake(format!("options.{name}.default"), format!("allowed: {}", choice.allowed.join(", ")))
        }
        None => Ok(()),
    }
}

impl raw::Choice {
    /// Whether a source may say this.
    pub(in crate::ingest) fn allows(&self, word: &str) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == word)
    }
}
