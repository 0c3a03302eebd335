//! What it takes to sign deliveries of a built-in preset, for those who try a source out.

use super::{builtin::text_of, compile, load::whole};
use crate::source::verify::Adapter;
use std::time::Duration;

/// What it takes to sign deliveries of a preset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trial {
    /// Whether only the provider's private key can sign.
    pub needs_private_key: bool,
    /// How old the signed time of a delivery may be, unless the source says something else. `None` if no time is signed, or its age is
    /// not limited.
    pub max_age: Option<Duration>,
}

/// Returns what it takes to sign deliveries of the built-in preset of that name. Returns `None` if there is no such preset.
#[must_use]
pub fn trial(name: &str) -> Option<Trial> {
    let raw = whole(text_of(name)?).ok()?;
    match (raw.signature, raw.adapter) {
        (Some(signature), _) => {
            let recipe = compile::recipe(signature, &raw.options).ok()?;
            let needs_private_key = recipe.methods.iter().all(|method| method.algorithm.is_public());
            Some(Trial { needs_private_key, max_age: recipe.time.and_then(|time| time.max_age) })
        }
        (None, adapter) => {
            let adapter = adapter?;
            let max_age = adapter.max_age_s().map(Duration::from_secs);
            Some(Trial { needs_private_key: adapter == Adapter::Plaid, max_age })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::presets, *};

    #[test]
    fn three_presets_need_a_private_key() {
        let needy = presets().filter(|name| trial(name).unwrap().needs_private_key);
        assert_eq!(needy.collect::<Vec<_>>(), ["paypal", "plaid", "wise"]);
        assert_eq!(trial("stripe").unwrap().max_age, Some(Duration::from_secs(300)));
        assert_eq!(trial("generic").unwrap().max_age, None);
        assert_eq!(trial("nobody"), None);
    }
}
