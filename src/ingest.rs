//! Placeholder.
#![allow(missing_docs)]
use crate::payment::{Currency, Name, Time};
use secrecy::SecretString;
use std::{path::PathBuf, sync::Arc, time::Duration};
#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub name: Arc<str>,
    pub provider: Provider,
    pub realm: Name,
    pub secrets: Vec<SecretString>,
    pub payment: Option<Vec<String>>,
    pub currency: Option<Currency>,
    pub shared_ids: bool,
    pub live: Option<bool>,
    pub max_age: Option<Duration>,
}
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provider {
    Builtin(String),
    File(PathBuf),
}
#[derive(Debug)]
pub struct Source(SourceSettings);
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("provider: there is no preset `{name}`; allowed: generic, stripe")]
    UnknownPreset { name: String },
    #[error(
        "secrets: none is given; add the signing secret that the provider shows, e.g. `env:NAME` or `file:PATH`"
    )]
    NoSecret,
}
impl Source {
    pub fn build(settings: SourceSettings) -> Result<Self, SourceError> {
        match &settings.provider {
            Provider::Builtin(name)
                if !["generic", "generic-timestamped", "stripe"].contains(&name.as_str()) =>
            {
                Err(SourceError::UnknownPreset { name: name.clone() })
            }
            _ if settings.secrets.is_empty() => Err(SourceError::NoSecret),
            _ => Ok(Self(settings)),
        }
    }
    pub fn sign(&self, _body: &[u8], _at: Time, _delivery_id: &str) -> Vec<(String, String)> {
        Vec::new()
    }
    pub fn provider(&self) -> &str {
        match &self.0.provider {
            Provider::Builtin(name) => name,
            Provider::File(_) => "file",
        }
    }
    pub fn name(&self) -> &str {
        &self.0.name
    }
    pub fn realm(&self) -> &Name {
        &self.0.realm
    }
}
