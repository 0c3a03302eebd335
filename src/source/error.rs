//! Why a source cannot be built from its settings.

use super::{
    inquiry::ApiError,
    payload::PointerError,
    preset::{PresetError, presets},
    verify::SecretError,
};
use std::sync::Arc;

/// A mistake in a source's settings: the key, what is wrong, what to do. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No preset of that name.
    #[error("provider: there is no preset `{name}`; allowed: {}, or the path of a preset file", known())]
    UnknownPreset {
        /// The name.
        name: String,
    },
    /// The preset can't be used.
    #[error("provider: {0}")]
    Preset(#[from] PresetError),
    /// A source without a secret would believe everyone.
    #[error(
        "secrets: none is given; add the signing secret that the provider shows, e.g. `env:NAME` or `file:PATH`"
    )]
    NoSecret,
    /// The provider publishes its keys, but only to its clients.
    #[error(
        "secrets: none is given; add the keys that `{provider}` publishes, or [source.api] with `client_id` and `key`, and they \
         are fetched"
    )]
    NoApi {
        /// The provider.
        provider: Arc<str>,
    },
    /// The machine can't ask for them.
    #[error("secrets: none is given, and keys can't be fetched: {why}; mend that, or add them")]
    NoOutbound {
        /// What is missing.
        why: String,
    },
    /// One of the secrets is none.
    #[error("secrets[{index}]: {why}; use the signing secret that the provider shows")]
    Secret {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        why: SecretError,
    },
    /// One of the payment's pointers can't be used.
    #[error("payment[{index}]: `{text}`: {why}")]
    Payment {
        /// Which, from 0.
        index: usize,
        /// The pointer.
        text: String,
        /// What is wrong with it.
        why: PointerError,
    },
    /// An empty list would leave every event without a payment.
    #[error("payment: no pointer is given; leave the key out to use the preset's")]
    NoPayment,
    /// One of the options is not as the preset has it.
    #[error("options.{name}: {why}")]
    Option {
        /// Which.
        name: String,
        /// What is wrong with it, and what is allowed.
        why: String,
    },
    /// The provider names no currency, and captured money without one is not believed.
    #[error("currency: `{provider}` names none in its payloads; add the account's, e.g. currency = \"USD\"")]
    NoCurrency {
        /// The provider.
        provider: Arc<str>,
    },
    /// The provider cannot be asked.
    #[error("api: {0}")]
    Api(#[from] ApiError),
    /// The provider signs no time.
    #[error("max_age: `{provider}` signs no time, so there is no age to limit; leave the key out")]
    NoTime {
        /// The provider.
        provider: Arc<str>,
    },
}

fn known() -> String {
    presets().collect::<Vec<_>>().join(", ")
}
