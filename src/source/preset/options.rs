//! `[options]` of a preset: what a source has to say, or may say, because it is a matter of its contract with the provider.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a preset asks of its sources, by the option's name.
pub(crate) type OptionRules = BTreeMap<String, Choice>;

/// One of `[options]`: what a source has to say, or may, because it is a matter of its contract with the provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// What it is, for people.
    pub(crate) means: String,
    /// Taken where a source says nothing. Without it a source has to say.
    pub(crate) default: Option<String>,
    /// What may be said; anything, if empty.
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
}

impl Choice {
    /// Whether a source may say this.
    pub(crate) fn allows(&self, word: &str) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == word)
    }
}
