//! The payment model: what an event says, what a log of events means.
//!
//! Everything here is pure: no clock, no I/O, no task. The other rooms build on these words; this one knows none of them.
//!
//! | file | noun |
//! |---|---|
//! | `subject` | what a log is about: realm, kind, id, and the partition they fall in |
//! | `event`   | one verified statement about one payment, and the facts it holds |
//! | `money`   | minor units, currencies and their exponents, exact decimals |
//! | `time`    | UTC in milliseconds |
//! | `cursor`  | a place in a log, and the tag that proves it is still the same log |
//! | `state`   | the fold: registers that keep their maximum, so that order of arrival cannot matter |
//! | `status`  | the one word for a page |

mod cursor;
mod event;
mod money;
mod state;
mod status;
mod subject;
mod time;

pub use cursor::{Cursor, Tag};
pub use event::{
    Digest, DisputeState, Event, Fact, MAX_FACTS, PartState, Phase, Told, TotalOf, Trust, digest_identity,
};
pub use money::{Currency, Money, MoneyError, parse_decimal, parse_minor};
pub use state::{Change, FOLD_VERSION, State};
pub use status::Status;
pub use subject::{ALL_PAYMENTS, Kind, MAX_ID_BYTES, Name, NameError, PARTITIONS, Subject};
pub use time::Time;
