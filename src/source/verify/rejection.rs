//! The reasons to reject a delivery: a closed set, each with its reason code and a sentence for the sender.

/// Why a delivery is rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rejection {
    /// The body has a content encoding, so that the signed bytes are not visible.
    ContentEncoding,
    /// There is no signature.
    MissingSignature,
    /// No signature is readable and of a known scheme.
    MalformedSignature,
    /// None of the signatures was made with one of the secrets.
    BadSignature,
    /// The key that the delivery names is not the provider's, is out of use, or has not been fetched yet.
    UntrustedKey,
    /// The address of the key is not one where the provider publishes keys.
    KeyAddress,
    /// A header that the signature covers is missing, or occurs more than once.
    MissingHeader,
    /// A query parameter that the signature covers is missing, or occurs more than once.
    MissingQuery,
    /// The time that the recipe requires is missing.
    MissingTimestamp,
    /// The time is not in the form that the recipe requires.
    MalformedTimestamp,
    /// The signed time is too far in the past.
    StaleTimestamp,
    /// The signed time is too far ahead of our clock.
    FutureTimestamp,
}

impl Rejection {
    /// Returns the reason code.
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

    /// Returns the sentence for the sender.
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

    /// Returns whether someone without a secret could have sent the delivery. Such deliveries have a rate limit.
    pub(crate) const fn is_unproven(self) -> bool {
        !matches!(self, Self::StaleTimestamp | Self::FutureTimestamp)
    }
}
