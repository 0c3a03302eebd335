//! The settings of a source.

use super::{inquiry::ApiSettings, secret::SourceSecret};
use crate::payment::{Currency, Name};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// The settings of a source, as its configuration gives them.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The name of the source, which is the last part of `POST /webhooks/{name}`.
    pub name: Arc<str>,
    /// The preset, which says how the provider signs and what its payloads mean.
    pub provider: Provider,
    /// The realm of the source's payments.
    pub realm: Name,
    /// The signing secrets. There are several while one is being rotated, and none if the provider publishes keys that are fetched.
    pub secrets: Vec<SourceSecret>,
    /// JSON pointers to the payment's id, tried in order, in place of all those of the preset.
    pub payment: Option<Vec<String>>,
    /// JSON pointers to other ids of the payment by which readers may ask for it, beside those of the preset. The shop vouches that no
    /// customer can choose them.
    pub labels: Vec<String>,
    /// The currency of amounts that come without one.
    pub currency: Option<Currency>,
    /// Whether the payment ids are the shop's own, so that several providers may report on one payment.
    pub shared_ids: bool,
    /// Whether the source is for real money. Events of the other mode are quarantined.
    pub live: Option<bool>,
    /// The longest time by which the signed time may lie behind our clock, in place of the preset's limit. A preset may have none.
    pub max_age: Option<Duration>,
    /// The longest time by which a signed time, or the time of an event, may lie ahead of our clock, in place of the preset's limit and of
    /// five minutes.
    pub max_future: Option<Duration>,
    /// The values of the preset's options, by name.
    pub options: BTreeMap<String, String>,
    /// The access to the provider's API, for payments or for keys. Without it the provider is never asked.
    pub api: Option<ApiSettings>,
}

impl SourceSettings {
    /// Builds the settings of a source with a built-in preset, one secret and defaults for everything else.
    #[must_use]
    pub fn new(name: &str, preset: &str, realm: Name, secret: SecretString) -> Self {
        Self {
            name: name.into(),
            provider: Provider::Builtin(preset.to_owned()),
            realm,
            secrets: vec![secret.into()],
            payment: None,
            labels: Vec::new(),
            currency: None,
            shared_ids: false,
            live: None,
            max_age: None,
            max_future: None,
            options: BTreeMap::new(),
            api: None,
        }
    }
}

/// The preset of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provider {
    /// The name of one of the built-in [`presets`](super::presets).
    Builtin(String),
    /// The path of a preset file that the user wrote.
    File(PathBuf),
}
