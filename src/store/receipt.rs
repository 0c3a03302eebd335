//! The receipt of a payment: what each of its streams and each node noted, as lines of words by whose they are.
//!
//! What a line says is told in [`crate::receipts`]. The stores keep texts and add to them; they do not read them.

use super::expiry::DELIVERIES_KEPT;
use std::{collections::BTreeMap, time::Duration};

/// How long a receipt is kept after something was added to it: as long as the record of a delivery.
pub const RECEIPT_KEPT: Duration = DELIVERIES_KEPT;

/// What is kept of one payment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    /// The lines, by the names of those whose they are ([`ReceiptKeeper::field`](crate::receipts::ReceiptKeeper::field)).
    pub lines: BTreeMap<String, String>,
    /// How many moments were left out for lack of room.
    pub left_out: u64,
}
