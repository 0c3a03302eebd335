//! Why a request is not let in.

/// Why a request is not let in. Each has a code for programs and a sentence for people; neither repeats the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// None of the three carriers has one.
    #[error(
        "no token: send one as `Authorization: Bearer`, cookie `paystream_token` or query `access_token`"
    )]
    MissingToken,
    /// Not three parts of base64url with JSON in the first two, or larger than any token can be.
    #[error("the token is no JWT")]
    MalformedToken,
    /// No `kid`, and more than one key could have signed.
    #[error("the token names no key (`kid`), and more than one key could be meant")]
    MissingKid,
    /// No key of that name, or none with that algorithm where the token names none.
    #[error("the token's key (`kid`) is not known")]
    UnknownKey,
    /// The key is configured for another algorithm. `none` ends here too.
    #[error("the token's algorithm (`alg`) is not the one its key is configured for")]
    WrongAlgorithm,
    /// Forged, damaged, or signed by another key of the same name.
    #[error("the token's signature does not fit")]
    BadSignature,
    /// A claim is missing or has the wrong shape.
    #[error("the token lacks the claim `{0}`, or it has the wrong shape")]
    BadClaim(&'static str),
    /// `exp`, with the leeway, has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat`, with the leeway, is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp` is more than a day after `iat`.
    #[error("the token's lifetime (`exp` less `iat`) is over 24 hours")]
    LifetimeTooLong,
    /// `aud` does not name this gateway.
    #[error("the token is for another audience (`aud`)")]
    WrongAudience,
    /// The key may not sign for that realm.
    #[error("the token's key may not sign for its realm")]
    RealmNotAllowed,
    /// `payments` is `["*"]`, and the key is no operator's.
    #[error("the token's key may not sign for all payments")]
    OperatorNotAllowed,
}

impl Denied {
    /// The reason code of the answer, the log and the metric.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MalformedToken => "malformed_token",
            Self::MissingKid => "missing_kid",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::BadClaim(_) => "bad_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::WrongAudience => "wrong_audience",
            Self::RealmNotAllowed => "realm_not_allowed",
            Self::OperatorNotAllowed => "operator_not_allowed",
        }
    }
}
