//! What must hold for any delivery, whatever its bytes. See [`crate::fuzzing`].

mod delivery;
mod text;
mod xml;

pub use super::{
    adapter::fuzzing::{adapter, canonical},
    signature::fuzzing::header,
};
pub use delivery::{mapping, recipe};
pub use text::{depth, form, redact, time};
pub use xml::xml;
#[cfg(test)]
pub(super) use xml::write as write_xml;
