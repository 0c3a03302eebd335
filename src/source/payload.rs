//! Payloads: the way from bytes to values, and the places in a delivery where values are found.
//!
//! A body is verified before it comes here, unless an adapter has to parse it in order to verify it. Only what a mapping reads is
//! kept ([`Sieve`]). Everything here is pure, and bounded in depth and in the number of events. This room does not know what a
//! value means.

mod depth;
mod form;
mod moment;
mod place;
mod pointer;
mod reader;
mod sieve;
mod unclear;
mod xml;

pub(crate) use depth::is_within;
pub(crate) use form::form;
pub(crate) use moment::{MAX_FUTURE, TimeForm, is_ahead};
pub(crate) use place::{OptionValues, Place, RequestParts};
pub(crate) use pointer::Pointer;
pub use pointer::PointerError;
pub(crate) use reader::BodyForm;
#[cfg(any(test, fuzzing))]
pub(crate) use reader::MAX_EVENTS;
pub(crate) use reader::Reader;
pub(crate) use sieve::Sieve;
pub use unclear::Unclear;
pub(crate) use unclear::unclear;
pub(crate) use xml::{XmlBounds, parse_within as parse_xml_within};
#[cfg(any(test, fuzzing))]
pub(crate) use xml::{XmlError, parse as parse_xml};
