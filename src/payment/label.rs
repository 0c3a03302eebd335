//! Labels: other ids by which readers may ask for a payment.
//!
//! A label has a log of its own, whose events bind it to payments; no event is moved or copied.

use super::Name;
use serde::{Deserialize, Serialize};

/// The labels that one event may name.
pub const MAX_LABELS: usize = 8;

/// Another id of a payment, as an event names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Label {
    /// The id.
    pub id: Name,
    /// Who made the id.
    pub maker: Maker,
}

/// Who made a label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// The provider. The label counts within that provider.
    Provider,
    /// The shop, which vouches that none of its customers can choose it. It counts within the realm.
    Shop,
}

/// What an event says that binds a label or a part: that it points at a payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Binding {
    /// The payment, in the realm of the label or part.
    pub payment: Name,
    /// Who made the id. The provider makes all ids of parts.
    pub maker: Maker,
}
