//! Presets: a provider in one file, which says how the provider signs and what its payloads mean.
//!
//! `[signature]` is the recipe, `[retries]` says how long the provider tries, `[event]` says where the values are that every event has, each `[[map]]` says what the events of
//! some types mean, `[[ignored]]` says why others mean nothing here, and `[confirm]` says how the provider itself is asked. A
//! preset is data alone: a provider whose signature a recipe can describe needs no Rust. The built-in presets are in
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
mod trial;

pub use builtin::presets;
pub use error::PresetError;
pub use ignored::ignored_table;
pub(crate) use load::{built_in, from_file};
pub(crate) use reply::ReplyRule;
pub use table::preset_table;
pub use trial::{Trial, trial};

use super::{
    backfill::Listing,
    inquiry::Inquiry,
    mapping::Mapping,
    payload::{BodyForm, OptionValues, Pointer},
    retries::Retries,
    verify::Scheme,
};
use crate::payment::Trust;
use options::OptionRules;
use std::sync::Arc;

/// A preset that was checked and can be used.
#[derive(Debug)]
pub(crate) struct Preset {
    /// The name of the provider.
    pub(crate) name: Arc<str>,
    /// The names of the built-in presets that it extends, the nearest first.
    pub(crate) extends: Vec<String>,
    /// How far the provider's word is believed.
    pub(crate) trust: Trust,
    /// How deliveries are verified.
    pub(crate) scheme: Scheme,
    /// The format of bodies.
    pub(crate) body: BodyForm,
    /// The place of the list of events, if a delivery carries several.
    pub(crate) each: Option<Pointer>,
    /// The options that a source has to set, or may set.
    pub(crate) options: OptionRules,
    /// How the provider expects to be answered.
    pub(crate) reply: ReplyRule,
    /// How the provider sends a webhook again.
    pub(crate) retries: Retries,
    /// What payloads mean.
    pub(crate) mapping: Mapping,
    /// How the provider is asked for a payment, if it can be asked.
    pub(crate) confirm: Option<Inquiry>,
    /// How the provider lists its past events, if it does.
    pub(crate) backfill: Option<Listing>,
}

impl Preset {
    /// Completes the option values of a source with the defaults and checks them. An error gives the name of the option and says
    /// what is wrong with it.
    pub(crate) fn options(&self, given: OptionValues) -> Result<OptionValues, (String, String)> {
        if let Some((name, _)) = given.iter().find(|(name, _)| !self.options.contains_key(*name)) {
            let known: Vec<&str> = self.options.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err((name.clone(), format!("this preset has no such option; allowed: {known}")));
        }
        let mut options = given;
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
