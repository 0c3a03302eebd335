//! Presets: a provider in one file, which says how it signs and what its payloads mean.
//!
//! `[signature]` is the recipe, `[event]` says where what every event has stands, each `[[map]]` says what the events of some
//! types mean, `[[ignored]]` why others mean nothing here, and `[confirm]` how the provider itself is asked. A preset is data alone: a provider that some recipe can say needs no Rust. Built-in presets lie in
//! `providers/`; a source may name a file of its own, which may extend a built-in one.

mod compile;
mod ignored;
pub(super) mod mapping;
pub(super) mod pointer;
pub(super) mod raw;
mod table;

use super::{
    adapter::Adapter,
    confirm::Inquiry,
    place::Options as Said,
    signature::recipe::{Piece, Recipe},
};
use crate::payment::Trust;
use compile::{Mistake, Proof};
use mapping::Mapping;
use pointer::Pointer;
use raw::{BodyForm, Choice, Reply};
use std::{collections::BTreeMap, path::Path, sync::Arc};
pub use {ignored::ignored_table, table::preset_table};

// `BUILT_IN`: name and text of each preset that comes with the program, sorted. The build script collects them, so that
// a file in the folder is all that a provider needs.
include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// What a preset asks of its sources.
pub(super) type Options = BTreeMap<String, Choice>;

/// A preset that can be used.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: Arc<str>,
    pub(super) trust: Trust,
    pub(super) scheme: Scheme,
    pub(super) body: BodyForm,
    /// Where the events of a delivery stand, if it carries several.
    pub(super) each: Option<Pointer>,
    pub(super) options: Options,
    pub(super) reply: Reply,
    pub(super) mapping: Mapping,
    /// How the provider is asked for a payment, if it can be.
    pub(super) confirm: Option<Inquiry>,
}

/// How deliveries are verified.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Scheme {
    /// By data.
    Recipe(Box<Recipe>),
    /// By code.
    Coded(Adapter),
}

impl Scheme {
    /// Whether a request's body is the sender's.
    fn proves_body(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.proves_body(),
            // What adapters can't prove, they leave out.
            Self::Coded(_) => true,
        }
    }

    /// Whether a request's query is the sender's.
    fn proves_query(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.proves_query(),
            Self::Coded(_) => false,
        }
    }

    /// Whether the provider signs a time.
    pub(super) fn signs_time(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.time.is_some(),
            Self::Coded(adapter) => adapter.max_age_s().is_some(),
        }
    }

    /// Whether a piece is signed.
    fn signs(&self, piece: &Piece) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.signs(piece),
            Self::Coded(_) => false,
        }
    }
}

impl Preset {
    /// What a source says, completed and checked. An error names the option, and says what is wrong with it.
    pub(super) fn options(&self, said: Said) -> Result<Said, (String, String)> {
        if let Some((name, _)) = said.iter().find(|(name, _)| !self.options.contains_key(*name)) {
            let known: Vec<&str> = self.options.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err((name.clone(), format!("this preset has no such option; allowed: {known}")));
        }
        let mut options = said;
        for (name, choice) in &self.options {
            match options.get(name).or(choice.default.as_ref()) {
                None => return Err((name.clone(), format!("it is missing: {}", choice.means))),
                Some(word) if !choice.allows(word) => {
                    return Err((name.clone(), format!("allowed: {}", choice.allowed.join(", "))));
                }
                Some(word) => drop(options.insert(name.clone(), word.clone())),
            }
        }
        Ok(options)
    }
}

/// What is wrong with a preset file: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {reason}")]
pub struct PresetError {
    /// The file, or the name of a built-in preset.
    pub file: String,
    /// The key in it.
    pub key: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

/// The names of the built-in presets, sorted.
pub fn presets() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// A built-in preset; `None` if there is none of that name.
pub(super) fn built_in(name: &str) -> Option<Result<Preset, PresetError>> {
    let text = text_of(name)?;
    Some(load(name, text))
}

/// A preset file of the user's own.
pub(super) fn from_file(path: &Path) -> Result<Preset, PresetError> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => load(&file, &text),
        Err(why) => {
            Err(PresetError { file, key: "file".to_owned(), reason: format!("can't be read: {why}") })
        }
    }
}

fn text_of(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn load(file: &str, text: &str) -> Result<Preset, PresetError> {
    let wrong = |Mistake { key, reason }| PresetError { file: file.to_owned(), key, reason };
    let raw = whole(text).map_err(wrong)?;
    let missing = |key: &str, reason: &str| wrong(Mistake { key: key.to_owned(), reason: reason.to_owned() });
    if raw.name.parse::<crate::payment::Name>().is_err() {
        return Err(missing("name", "1 to 128 characters of printable ASCII are allowed"));
    }
    if raw.map.is_empty() {
        return Err(missing(
            "map",
            "this preset says how deliveries are signed, not what they mean; write a preset file of your own that extends \
             it with [[map]] entries, and give the source its path",
        ));
    }
    compile::options(&raw.options).map_err(wrong)?;
    let scheme = match (raw.signature, raw.adapter) {
        (Some(signature), None) => {
            Scheme::Recipe(Box::new(compile::recipe(signature, &raw.options).map_err(wrong)?))
        }
        (None, Some(adapter)) => Scheme::Coded(adapter),
        (None, None) => {
            return Err(missing("signature", "it is missing; write it, or extend a preset that has it"));
        }
        (Some(_), Some(_)) => return Err(missing("adapter", "a preset has either `signature` or `adapter`")),
    };
    let trust = match raw.trust {
        Some(raw::Trust::Hint) => Trust::Hint,
        None | Some(raw::Trust::Verified) if scheme.proves_body() => Trust::Verified,
        None | Some(raw::Trust::Verified) => {
            let reason = "`{body}` is missing: nothing that is not signed may be believed. Sign it, or say `trust = \"hint\"`";
            return Err(missing("signature.signed", reason));
        }
    };
    let mapping =
        compile::mapping(&raw.event, &raw.map, Proof::Signature(&scheme), &raw.options).map_err(wrong)?;
    compile::ignored(&raw.ignored, &raw.map).map_err(wrong)?;
    let confirm = raw.confirm.map(|confirm| compile::confirm(confirm, &raw.options));
    let confirm = confirm.transpose().map_err(wrong)?;
    let each = raw.each.map(|each| compile::pointer("each", &each)).transpose().map_err(wrong)?;
    Ok(Preset {
        name: raw.name.into(),
        trust,
        scheme,
        body: raw.body.unwrap_or(BodyForm::Json),
        each,
        options: raw.options,
        reply: raw.reply.unwrap_or_default(),
        mapping,
        confirm,
    })
}

/// A preset with what it extends.
fn whole(text: &str) -> Result<raw::Preset, Mistake> {
    let parse = |text: &str| -> Result<raw::Preset, Mistake> {
        toml::from_str(text).map_err(|why: toml::de::Error| Mistake {
            key: why.span().map_or_else(String::new, |span| format!("line {}", line_of(text, span.start))),
            reason: why.message().to_owned(),
        })
    };
    let mut preset = parse(text)?;
    // Each step is one of the built-in presets, none of which needs to come twice.
    for _ in BUILT_IN {
        let Some(base) = preset.extends.take() else { break };
        let Some(text) = text_of(&base) else {
            let known: Vec<_> = presets().collect();
            let reason = format!("there is no preset `{base}`; allowed: {}", known.join(", "));
            return Err(Mistake { key: "extends".to_owned(), reason });
        };
        preset = extended(preset, parse(text)?);
    }
    Ok(preset)
}

fn line_of(text: &str, place: usize) -> usize {
    1 + text.bytes().take(place).filter(|byte| *byte == b'\n').count()
}

fn extended(own: raw::Preset, base: raw::Preset) -> raw::Preset {
    let or = |own: Vec<String>, base: Vec<String>| if own.is_empty() { base } else { own };
    raw::Preset {
        name: own.name,
        extends: base.extends,
        about: own.about,
        trust: own.trust.or(base.trust),
        body: own.body.or(base.body),
        each: own.each.or(base.each),
        options: base.options.into_iter().chain(own.options).collect(),
        adapter: own.adapter.or(base.adapter.filter(|_| own.signature.is_none())),
        signature: own.signature.or(base.signature),
        reply: own.reply.or(base.reply),
        event: raw::Event {
            id: or(own.event.id, base.event.id),
            kind: or(own.event.kind, base.event.kind),
            otherwise: own.event.otherwise.or(base.event.otherwise),
            occurred_at: own.event.occurred_at.or(base.event.occurred_at),
            live: own.event.live.or(base.event.live),
            payment: or(own.event.payment, base.event.payment),
            own_ids: or(own.event.own_ids, base.event.own_ids),
            amounts: own.event.amounts.or(base.event.amounts),
            exponents: base.event.exponents.into_iter().chain(own.event.exponents).collect(),
        },
        // A file with entries of its own may map what the base ignores, so it says anew what stays ignored.
        ignored: if own.map.is_empty() && own.ignored.is_empty() { base.ignored } else { own.ignored },
        map: own.map.into_iter().chain(base.map).collect(),
        confirm: own.confirm.or(base.confirm),
    }
}

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(any(test, fuzzing))]
mod known;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub(super) use known::{own_of, recipe_of, recipes};
#[cfg(test)]
pub(super) use {
    fixtures::{Case, exempt},
    known::{of_text, option_names},
};
