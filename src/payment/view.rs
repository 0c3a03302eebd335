//! The public view of a payment: what frames, snapshots and reconciliations say about its state.
//!
//! The names and the order of the fields are a wire format that browsers read. The view says what a state is; it knows
//! neither how events fold to it nor who reads it.

use super::{ActionKind, Currency, FailureReason, Status};
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A payment's state as its readers see it, from [`super::State::view`]. All amounts are in minor units of `currency`.
///
/// JSON: an object with `status`, `amount`, `currency`, `exponent`, `captured`, `refunded`, `conflict`, `failure` and `action`,
/// in this order.
/// Every field is always present; what no event has stated is `null`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// The payment's status.
    pub status: Status,
    /// The payment's amount; `None` until an event states one.
    pub amount: Option<i64>,
    /// The payment's currency; `None` until an event states one. In JSON it becomes two fields: `currency`, the code, and
    /// `exponent`, the number of decimal digits of the minor unit.
    pub currency: Option<Currency>,
    /// The sum that was captured.
    pub captured: i64,
    /// The sum that was refunded.
    pub refunded: i64,
    /// Whether the payment was both captured and canceled or expired.
    pub conflict: bool,
    /// Why the payment failed or has to be tried again, as long as its phase is that of the event which states it.
    pub failure: Option<FailureReason>,
    /// What the customer has to do next, as long as the payment's phase is that of the event which states it.
    pub action: Option<ActionKind>,
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let currency = self.currency.as_ref();
        let mut object = serializer.serialize_struct("View", 9)?;
        object.serialize_field("status", &self.status)?;
        object.serialize_field("amount", &self.amount)?;
        object.serialize_field("currency", &currency.map(Currency::code))?;
        object.serialize_field("exponent", &currency.map(Currency::exponent))?;
        object.serialize_field("captured", &self.captured)?;
        object.serialize_field("refunded", &self.refunded)?;
        object.serialize_field("conflict", &self.conflict)?;
        object.serialize_field("failure", &self.failure.map(FailureReason::object))?;
        object.serialize_field("action", &self.action.map(ActionKind::object))?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn every_field_is_present_and_what_is_unknown_is_null() {
        let unknown = State::default().view();
        assert_eq!(
            serde_json::to_string(&unknown).unwrap(),
            r#"{"status":"unknown","amount":null,"currency":null,"exponent":null,"captured":0,"refunded":0,"conflict":false,"failure":null,"action":null}"#
        );
        let captured = View {
            status: Status::Captured,
            amount: Some(120_000_000),
            currency: "BTC/8".parse().ok(),
            captured: 120_000_000,
            ..unknown
        };
        assert_eq!(
            serde_json::to_string(&captured).unwrap(),
            r#"{"status":"captured","amount":120000000,"currency":"BTC","exponent":8,"captured":120000000,"refunded":0,"conflict":false,"failure":null,"action":null}"#
        );
        let failed = View {
            status: Status::Failed,
            failure: Some(FailureReason::CardExpired),
            action: Some(ActionKind::Redirect),
            ..unknown
        };
        let json = serde_json::to_string(&failed).unwrap();
        let expected = r#""failure":{"reason":"card_expired"},"action":{"kind":"redirect"}}"#;
        assert!(json.ends_with(expected), "{json}");
    }
}
