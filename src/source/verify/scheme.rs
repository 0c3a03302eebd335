//! How a provider's deliveries are verified: by a recipe, which is data, or by an adapter, which is code.

use super::{
    adapter::Adapter,
    signature::{Piece, Recipe},
};

/// How deliveries are verified.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scheme {
    /// By data.
    Recipe(Box<Recipe>),
    /// By code.
    Adapter(Adapter),
}

impl Scheme {
    /// Whether a request's body is the sender's.
    pub(crate) fn proves_body(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.proves_body(),
            // What adapters can't prove, they leave out.
            Self::Adapter(_) => true,
        }
    }

    /// Whether a request's query is the sender's.
    pub(crate) fn proves_query(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.proves_query(),
            Self::Adapter(_) => false,
        }
    }

    /// Whether the provider signs a time.
    pub(crate) fn signs_time(&self) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.time.is_some(),
            Self::Adapter(adapter) => adapter.max_age_s().is_some(),
        }
    }

    /// Whether a piece is signed.
    pub(crate) fn signs(&self, piece: &Piece) -> bool {
        match self {
            Self::Recipe(recipe) => recipe.signs(piece),
            Self::Adapter(_) => false,
        }
    }
}
