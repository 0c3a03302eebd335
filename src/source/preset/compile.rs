//! The compiler of presets: from a preset as it is written to one that can be used. An error names the key and says what is
//! allowed.

mod backfill;
mod coded;
mod confirm;
mod fact;
mod ignored;
mod mapping;
mod proof;
mod recipe;
mod retries;
mod words;

use super::{
    mistake::{Checked, mistake},
    options::{Choice, OptionRules},
};
pub(super) use {
    backfill::backfill,
    coded::codes,
    confirm::confirm,
    ignored::ignored,
    mapping::{Context, mapping},
    proof::Proof,
    recipe::recipe,
    retries::retries,
    words::pointer,
};

/// Checks `[options]`: the default of an option has to be one of the allowed values.
pub(super) fn options(options: &OptionRules) -> Checked<()> {
    let strange = |choice: &Choice| choice.default.as_ref().is_some_and(|word| !choice.allows(word));
    match options.iter().find(|(_, choice)| strange(choice)) {
        Some((name, choice)) => {
            mistake(format!("options.{name}.default"), format!("allowed: {}", choice.allowed.join(", ")))
        }
        None => Ok(()),
    }
}
