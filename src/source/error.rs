//! Why a source cannot be built from its settings.

use super::{
    inquiry::ApiError,
    payload::PointerError,
    preset::{PresetError, presets},
    verify::SecretError,
};
use crate::payment::MAX_LABELS;
use std::sync::Arc;

/// A mistake in the settings of a source. The message names the key, says what is wrong and what to do. It never holds a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no built-in preset of this name.
    #[error("provider: there is no preset `{name}`; allowed: {}, or the path of a preset file", known())]
    UnknownPreset {
        /// The name that the settings give.
        name: String,
    },
    /// The preset cannot be used.
    #[error("provider: {0}")]
    Preset(#[from] PresetError),
    /// The source has no secret. Without one it would accept deliveries from anyone.
    #[error(
        "secrets: none is given; add the signing secret that the provider shows, e.g. `env:NAME` or `file:PATH`"
    )]
    NoSecret,
    /// The provider publishes its keys to its API clients only, and the source has no API credentials.
    #[error(
        "secrets: none is given; add the keys that `{provider}` publishes, or add [source.api] with `client_id` and `key` so that \
          the gateway fetches them"
    )]
    NoApi {
        /// The name of the provider.
        provider: Arc<str>,
    },
    /// The keys have to be fetched, and this machine cannot make outgoing requests.
    #[error("secrets: none is given, and the keys cannot be fetched: {why}; fix this, or add the keys")]
    NoOutbound {
        /// Why no outgoing request can be made.
        why: String,
    },
    /// One of the secrets cannot be used.
    #[error("secrets[{index}]: {why}; use the signing secret that the provider shows")]
    Secret {
        /// The index of the secret in `secrets`, from 0.
        index: usize,
        /// What is wrong with the secret.
        why: SecretError,
    },
    /// One of the pointers to the payment's id cannot be used.
    #[error("payment[{index}]: `{text}`: {why}")]
    Payment {
        /// The index of the pointer in `payment`, from 0.
        index: usize,
        /// The text of the pointer.
        text: String,
        /// What is wrong with the pointer.
        why: PointerError,
    },
    /// The list `payment` is empty, which would leave every event without a payment.
    #[error("payment: no pointer is given; leave the key out to use the preset's")]
    NoPayment,
    /// One of the pointers to a payment's other ids cannot be used.
    #[error("labels[{index}]: `{text}`: {why}")]
    Label {
        /// The index of the pointer in `labels`, from 0.
        index: usize,
        /// The text of the pointer.
        text: String,
        /// What is wrong with the pointer.
        why: PointerError,
    },
    /// There are more pointers to other ids than one event may name.
    #[error("labels: there are {count} pointers; at most {MAX_LABELS} are allowed")]
    TooManyLabels {
        /// Their number.
        count: usize,
    },
    /// The provider only hints, and nobody vouches for a hint's ids.
    #[error(
        "labels: the webhooks of `{provider}` are hints, whose ids count for nothing; add [source.api] so that payments are confirmed, or \
         leave the key out"
    )]
    LabelsOfHints {
        /// The name of the provider.
        provider: Arc<str>,
    },
    /// One of the options does not fit the preset.
    #[error("options.{name}: {why}")]
    Option {
        /// The name of the option.
        name: String,
        /// What is wrong with the option, and what is allowed.
        why: String,
    },
    /// The provider's payloads name no currency, and captured money without a currency is not accepted.
    #[error(
        "currency: the payloads of `{provider}` name none; add that of the account, e.g. currency = \"USD\""
    )]
    NoCurrency {
        /// The name of the provider.
        provider: Arc<str>,
    },
    /// The access to the provider's API cannot be used.
    #[error("api: {0}")]
    Api(#[from] ApiError),
    /// The settings limit the age of deliveries, but the provider signs no time.
    #[error("max_age: `{provider}` signs no time, so there is no age to limit; leave the key out")]
    NoTime {
        /// The name of the provider.
        provider: Arc<str>,
    },
}

fn known() -> String {
    presets().collect::<Vec<_>>().join(", ")
}
