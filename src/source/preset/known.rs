//! The built-in presets as tests and fuzz targets need them, including those that have no mapping.

#![expect(clippy::expect_used, reason = "built into tests and fuzz targets alone")]

#[cfg(test)]
use super::{Preset, PresetError, load::load};
use super::{
    builtin::{presets, text_of},
    compile,
    load::whole,
};
use crate::source::verify::Recipe;

/// Returns the recipe of a built-in preset.
pub(crate) fn recipe_of(name: &str) -> Recipe {
    let raw = whole(text_of(name).expect(name)).ok().expect(name);
    compile::recipe(raw.signature.expect(name), &raw.options).ok().expect(name)
}

/// Returns the names of the built-in presets that verify by a recipe.
pub(crate) fn recipes() -> Vec<&'static str> {
    let is_recipe = |name: &&str| whole(text_of(name).expect(name)).ok().expect(name).adapter.is_none();
    presets().filter(is_recipe).collect()
}

/// Returns the names of the options that a built-in preset defines.
#[cfg(test)]
pub(crate) fn option_names(name: &str) -> Vec<String> {
    whole(text_of(name).expect(name)).ok().expect(name).options.into_keys().collect()
}

/// Loads a preset from its text, as if the text were a user's file.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Result<Preset, PresetError> {
    load("acme.toml", text)
}

/// Returns the text of a user's preset that extends a built-in one and says what its payloads mean.
pub(crate) fn own_of(name: &str) -> String {
    OWN.replace("standard-webhooks", name)
}

/// A preset of a user's that extends a built-in one without a mapping.
pub(super) const OWN: &str = r#"
name = "acme-pay"
extends = "standard-webhooks"

[event]
payment = ["/data/id"]
amounts = "major"

[[map]]
type = ["invoice.*"]
facts = [{ fact = "phase", is = "captured", amount = "/data/amount", currency = "/data/currency" }]
"#;
