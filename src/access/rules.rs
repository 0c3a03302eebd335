//! The rules: settings that were checked as a whole, with their keys ready for use.

use super::{
    cors::{Cors, OriginError},
    grant::{Grant, Payments},
    key::{KeyError, TokenKey},
    settings::AccessSettings,
};
use crate::payment::Name;
use std::time::Duration;

/// One mistake in the settings.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A key cannot be used.
    #[error("access key {kid:?}: {error}")]
    Key {
        /// The position of the key in the settings, from 0.
        index: usize,
        /// The name of the key.
        kid: String,
        /// Why it cannot be used.
        error: KeyError,
    },
    /// An origin cannot be used.
    #[error("cors origin {origin:?}: {error}")]
    Origin {
        /// The position of the origin in the settings, from 0.
        index: usize,
        /// The origin as it was configured.
        origin: String,
        /// Why it cannot be used.
        error: OriginError,
    },
}

/// All mistakes in the settings, one sentence each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct AccessErrors(pub Vec<AccessError>);

/// Settings that are in force.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) audience: String,
    /// The usable keys, in the order of the settings. No two have the same name.
    pub(super) keys: Vec<TokenKey>,
    pub(super) open: Option<Name>,
    pub(super) leeway: Duration,
    pub(super) cors: Cors,
}

impl Rules {
    /// Checks the settings. Returns the rules, or everything that is wrong.
    pub(super) fn build(settings: AccessSettings) -> Result<Self, AccessErrors> {
        let mut mistakes = Vec::new();
        let mut keys: Vec<TokenKey> = Vec::with_capacity(settings.keys.len());
        for (index, key) in settings.keys.into_iter().enumerate() {
            let kid = key.kid.clone();
            let twice = keys.iter().any(|earlier| *earlier.kid == *kid);
            match TokenKey::build(key, &settings.audience) {
                Ok(_) if twice => mistakes.push(AccessError::Key { index, kid, error: KeyError::Twice }),
                Ok(key) => keys.push(key),
                Err(error) => mistakes.push(AccessError::Key { index, kid, error }),
            }
        }
        let (cors, origins) = Cors::new(&settings.cors);
        mistakes.extend(origins.into_iter().map(|(index, origin, error)| AccessError::Origin {
            index,
            origin,
            error,
        }));
        let AccessSettings { audience, open, leeway, .. } = settings;
        if mistakes.is_empty() {
            let cors = cors.with_loopback(open.is_some());
            Ok(Self { audience, keys, open, leeway, cors })
        } else {
            Err(AccessErrors(mistakes))
        }
    }

    /// Whether these rules would still give the grant, apart from its expiry: the key that signed is the same, for the same
    /// audience, and may still sign for the realm (and for operators, if the grant is one).
    pub(super) fn stands(&self, grant: &Grant) -> bool {
        let Some(fingerprint) = &grant.fingerprint else {
            return self.open.as_ref() == Some(&grant.realm);
        };
        self.keys.iter().any(|key| {
            key.fingerprint == *fingerprint
                && key.realms.contains(&grant.realm)
                && (key.operator || grant.payments != Payments::All)
        })
    }
}
