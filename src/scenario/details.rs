//! The details that a payload reports besides what happened.

use crate::payment::{Currency, Time};
use sha2::{Digest, Sha256};

/// The payment and the event that a payload is about.
pub(super) struct Details<'a> {
    pub(super) payment: &'a str,
    /// The payment's amount, in the currency's minor unit.
    pub(super) amount: i64,
    pub(super) currency: Currency,
    /// When the event happened.
    pub(super) at: Time,
    pub(super) event_id: &'a str,
}

impl Details<'_> {
    /// The id of an object that belongs to the payment, such as `re_5f0c…`. It is a hash of the payment's id, so that every event
    /// of the payment names the same object.
    pub(super) fn related(&self, prefix: &str) -> String {
        let hash = hex::encode(Sha256::digest(self.payment));
        format!("{prefix}_{}", hash.get(..24).unwrap_or(&hash))
    }
}
