//! Signatures: do these bytes come from the provider, and are they recent?
//!
//! The check works on the raw bytes, before anything is parsed. It tries every line of the signature header, every signature in a
//! line and every secret of the source. Decoded bytes are compared in constant time. The time that is signed is the header's text,
//! never a number that we parsed and wrote again. Computed signatures never leave this room, but for deliveries that are signed on
//! purpose, to try a source out.

mod delivery;
mod header;
mod key;
mod message;
mod private;
mod recipe;
mod signing;
mod verifier;

pub use delivery::{CannotSign, SignedDelivery, Signer, UnsignedDelivery};
pub(crate) use key::Mac;
pub use key::SecretError;
pub use private::{NoPrivateKey, PrivateKey};
pub(crate) use recipe::{
    Algorithm, Carrier, CertificateRule, Encoding, Gap, Item, ItemToken, KeyForm, Method, Part, Piece,
    Published, Recipe, TimeFrom, TimeRule,
};
pub(crate) use verifier::RecipeVerifier;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod tests;
