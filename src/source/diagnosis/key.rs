//! Secrets that are right but not written as they should be.

use super::sample::Sample;
use crate::source::{
    payload::{OptionValues, RequestParts},
    verify::{Recipe, RecipeVerifier, TimeLimits},
};
use secrecy::{ExposeSecret as _, SecretString};

/// A mistake in how a secret is written.
pub(super) struct Writing {
    pub(super) cause: &'static str,
    pub(super) change: &'static str,
    /// Returns what the secret would be without the mistake, if it can have been made.
    undo: fn(&str) -> Vec<String>,
}

impl Writing {
    /// Returns what a secret would be without the mistake.
    pub(super) fn right(&self, secret: &SecretString) -> impl Iterator<Item = SecretString> {
        let secret = secret.expose_secret();
        (self.undo)(secret).into_iter().filter(move |right| right != secret).map(SecretString::from)
    }
}

/// The mistakes, the likely ones first.
pub(super) const WRITINGS: [Writing; 6] = [
    Writing {
        cause: "secret_spaces",
        change: "The secret is right but for spaces or a line break around it, or for those that the provider has around it. Write it as \
                 the provider uses it.",
        undo: |secret| vec![secret.trim().to_owned(), format!("{secret}\n"), format!("{}\n", secret.trim())],
    },
    Writing {
        cause: "secret_quotes",
        change: "The secret has quotes around it that do not belong to it, as from a file of environment variables. Remove them.",
        undo: |secret| {
            let quoted =
                |quote: char| secret.trim().strip_prefix(quote)?.strip_suffix(quote).map(str::to_owned);
            ['"', '\'', '`'].into_iter().filter_map(quoted).collect()
        },
    },
    Writing {
        cause: "secret_prefix",
        change: "The secret is right but for the prefix `whsec_`, which is there and should not be, or is missing. Copy it as the \
                 provider shows it.",
        undo: |secret| match secret.strip_prefix("whsec_") {
            Some(bare) => vec![bare.to_owned()],
            None => vec![format!("whsec_{secret}")],
        },
    },
    Writing {
        cause: "secret_case",
        change: "The secret is right but for upper and lower case. Copy it as the provider shows it.",
        undo: |secret| vec![secret.to_lowercase(), secret.to_uppercase()],
    },
    Writing {
        cause: "secret_parts_swapped",
        change: "The two parts of the secret, before and behind the colon, are swapped. Write KEY-ID:SECRET.",
        undo: |secret| secret.split_once(':').map(|(id, rest)| format!("{rest}:{id}")).into_iter().collect(),
    },
    Writing {
        cause: "secret_name",
        change: "What is configured as the secret is a whole assignment or header. Keep only what stands behind the `=` or the name.",
        undo: |secret| {
            let behind = |(_, rest): (&str, &str)| rest.trim().trim_matches(['"', '\'']).to_owned();
            let texts = [secret.split_once('='), secret.split_once(' ')];
            texts.into_iter().flatten().map(behind).filter(|rest| !rest.is_empty()).collect()
        },
    },
];

/// Returns the ids of the keys that a request names, and those of the secrets, where a provider names its keys.
pub(super) fn ids(
    recipe: &Recipe,
    secrets: &[SecretString],
    sample: &Sample,
    options: &OptionValues,
) -> (Vec<String>, Vec<String>) {
    let Ok(verifier) = RecipeVerifier::new(recipe.clone(), secrets, TimeLimits::default()) else {
        return Default::default();
    };
    let parts = RequestParts { headers: &sample.headers, query: &sample.query, options };
    (verifier.named_keys(parts), verifier.key_ids().map(str::to_owned).collect())
}
