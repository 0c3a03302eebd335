//! `[options]` of a preset: what a source has to set, or may set, because it depends on its contract with the provider.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The options that a preset defines, by name.
pub(crate) type OptionRules = BTreeMap<String, Choice>;

/// One option of a preset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// What the option means, for people.
    pub(crate) means: String,
    /// The value if a source sets none. Without a default, a source has to set the option.
    pub(crate) default: Option<String>,
    /// The values that are allowed. If the list is empty, every value is allowed.
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
}

impl Choice {
    /// Returns whether a source may set this value.
    pub(crate) fn allows(&self, word: &str) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == word)
    }
}
