//! The scheme by which a provider's deliveries are verified: a recipe, which is data, or an adapter, which is code.

use super::{
    adapter::Adapter,
    signature::{Piece, Recipe},
};

/// How a provider's deliveries are verified.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scheme {
    /// A recipe, which is data, says how.
    Recipe(Box<Recipe>),
    /// An adapter, which is code, does it.
    Adapter(Adapter),
}

impl Scheme {
    /// Returns whether a verified request proves its body.
    pub(crate) fn proves_body(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.proves_body(),
            // Adapters leave out what they cannot prove.
            Self::Adapter(_) => true,
        }
    }

    /// Returns whether a verified request proves its query.
    pub(crate) fn proves_query(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.proves_query(),
            Self::Adapter(_) => false,
        }
    }

    /// Returns whether the provider signs a time.
    pub(crate) fn signs_time(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.time.is_some(),
            Self::Adapter(adapter) => adapter.max_age_s().is_some(),
        }
    }

    /// Returns whether the signature covers a piece.
    pub(crate) fn signs(&self, piece: &Piece) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.signs(piece),
            Self::Adapter(_) => false,
        }
    }
}
