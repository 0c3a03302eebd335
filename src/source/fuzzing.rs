//! Properties that hold for any delivery, whatever its bytes. See [`crate::fuzzing`].

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a property that does not hold ends the run, as in a test"
)]

mod delivery;
mod text;
mod xml;

pub use super::verify::{
    adapter_fuzzing::{adapter, canonical},
    signature_fuzzing::header,
};
pub use delivery::{mapping, recipe};
pub use text::{depth, form, time};
#[cfg(test)]
pub(crate) use xml::write as write_xml;
pub use xml::xml;
