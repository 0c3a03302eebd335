//! Who may watch which payments: tokens, the keys that sign them, and the origins whose pages may read answers.
//!
//! A token is a JWT that names a realm and payments of it. [`Access::admit`] turns a request into a [`Grant`] or into
//! [`Denied`] with a reason. A request with a bad token is denied, and never treated as one without a token. The same leeway
//! applies to admission and to the end of a running stream: admission refuses a token from [`Grant::expires_at`] on, at which
//! its streams end, so a client cannot loop between the two.
//!
//! Keys are checked as a whole before they are used, and can be replaced while streams run. This room does not know sockets,
//! streams or the configuration file, and has no clock: callers pass the time.
//!
//! | file | noun |
//! |---|---|
//! | `settings` | what is configured |
//! | `rules`    | settings that were checked and are in force |
//! | `key`      | the keys that sign tokens |
//! | `carrier`  | where a request carries its token |
//! | `token`    | the checks of a token |
//! | `grant`    | what an admitted request may see |
//! | `denied`   | the reasons to refuse a request |
//! | `mint`     | making tokens |
//! | `cors`     | the origins whose pages may read answers |
//! | `operators` | who may use the tools of the admin listener |

mod carrier;
mod cors;
mod denied;
mod grant;
mod key;
mod mint;
mod operators;
mod rules;
mod settings;
mod token;

#[cfg(test)]
mod tests;

pub use crate::payment::ALL_PAYMENTS as ALL;
pub use cors::OriginError;
pub use denied::Denied;
pub use grant::{Grant, Payments};
pub use key::{KeyError, KeySettings, Material, TokenAlgorithm};
pub use mint::MintError;
pub use operators::{ONLY_OPERATOR, Operator, OperatorError, OperatorRole, Operators};
pub use rules::{AccessError, AccessErrors};
pub use settings::{AccessSettings, DEFAULT_LEEWAY};
pub use token::MAX_PAYMENTS;

use crate::payment::{Name, Time};
use http::{HeaderMap, HeaderValue};
use rules::Rules;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// Decides what requests may see. Its rules are replaced as a whole on reload.
#[derive(Debug)]
pub struct Access {
    /// A lock around a shared pointer, so that a check holds the lock only for as long as it takes to copy the pointer.
    rules: RwLock<Arc<Rules>>,
}

impl Access {
    /// Puts the settings in force, or returns what is wrong with them.
    pub fn new(settings: AccessSettings) -> Result<Self, AccessErrors> {
        Ok(Self { rules: RwLock::new(Arc::new(Rules::build(settings)?)) })
    }

    /// Puts the settings of `newer` in force, all at once. Afterwards, [`Access::stands`] tells which of the open streams have
    /// to end.
    pub fn replace(&self, newer: Self) {
        let rules = newer.rules.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The names of the keys, in the order of the settings.
    #[must_use]
    pub fn kids(&self) -> Vec<Arc<str>> {
        self.rules().keys.iter().map(|key| Arc::clone(&key.kid)).collect()
    }

    /// Whether nobody may watch anything, because there is no key and no open realm.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        let rules = self.rules();
        rules.open.is_none() && rules.keys.is_empty()
    }

    /// Whether anyone may watch payments of `realm`, because a key may sign for it or it is open.
    #[must_use]
    pub fn opens(&self, realm: &Name) -> bool {
        let rules = self.rules();
        rules.open.as_ref() == Some(realm) || rules.keys.iter().any(|key| key.realms.contains(realm))
    }

    /// Whether anyone may watch all payments of a realm at once, because a key may sign for operators or a realm is open.
    #[must_use]
    pub fn opens_all(&self) -> bool {
        let rules = self.rules();
        rules.open.is_some() || rules.keys.iter().any(|key| key.operator)
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides on a request by its token, which is in `Authorization: Bearer`, or else in the cookie `paystream_token`, or
    /// else in the query parameter `access_token`. Only the first of them that is present counts, even if its token is bad.
    pub fn admit(&self, headers: &HeaderMap, query: Option<&str>, now: Time) -> Result<Grant, Denied> {
        let rules = self.rules();
        match (carrier::token(headers, query)?, &rules.open) {
            (Some(token), _) => token::admit(&rules, &token, now),
            (None, Some(realm)) => Ok(Grant::anonymous(realm.clone())),
            (None, None) => Err(Denied::MissingToken),
        }
    }

    /// Signs a token with the key `kid`, or else with the first key that may sign it. `"*"` as the only payment makes it an
    /// operator's token.
    pub fn mint(
        &self,
        kid: Option<&str>,
        realm: &Name,
        payments: &[Name],
        ttl: Duration,
        now: Time,
    ) -> Result<String, MintError> {
        mint::mint(&self.rules(), kid, realm, payments, ttl, now)
    }

    /// Whether the current settings would still give the grant, apart from its expiry. Cheap enough for every open stream.
    #[must_use]
    pub fn stands(&self, grant: &Grant) -> bool {
        self.rules().stands(grant)
    }

    /// Adds to an answer the headers that let a page of an allowed origin read it. Every answer gets `Vary: Origin`, so that
    /// no cache gives one origin's answer to another.
    pub fn cors_answer(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        self.rules().cors.answer(origin, answer);
    }

    /// Whether pages of this origin may read answers.
    #[must_use]
    pub fn lists(&self, origin: &HeaderValue) -> bool {
        self.rules().cors.lists(origin)
    }

    /// The headers of the answer to a preflight (`OPTIONS`) from `origin`.
    #[must_use]
    pub fn cors_preflight(&self, origin: Option<&HeaderValue>) -> HeaderMap {
        self.rules().cors.preflight(origin)
    }
}
