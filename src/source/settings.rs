//! What a source is configured with.

use super::inquiry::ApiSettings;
use crate::payment::{Currency, Name};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// What a source is configured with.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The last part of `POST /webhooks/{name}`.
    pub name: Arc<str>,
    /// How its provider signs and what its payloads mean.
    pub provider: Provider,
    /// Where its payments live.
    pub realm: Name,
    /// Its signing secrets; several while one is being rotated. None where the provider publishes its keys, to be fetched.
    pub secrets: Vec<SecretString>,
    /// JSON pointers to the payment's id, tried in order, in place of all of the preset's.
    pub payment: Option<Vec<String>>,
    /// Of amounts that come without one.
    pub currency: Option<Currency>,
    /// The payment ids are the shop's own, so several providers may speak of one payment.
    pub shared_ids: bool,
    /// Whether it is for real money. Events of the other mode are quarantined.
    pub live: Option<bool>,
    /// The longest that the signed time may lie behind our clock, in place of the preset's, which may have none.
    pub max_age: Option<Duration>,
    /// What the preset asks of its sources.
    pub options: BTreeMap<String, String>,
    /// What it needs to ask the provider, for payments or for keys. Without it nobody is asked.
    pub api: Option<ApiSettings>,
}

impl SourceSettings {
    /// A source of a built-in preset, with one secret and nothing of its own.
    #[must_use]
    pub fn new(name: &str, preset: &str, realm: Name, secret: SecretString) -> Self {
        Self {
            name: name.into(),
            provider: Provider::Builtin(preset.to_owned()),
            realm,
            secrets: vec![secret],
            payment: None,
            currency: None,
            shared_ids: false,
            live: None,
            max_age: None,
            options: BTreeMap::new(),
            api: None,
        }
    }
}

/// Which preset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provider {
    /// One of [`presets`](super::presets).
    Builtin(String),
    /// A file of the user's own.
    File(PathBuf),
}
