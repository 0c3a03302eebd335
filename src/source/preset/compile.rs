//! From a preset as it is written to one that can be used. Each mistake is told with its key and what is allowed.

mod confirm;
mod ignored;
mod mapping;
mod recipe;
mod words;

use super::{
    mistake::{Checked, mistake},
    options::{Choice, OptionRules},
};
pub(super) use {
    confirm::confirm,
    ignored::ignored,
    mapping::{Proof, mapping},
    recipe::recipe,
    words::pointer,
};

/// `[options]`, checked for sense.
pub(super) fn options(options: &OptionRules) -> Checked<()> {
    let strange = |choice: &Choice| choice.default.as_ref().is_some_and(|word| !choice.allows(word));
    match options.iter().find(|(_, choice)| strange(choice)) {
        Some((name, choice)) => {
            mistake(format!("options.{name}.default"), format!("allowed: {}", choice.allowed.join(", ")))
        }
        None => Ok(()),
    }
}
