//! A register: one value of the state, kept at its maximum by a total order over what events say.

use crate::payment::{Event, Time};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One value and the stamp of the fact that set it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Register<T> {
    pub(super) stamp: Stamp,
    pub(super) value: T,
}

/// The order of registers, field by field from the top. `source` comes last: within a payment, two sources may use the same
/// event id for different events.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// When the event occurred, in milliseconds since the epoch; an absent time sorts first.
    pub(super) occurred_at: Option<i64>,
    /// The place of the fact's value in the order of its enum, so that `captured` wins over `created` of the same moment.
    rank: u8,
    event: Arc<str>,
    /// The place of the fact in its event.
    index: u8,
    source: Arc<str>,
}

impl Stamp {
    /// The stamp of the event's fact at `index`, whose value has this rank.
    pub(super) fn new(event: &Event, index: u8, rank: u8) -> Self {
        Self {
            occurred_at: event.occurred_at.map(Time::unix_ms),
            rank,
            event: Arc::clone(&event.id),
            index,
            source: Arc::clone(&event.source),
        }
    }
}

impl<T> Register<T> {
    /// Stores the value if `place` is empty or holds an older one. Returns whether the register changed.
    pub(super) fn join(place: &mut Option<Self>, stamp: Stamp, value: T) -> bool {
        match place {
            Some(known) => known.replace_older(stamp, value),
            None => {
                *place = Some(Self { stamp, value });
                true
            }
        }
    }

    /// Stores the value if the register's stamp is older. Returns whether the register changed.
    pub(super) fn replace_older(&mut self, stamp: Stamp, value: T) -> bool {
        let is_newer = self.stamp < stamp;
        if is_newer {
            *self = Self { stamp, value };
        }
        is_newer
    }
}
