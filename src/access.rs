//! Who may watch what: tokens, the keys that sign them, and the origins whose pages may ask.
//!
//! A token is a JWT that names a realm and the payments it opens. [`Access::admit`] turns a request into a [`Grant`] or a
//! [`Denied`] with a reason; a request that carries a bad token is denied, never taken for an anonymous one. One leeway
//! serves admission and the end of a running stream alike: [`Grant::expires_at`] is the very moment from which admission
//! refuses the same token, so no client can bounce between the two.
//!
//! The keys are checked whole when they are taken over, and can be replaced while streams run. This room knows neither
//! sockets nor streams nor the configuration file; the time is always told to it.
//!
//! | file | noun |
//! |---|---|
//! | `carrier` | where a request carries its token |
//! | `token`   | what a token says, and whether that holds now |
//! | `key`     | keys: one algorithm each, and what they may sign for |
//! | `cors`    | the origins whose pages may read answers |
//! | `denied`  | why not |

mod carrier;
mod cors;
mod denied;
mod key;
mod token;

#[cfg(test)]
mod tests;

pub use cors::{Cors, OriginError};
pub use denied::Denied;
pub use key::{Algorithm, KeyError, KeySettings, Material};
pub use token::{ALL, MAX_LIFETIME, MAX_PAYMENTS};

use crate::payment::{Name, Time};
use http::{HeaderMap, HeaderValue};
use key::Key;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// What the room is told at start and at each reload.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the tokens' `aud` has to name.
    pub audience: String,
    /// Origins whose pages may read answers, e.g. `https://shop.example`.
    pub cors: Vec<String>,
    /// The keys. None is fine: nobody gets in then.
    pub keys: Vec<KeySettings>,
    /// For development: a request without any token may watch every payment of this realm, and pages of every loopback origin
    /// may read answers.
    pub open: Option<Name>,
    /// How far the clocks of the token's maker and of this node may differ.
    pub leeway: Duration,
}

/// The leeway unless the configuration says otherwise.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

impl Default for Settings {
    fn default() -> Self {
        Self {
            audience: "paystream".into(),
            cors: Vec::new(),
            keys: Vec::new(),
            open: None,
            leeway: DEFAULT_LEEWAY,
        }
    }
}

/// Which payments of its realm a grant opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payments {
    /// All of them: an operator.
    All,
    /// These.
    Ids(Vec<Name>),
}

/// What an admitted request may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The realm; nothing outside it is ever seen.
    pub realm: Name,
    /// The payments.
    pub payments: Payments,
    /// `exp` and the leeway: from this moment on, admission refuses the token too. None for an anonymous grant.
    pub expires_at: Option<Time>,
    /// The key that signed. None for an anonymous grant.
    pub kid: Option<Arc<str>>,
    /// Tells another key under the same `kid` from the one that signed.
    fingerprint: Option<key::Fingerprint>,
}

impl Grant {
    /// Whether the grant opens `payment` (of its realm).
    #[must_use]
    pub fn allows(&self, payment: &Name) -> bool {
        match &self.payments {
            Payments::All => true,
            Payments::Ids(ids) => ids.contains(payment),
        }
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A key cannot be used; `index` counts from 0 in the order of the settings.
    #[error("access key {kid:?}: {error}")]
    Key {
        /// Its place.
        index: usize,
        /// Its name.
        kid: String,
        /// What is wrong.
        error: KeyError,
    },
    /// An origin cannot be used; `index` counts from 0.
    #[error("cors origin {origin:?}: {error}")]
    Origin {
        /// Its place.
        index: usize,
        /// What was written.
        origin: String,
        /// What is wrong.
        error: OriginError,
    },
}

/// All that is wrong with the settings, one sentence each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct AccessErrors(pub Vec<AccessError>);

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The `kid` that was asked for is not configured.
    #[error("there is no key {0:?}; configured are: {1}")]
    UnknownKey(String, String),
    /// No key, or not the one asked for, may sign this.
    #[error("no configured key {0}")]
    NotAllowed(String),
    /// 1 to 64 payments.
    #[error("a token names 1 to {MAX_PAYMENTS} payments, or \"*\" alone; this one has {0}")]
    Payments(usize),
    /// Over a day, or nothing.
    #[error("a token lives from 1 second to 24 hours")]
    Lifetime,
    /// The signature could not be made.
    #[error("signing failed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// The doorkeeper. Cheap to ask; replaced as a whole on reload.
#[derive(Debug)]
pub struct Access {
    rules: RwLock<Arc<Rules>>,
}

/// What the settings came to.
#[derive(Clone, Debug)]
struct Rules {
    audience: String,
    keys: Vec<Key>,
    open: Option<Name>,
    leeway: Duration,
    cors: Cors,
    epoch: u64,
}

impl Rules {
    /// Gives the rules, or everything that is wrong with the settings.
    fn build(settings: Settings) -> Result<Self, AccessErrors> {
        let mut wrong = Vec::new();
        let mut keys: Vec<Key> = Vec::with_capacity(settings.keys.len());
        for (index, key) in settings.keys.into_iter().enumerate() {
            let kid = key.kid.clone();
            let twice = keys.iter().any(|earlier| *earlier.kid == *kid);
            match Key::build(key, &settings.audience) {
                Ok(_) if twice => wrong.push(AccessError::Key { index, kid, error: KeyError::Twice }),
                Ok(key) => keys.push(key),
                Err(error) => wrong.push(AccessError::Key { index, kid, error }),
            }
        }
        let (cors, origins) = Cors::new(&settings.cors);
        wrong.extend(origins.into_iter().map(|(index, origin, error)| AccessError::Origin {
            index,
            origin,
            error,
        }));
        let Settings { audience, open, leeway, .. } = settings;
        if wrong.is_empty() {
            let cors = cors.with_loopback(open.is_some());
            Ok(Self { audience, keys, open, leeway, cors, epoch: 0 })
        } else {
            Err(AccessErrors(wrong))
        }
    }
}

impl Access {
    /// Takes over the settings, or says what is wrong with them.
    pub fn new(settings: Settings) -> Result<Self, AccessErrors> {
        Ok(Self { rules: RwLock::new(Arc::new(Rules::build(settings)?)) })
    }

    /// Takes over all that `newer` has at once. Open streams are looked at again with [`Access::stands`].
    pub fn replace(&self, newer: Self) {
        let newer = newer.rules.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = current.epoch + 1;
        *current = Arc::new(Rules { epoch, ..Arc::unwrap_or_clone(newer) });
    }

    /// The names of the keys, in the order of the settings.
    #[must_use]
    pub fn kids(&self) -> Vec<Arc<str>> {
        self.rules().keys.iter().map(|key| Arc::clone(&key.kid)).collect()
    }

    /// Whether nobody may watch anything.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        let rules = self.rules();
        rules.open.is_none() && rules.keys.is_empty()
    }

    /// Whether anyone may watch payments of `realm`: a key may sign for it, or it is open.
    #[must_use]
    pub fn opens(&self, realm: &Name) -> bool {
        let rules = self.rules();
        rules.open.as_ref() == Some(realm) || rules.keys.iter().any(|key| key.realms.contains(realm))
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides on a request by the token it carries: `Authorization: Bearer`, else the cookie `paystream_token`, else the
    /// query parameter `access_token`. The first one present decides, good or bad.
    pub fn admit(&self, headers: &HeaderMap, query: Option<&str>, now: Time) -> Result<Grant, Denied> {
        let rules = self.rules();
        match (carrier::token(headers, query)?, &rules.open) {
            (Some(token), _) => token::admit(&rules, &token, now),
            (None, Some(realm)) => Ok(Grant {
                realm: realm.clone(),
                payments: Payments::All,
                expires_at: None,
                kid: None,
                fingerprint: None,
            }),
            (None, None) => Err(Denied::MissingToken),
        }
    }

    /// Signs a token, with the key `kid` or else the first that may. `"*"` as the only payment asks for an operator's.
    pub fn mint(
        &self,
        kid: Option<&str>,
        realm: &Name,
        payments: &[Name],
        ttl: Duration,
        now: Time,
    ) -> Result<String, MintError> {
        token::mint(&self.rules(), kid, realm, payments, ttl, now)
    }

    /// Grows by one with each [`Access::replace`]: a cheap sign that grants have to be looked at again.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.rules().epoch
    }

    /// Whether what admitted the grant is still so, time aside: the same key, for the same audience, which may still sign
    /// for this realm (and for operators, if it did).
    #[must_use]
    pub fn stands(&self, grant: &Grant) -> bool {
        let rules = self.rules();
        let Some(fingerprint) = &grant.fingerprint else {
            return rules.open.as_ref() == Some(&grant.realm);
        };
        rules.keys.iter().any(|key| {
            key.fingerprint == *fingerprint
                && key.realms.contains(&grant.realm)
                && (key.operator || grant.payments != Payments::All)
        })
    }

    /// The value for `Access-Control-Allow-Origin`: `origin` itself if its pages may read answers, else none.
    #[must_use]
    pub fn cors(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        self.rules().cors.allowed(origin)
    }

    /// Adds to an answer what lets an allowed page read it. Every answer gets `Vary: Origin`, so that no cache hands one
    /// origin's answer to another.
    pub fn cors_answer(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        self.rules().cors.answer(origin, answer);
    }

    /// The headers of the answer to a preflight (`OPTIONS`) from `origin`.
    #[must_use]
    pub fn cors_preflight(&self, origin: Option<&HeaderValue>) -> HeaderMap {
        self.rules().cors.preflight(origin)
    }
}
