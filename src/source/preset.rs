//! Presets: a provider in one file, which says how it signs and what its payloads mean.
//!
//! `[signature]` is the recipe, `[event]` says where what every event has stands, each `[[map]]` says what the events of some
//! types mean, `[[ignored]]` why others mean nothing here, and `[confirm]` how the provider itself is asked. A preset is data alone: a provider that some recipe can say needs no Rust. Built-in presets lie in
//! `providers/`; a source may name a file of its own, which may extend a built-in one.

mod builtin;
mod compile;
mod error;
mod ignored;
mod load;
mod mistake;
mod options;
mod raw;
mod reply;
mod table;

pub use builtin::presets;
pub use error::PresetError;
pub use ignored::ignored_table;
pub(crate) use load::{built_in, from_file};
pub(crate) use reply::ReplyRule;
pub use table::preset_table;

use super::{
    inquiry::Inquiry,
    mapping::Mapping,
    payload::{BodyForm, OptionValues, Pointer},
    verify::Scheme,
};
use crate::payment::Trust;
use options::OptionRules;
use std::sync::Arc;

/// A preset that can be used.
#[derive(Debug)]
pub(crate) struct Preset {
    pub(crate) name: Arc<str>,
    pub(crate) trust: Trust,
    pub(crate) scheme: Scheme,
    pub(crate) body: BodyForm,
    /// Where the events of a delivery stand, if it carries several.
    pub(crate) each: Option<Pointer>,
    pub(crate) options: OptionRules,
    pub(crate) reply: ReplyRule,
    pub(crate) mapping: Mapping,
    /// How the provider is asked for a payment, if it can be.
    pub(crate) confirm: Option<Inquiry>,
}

impl Preset {
    /// What a source says, completed and checked. An error names the option, and says what is wrong with it.
    pub(crate) fn options(&self, said: OptionValues) -> Result<OptionValues, (String, String)> {
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

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(any(test, fuzzing))]
mod known;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub(crate) use known::{own_of, recipe_of, recipes};
#[cfg(test)]
pub(crate) use {
    fixtures::{Case, exempt},
    known::{of_text, option_names},
};
