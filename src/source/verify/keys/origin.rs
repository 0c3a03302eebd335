//! Where a source's keys come from.

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

/// Where keys come from.
#[derive(PartialEq)]
pub(crate) enum Origin {
    /// A certificate, at an address that the request names.
    Certificates(Certificates),
    /// Plaid's API.
    Plaid(PlaidKeys),
}

impl Origin {
    /// What the request calls its key, if a key of the provider's may be called that. Nothing is fetched for another name.
    pub(super) fn name_of(&self, request: UnverifiedRequest<'_>) -> Result<String, Rejection> {
        match self {
            Self::Certificates(certificates) => certificates.name_of(request.around),
            Self::Plaid(_) => plaid_key_id(request.around),
        }
    }

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

    /// Whether a key that was good once still is.
    pub(super) fn vouches(&self, name: &str, key: &FetchedKey, at: Time) -> bool {
        let is_chained = match self {
            Self::Certificates(certificates) => certificates.check(name, &key.chain, at).is_ok(),
            Self::Plaid(_) => true,
        };
        is_chained && key.expired_at.is_none_or(|expired_at| at < expired_at)
    }

    /// How its keys age. What a certificate says never changes.
    pub(super) const fn ageing(&self) -> Option<Ageing> {
        match self {
            Self::Certificates(_) => None,
            Self::Plaid(_) => Some(plaid::AGEING),
        }
    }
}
