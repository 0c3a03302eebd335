//! The index: for each realm the payments that changed most recently, each with the time of its last append and the number of its last
//! entry.
//!
//! An append writes its place in the index in its own step, so the index is as true as the log. It says which payments there are and which
//! of them changed, and nothing of what their events mean: that is read from their logs, and whoever reads it may keep it as long
//! as the index shows no greater number. The index is kept by partition, and its times are those of the store's clock, which never goes
//! back within a partition.

use crate::payment::{Name, PARTITIONS, Time};

/// Payments of each realm that the index holds if the configuration does not say otherwise.
pub const RECENT: usize = 100_000;

/// One payment of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The payment's id.
    pub payment: Name,
    /// When the payment came into the index: with its first event, or if it is older than the index or had left it, with its next one.
    pub first_seen: Time,
    /// When its last event was appended.
    pub changed: Time,
    /// The number of its last entry.
    pub seq: u64,
}

/// What the index holds of one realm in one partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IndexPart {
    /// The payments that changed at or after the time that was asked for, in the order of their changes.
    pub listed: Vec<Listed>,
    /// How many payments the part holds in all. A reader that knows another number has missed that some were removed.
    pub count: u64,
    /// The store's time. Whatever is not in the part yet gets this time or a later one, unless the clock of the store is set back.
    pub now: Time,
    /// All payments that changed since this time are here; `None` if no payment was ever left out.
    pub complete_since: Option<Time>,
    /// When a payment was last removed for another reason than for want of room.
    pub erased: Option<Time>,
}

/// The payments of a realm that one partition may hold, if the whole realm may hold `recent`.
pub(super) const fn share_of(recent: usize) -> usize {
    recent.div_ceil(PARTITIONS)
}
