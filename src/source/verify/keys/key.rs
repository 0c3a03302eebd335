//! A fetched key, and why there may be none.

use crate::{outbound::OutboundError, payment::Time, source::verify::rejection::Rejection};
use aws_lc_rs::signature::ParsedPublicKey;
use rustls_pki_types::CertificateDer;

/// A key that was fetched.
pub(crate) struct FetchedKey {
    /// The public key that verifies signatures.
    pub(crate) public: ParsedPublicKey,
    /// The certificates that vouch for the key, its own first, or none if the provider handed out the bare key.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// When the provider took the key out of use.
    pub(super) expired_at: Option<Time>,
}

/// Why there is no key to verify with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoKey {
    /// The key is not the provider's, or not any more.
    Refused(Rejection),
    /// The key could not be fetched, or not in time.
    Unavailable,
    /// Too many unknown keys were asked for, or too many deliveries wait for one.
    TooMany,
}

/// Why a fetch brought no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The provider says that it has no such key.
    #[error("the provider knows no such key")]
    Unknown,
    /// The provider returned a key that cannot be trusted.
    #[error("the key can't be trusted: {0}")]
    Untrusted(String),
    /// The provider answered with another status than expected; the text adds details.
    #[error("the answer has status {0}{1}")]
    Status(u16, String),
    /// The provider did not answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

impl From<&FetchError> for NoKey {
    fn from(error: &FetchError) -> Self {
        match error {
            FetchError::Unknown | FetchError::Untrusted(_) => Self::Refused(Rejection::UntrustedKey),
            FetchError::Status(..) | FetchError::Outbound(_) => Self::Unavailable,
        }
    }
}
