//! The origin of a source's keys.

use super::{
    certificates::Certificates,
    key::{FetchError, FetchedKey},
    plaid::{self, PlaidKeys},
    shelf::Ageing,
};
use crate::{
    outbound::Outbound,
    payment::Time,
    source::verify::{adapter::plaid_key_id, rejection::Rejection, request::UnverifiedRequest},
};

/// Where the keys of a source come from.
#[derive(PartialEq)]
pub(crate) enum Origin {
    /// The key is in a certificate, at an address that the request names.
    Certificates(Certificates),
    /// The key comes from Plaid's API.
    Plaid(PlaidKeys),
}

impl Origin {
    /// Returns the name by which a request calls its key. Fails if a key of the provider cannot have that name; it is then never
    /// fetched.
    pub(super) fn name_of(&self, request: UnverifiedRequest<'_>) -> Result<String, Rejection> {
        match self {
            Self::Certificates(certificates) => certificates.name_of(request.parts),
            Self::Plaid(_) => plaid_key_id(request.parts),
        }
    }

    /// Fetches the key of that name.
    pub(super) async fn fetch(
        &self,
        outbound: &Outbound,
        name: &str,
        at: Time,
    ) -> Result<FetchedKey, FetchError> {
        match self {
            Self::Certificates(certificates) => certificates.fetch(outbound, name, at).await,
            Self::Plaid(keys) => keys.fetch(outbound, name).await,
        }
    }

    /// Returns whether a key that was good when it was fetched is good at time `at`.
    pub(super) fn vouches(&self, name: &str, key: &FetchedKey, at: Time) -> bool {
        let is_chained = match self {
            Self::Certificates(certificates) => certificates.check(name, &key.chain, at).is_ok(),
            Self::Plaid(_) => true,
        };
        is_chained && key.expired_at.is_none_or(|expired_at| at < expired_at)
    }

    /// Returns how keys of this origin age. What a certificate says never changes.
    pub(super) const fn ageing(&self) -> Option<Ageing> {
        match self {
            Self::Certificates(_) => None,
            Self::Plaid(_) => Some(plaid::AGEING),
        }
    }
}
