//! Why a delivery is not taken for the provider's: a closed set, each with its reason code and what the sender is told.

/// Why a delivery was not taken for the provider's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rejection {
    /// A coded body: what was signed can't be seen.
    ContentEncoding,
    /// No signature header.
    MissingSignature,
    /// A signature header without a readable signature of a known scheme.
    MalformedSignature,
    /// None of the signatures is by one of the secrets.
    BadSignature,
    /// The key that it names is not the provider's, or out of use; or it has not been fetched yet.
    UntrustedKey,
    /// The address of its key is none where the provider publishes keys.
    KeyAddress,
    /// A header that is signed with the body is not there, or there more than once.
    MissingHeader,
    /// The same for a key of the query.
    MissingQuery,
    /// No time where the recipe has one.
    MissingTimestamp,
    /// The time is not in the form that the recipe has.
    MalformedTimestamp,
    /// Too old.
    StaleTimestamp,
    /// Ahead of our clock.
    FutureTimestamp,
}

impl Rejection {
    /// The reason code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::ContentEncoding => "content_encoding",
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::BadSignature => "bad_signature",
            Self::UntrustedKey => "untrusted_key",
            Self::KeyAddress => "key_address",
            Self::MissingHeader => "missing_header",
            Self::MissingQuery => "missing_query",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::StaleTimestamp => "stale_timestamp",
            Self::FutureTimestamp => "future_timestamp",
        }
    }

    /// What to tell the sender, in words.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::ContentEncoding => "Send the body as it was signed, without a Content-Encoding.",
            Self::MissingSignature => "The signature header is missing.",
            Self::MalformedSignature => "The signature header holds no readable signature of a known scheme.",
            Self::BadSignature => "The signature does not match the body and the source's secrets.",
            Self::UntrustedKey => {
                "The key that the signature names is unknown, out of use or not the provider's."
            }
            Self::KeyAddress => "The key's address is none where the provider publishes keys.",
            Self::MissingHeader => "A header that the signature covers is missing, repeated or not readable.",
            Self::MissingQuery => "A key of the query that the signature covers is missing or repeated.",
            Self::MissingTimestamp => "The timestamp is missing.",
            Self::MalformedTimestamp => "The timestamp is not in the expected form.",
            Self::StaleTimestamp => "The timestamp is too old.",
            Self::FutureTimestamp => "The timestamp lies in the future.",
        }
    }

    /// Whether someone without a secret could have sent it; such deliveries are limited per second.
    pub(crate) const fn is_unproven(self) -> bool {
        !matches!(self, Self::StaleTimestamp | Self::FutureTimestamp)
    }
}
