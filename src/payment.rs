//! The payment model: what an event says, and what a log of events means.
//!
//! Everything here is pure: it uses no clock, no I/O and no tasks. The other rooms build on this model; it uses none of them.
//!
//! | file | noun |
//! |---|---|
//! | `subject` | what a log is about: realm, kind and id, and the partition that they fall in |
//! | `partitions` | some of the partitions |
//! | `event`   | one verified statement about one payment, and the facts it holds |
//! | `label`   | other ids of a payment |
//! | `bindings` | the payments that such an id points at, and which of them its readers get |
//! | `failure` | why a payment failed and what the customer has to do next, in words that a customer may read |
//! | `money`   | minor units, currencies and their exponents, exact decimals |
//! | `time`    | UTC in milliseconds |
//! | `cursor`  | a place in a log, and the tag that proves that it is still the same log |
//! | `state`   | the fold: registers that keep their maximum, so that the order of arrival cannot matter |
//! | `status`  | the payment's status in one word |
//! | `view`    | the public view of a payment's state: the JSON that browsers and operators read |

mod bindings;
mod cursor;
mod event;
mod failure;
mod label;
mod money;
mod partitions;
mod state;
mod status;
mod subject;
mod time;
mod view;

pub use bindings::{Addition, Bindings, MAX_BOUND};
pub use cursor::{Cursor, PackedCursor, Tag};
pub use event::{
    Digest, DisputeState, Event, Fact, MAX_FACTS, PartState, Phase, Reported, TotalOf, Trust, digest_identity,
};
pub use failure::{ActionKind, FailureReason, WordObject};
pub use label::{Binding, Label, MAX_LABELS, Maker};
pub use money::{Currency, Money, MoneyError, parse_decimal, parse_minor};
pub use partitions::PartitionSet;
pub use state::{Change, FOLD_VERSION, Packed, State};
pub use status::Status;
pub use subject::{
    ALL_PAYMENTS, EVENTS, Kind, LABEL_REALM, MAX_ID_BYTES, Name, NameError, PARTITIONS, Subject,
};
pub use time::Time;
pub use view::View;
