//! A key that was fetched, or why there is none.

use crate::{outbound::OutboundError, payment::Time, source::verify::rejection::Rejection};
use aws_lc_rs::signature::ParsedPublicKey;
use rustls_pki_types::CertificateDer;

/// A key that was fetched.
pub(crate) struct FetchedKey {
    /// What signatures are verified with.
    pub(crate) public: ParsedPublicKey,
    /// The certificates that vouch for it, its own first; none where the provider handed out the bare key.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// When the provider took it out of use.
    pub(super) expired_at: Option<Time>,
}

/// Why there is no key to verify with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoKey {
    /// It is not the provider's, or not any more.
    Refused(Rejection),
    /// It could not be fetched, or not in time.
    Unavailable,
    /// Too many keys were asked for that are not known.
    TooMany,
}

/// Why a fetch brought no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The provider says so.
    #[error("the provider knows no such key")]
    Unknown,
    /// It is there, and not to be trusted.
    #[error("the key can't be trusted: {0}")]
    Untrusted(String),
    /// The provider answered with something else.
    #[error("the answer has status {0}{1}")]
    Status(u16, String),
    /// It did not answer.
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
