//! Presets: a provider in one file, which says how it signs and what its payloads mean.
//!
//! `[signature]` is the recipe, `[event]` says where what every event has stands, and each `[[map]]` says what the events
//! of some types mean. A preset is data alone: a provider that some recipe can say needs no Rust. Built-in presets lie in
//! `providers/`; a source may name a file of its own, which may extend a built-in one.

mod compile;
pub(super) mod mapping;
pub(super) mod pointer;
mod raw;

use super::signature::recipe::Recipe;
use compile::Mistake;
use mapping::Mapping;
use std::{path::Path, sync::Arc};

/// The presets that come with the program.
const BUILT_IN: &[(&str, &str)] = &[
    ("generic", include_str!("providers/generic.toml")),
    ("generic-timestamped", include_str!("providers/generic-timestamped.toml")),
    ("standard-webhooks", include_str!("providers/standard-webhooks.toml")),
    ("stripe", include_str!("providers/stripe.toml")),
];

/// A preset that can be used.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: Arc<str>,
    pub(super) recipe: Recipe,
    pub(super) mapping: Mapping,
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
    let Some(signature) = raw.signature else {
        return Err(missing("signature", "it is missing; write it, or extend a preset that has it"));
    };
    if raw.map.is_empty() {
        return Err(missing(
            "map",
            "this preset says how deliveries are signed, not what they mean; write a preset file of your own that extends \
             it with [[map]] entries, and give the source its path",
        ));
    }
    let recipe = compile::recipe(signature).map_err(wrong)?;
    let mapping = compile::mapping(&raw.event, &raw.map, &recipe).map_err(wrong)?;
    Ok(Preset { name: raw.name.into(), recipe, mapping })
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
        signature: own.signature.or(base.signature),
        event: raw::Event {
            id: or(own.event.id, base.event.id),
            kind: own.event.kind.or(base.event.kind),
            occurred_at: own.event.occurred_at.or(base.event.occurred_at),
            live: own.event.live.or(base.event.live),
            payment: or(own.event.payment, base.event.payment),
            amounts: own.event.amounts.or(base.event.amounts),
            exponents: base.event.exponents.into_iter().chain(own.event.exponents).collect(),
        },
        map: own.map.into_iter().chain(base.map).collect(),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::{of_text, recipe_of};
