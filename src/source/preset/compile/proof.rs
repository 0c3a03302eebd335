//! The proof of a mapping: what vouches for the texts that it reads.

use crate::source::verify::{Piece, Scheme};

/// What vouches for the texts at the places of a mapping.
#[derive(Clone, Copy)]
pub(in crate::source::preset) enum Proof<'a> {
    /// The signature of a delivery vouches for what it covers.
    Signature(&'a Scheme),
    /// Our own connection to the provider vouches for the body of its answer, and for nothing else.
    Connection,
}

impl Proof<'_> {
    /// Returns whether the body is proven.
    pub(super) fn proves_body(self) -> bool {
        match self {
            Self::Signature(scheme) => scheme.proves_body(),
            Self::Connection => true,
        }
    }

    /// Returns whether the whole query is proven.
    pub(super) fn proves_query(self) -> bool {
        match self {
            Self::Signature(scheme) => scheme.proves_query(),
            Self::Connection => false,
        }
    }

    /// Returns whether a piece of the request is signed.
    pub(super) fn signs(self, piece: &Piece) -> bool {
        match self {
            Self::Signature(scheme) => scheme.signs(piece),
            Self::Connection => false,
        }
    }
}
