//! The payloads of the generic presets: four event types, with amounts in major units.

use super::{amount::in_major_units, details::Details, life::Moment};
use serde_json::{Value, json};

/// The event type for a moment, if there is one.
pub(super) const fn event_type(moment: Moment) -> Option<&'static str> {
    match moment {
        Moment::Created | Moment::Processing => Some("payment.pending"),
        Moment::Failed => Some("payment.failed"),
        Moment::Captured => Some("payment.confirmed"),
        Moment::Canceled => Some("payment.expired"),
        _ => None,
    }
}

/// The payload for a moment, if there is an event type for it.
pub(super) fn body(moment: Moment, details: &Details<'_>) -> Option<Value> {
    let event = event_type(moment)?;
    Some(json!({
        "id": details.event_id,
        "event": event,
        "timestamp": details.at,
        "payment": {
            "id": details.payment,
            "status": event.strip_prefix("payment."),
            "amount": in_major_units(details.amount, details.currency.exponent()),
            "currency": details.currency,
        },
    }))
}
