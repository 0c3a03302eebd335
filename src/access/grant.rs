//! A grant: what an admitted request may see, and for how long.

use super::key::Fingerprint;
use crate::{
    payment::{Name, Time},
    tally::Holder,
};
use std::sync::Arc;

/// The payments of its realm that a grant covers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Payments {
    /// All payments, for operators.
    All,
    /// Only these payments.
    Ids(Vec<Name>),
}

/// What an admitted request may see.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// The realm. The request sees nothing of other realms.
    pub realm: Name,
    /// The payments of the realm.
    pub payments: Payments,
    /// The `exp` of the token plus the leeway: from this time on, admission refuses the token too. `None` for a request
    /// without a token.
    pub expires_at: Option<Time>,
    /// By whom what the token opens is counted. `None` for a request without a token.
    pub holder: Option<Holder>,
    /// The `sub` of the token, for operators: at most 128 printable characters, else it is not kept.
    pub subject: Option<Arc<str>>,
    /// The name of the key that signed the token. `None` for a request without a token.
    pub kid: Option<Arc<str>>,
    /// Identifies the key that signed the token, because a reload may bring another key of the same name.
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Grant {
    /// The grant of a request without a token, where the settings allow that: all payments of `realm`.
    pub(super) const fn anonymous(realm: Name) -> Self {
        Self {
            realm,
            payments: Payments::All,
            expires_at: None,
            holder: None,
            subject: None,
            kid: None,
            fingerprint: None,
        }
    }

    /// The grant of an operator who may see all payments of `realm` until `expires_at`. What it opens shows the operator's name as subject.
    #[must_use]
    pub fn of_operator(realm: Name, operator: &str, expires_at: Option<Time>) -> Self {
        let subject = Some(format!("operator:{operator}").into());
        Self { expires_at, subject, ..Self::anonymous(realm) }
    }

    /// The grant without what [`Access::stands`](super::Access::stands) does not look at, and what tells tokens of one key apart:
    /// which payments, and until when.
    #[must_use]
    pub fn kind(&self) -> Self {
        let payments = match &self.payments {
            Payments::All => Payments::All,
            Payments::Ids(_) => Payments::Ids(Vec::new()),
        };
        let Self { realm, kid, fingerprint, .. } = self.clone();
        Self { realm, payments, expires_at: None, holder: None, subject: None, kid, fingerprint }
    }

    /// Whether the grant covers `payment`, which has to be an id of the grant's realm.
    #[must_use]
    pub fn allows(&self, payment: &Name) -> bool {
        match &self.payments {
            Payments::All => true,
            Payments::Ids(ids) => ids.contains(payment),
        }
    }
}
