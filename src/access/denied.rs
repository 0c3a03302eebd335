//! The reasons to refuse a request.

use crate::metrics::RefusalReason;

/// Why a request is refused. Each reason has a code for programs and a sentence for people. Neither contains the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// The request carries no token, neither in a header nor in a cookie nor in the query.
    #[error(
        "no token: send one as `Authorization: Bearer`, cookie `paystream_token` or query `access_token`"
    )]
    MissingToken,
    /// The token does not have three parts of base64url with JSON in the first two, or it is too long.
    #[error("the token is not a JWT")]
    MalformedToken,
    /// The token has no `kid`, and several keys have its algorithm.
    #[error("the token names no key (`kid`), and several keys have its algorithm")]
    MissingKid,
    /// No key has the token's `kid`; or the token has none, and no key has its algorithm.
    #[error("the token's key (`kid`) is not known")]
    UnknownKey,
    /// The key is configured for another algorithm than the token's, which may also be `none`.
    #[error("the token's algorithm (`alg`) is not the one its key is configured for")]
    WrongAlgorithm,
    /// The token was forged, damaged, or signed with another key of the same name.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// A claim is missing or has the wrong shape.
    #[error("the token lacks the claim `{0}`, or it has the wrong shape")]
    BadClaim(&'static str),
    /// The time of `exp` plus the leeway has passed.
    #[error("the token has expired")]
    Expired,
    /// The time of `nbf` or `iat` is in the future by more than the leeway.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp` is more than a day after `iat`.
    #[error("the token's lifetime (`exp` minus `iat`) is over 24 hours")]
    LifetimeTooLong,
    /// `exp` is before `iat` or `nbf`, so the token was never valid.
    #[error("the token ends (`exp`) before it begins (`iat` or `nbf`)")]
    NeverValid,
    /// `aud` does not name this gateway.
    #[error("the token is for another audience (`aud`)")]
    WrongAudience,
    /// The key may not sign for the token's realm.
    #[error("the token's key may not sign for its realm")]
    RealmNotAllowed,
    /// `payments` is `["*"]`, and the key may not sign for operators.
    #[error("the token's key may not sign for all payments")]
    OperatorNotAllowed,
}

impl Denied {
    /// The reason code in answers, which is also the word in the metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.counted().into()
    }

    /// The reason by which metrics count the refusal.
    #[must_use]
    pub const fn counted(self) -> RefusalReason {
        match self {
            Self::MissingToken => RefusalReason::MissingToken,
            Self::MalformedToken => RefusalReason::MalformedToken,
            Self::MissingKid => RefusalReason::MissingKid,
            Self::UnknownKey => RefusalReason::UnknownKey,
            Self::WrongAlgorithm => RefusalReason::WrongAlgorithm,
            Self::BadSignature => RefusalReason::BadSignature,
            Self::BadClaim(_) => RefusalReason::BadClaim,
            Self::Expired => RefusalReason::Expired,
            Self::NotYetValid => RefusalReason::NotYetValid,
            Self::LifetimeTooLong => RefusalReason::LifetimeTooLong,
            Self::NeverValid => RefusalReason::NeverValid,
            Self::WrongAudience => RefusalReason::WrongAudience,
            Self::RealmNotAllowed => RefusalReason::RealmNotAllowed,
            Self::OperatorNotAllowed => RefusalReason::OperatorNotAllowed,
        }
    }
}
