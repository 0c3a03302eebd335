//! Stripe's snapshot events, each object reduced to the fields that its documentation shows
//! (<https://docs.stripe.com/api/events/object>).

use super::{details::Details, life::Moment};
use serde_json::{Value, json};

/// The event type for a moment.
pub(super) const fn event_type(moment: Moment) -> &'static str {
    match moment {
        Moment::Created => "payment_intent.created",
        Moment::RequiresAction => "payment_intent.requires_action",
        Moment::Processing => "payment_intent.processing",
        Moment::Failed => "payment_intent.payment_failed",
        Moment::Authorized => "payment_intent.amount_capturable_updated",
        Moment::Captured => "payment_intent.succeeded",
        Moment::Canceled => "payment_intent.canceled",
        Moment::RefundPending(_) => "refund.created",
        Moment::RefundDone(_) => "refund.updated",
        Moment::RefundTotal(_) => "charge.refunded",
        Moment::DisputeOpened => "charge.dispute.created",
        Moment::DisputeReviewed => "charge.dispute.updated",
        Moment::DisputeLost => "charge.dispute.closed",
    }
}

/// The whole event for a moment: the envelope and the object in it.
pub(super) fn body(moment: Moment, details: &Details<'_>) -> Value {
    let object = match moment {
        Moment::Created => intent(details, "requires_payment_method"),
        Moment::RequiresAction => intent(details, "requires_action"),
        Moment::Processing => intent(details, "processing"),
        Moment::Failed => declined(details),
        Moment::Authorized => {
            with(intent(details, "requires_capture"), "amount_capturable", details.amount.into())
        }
        Moment::Captured => with(intent(details, "succeeded"), "amount_received", details.amount.into()),
        Moment::Canceled => with(intent(details, "canceled"), "cancellation_reason", "abandoned".into()),
        Moment::RefundPending(part) => refund(details, part.of(details.amount), "pending"),
        Moment::RefundDone(part) => refund(details, part.of(details.amount), "succeeded"),
        Moment::RefundTotal(part) => charge(details, part.of(details.amount)),
        Moment::DisputeOpened => dispute(details, "needs_response"),
        Moment::DisputeReviewed => dispute(details, "under_review"),
        Moment::DisputeLost => dispute(details, "lost"),
    };
    json!({
        "id": details.event_id,
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": created(details),
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": event_type(moment),
    })
}

/// The time of the event in Unix seconds.
const fn created(details: &Details<'_>) -> i64 {
    details.at.unix_ms().div_euclid(1000)
}

fn currency(details: &Details<'_>) -> String {
    details.currency.code().to_ascii_lowercase()
}

fn intent(details: &Details<'_>, status: &str) -> Value {
    json!({
        "id": details.payment,
        "object": "payment_intent",
        "amount": details.amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic",
        "created": created(details),
        "currency": currency(details),
        "latest_charge": details.related("ch"),
        "last_payment_error": null,
        "livemode": false,
        "metadata": {},
        "payment_method_types": ["card"],
        "status": status,
    })
}

fn declined(details: &Details<'_>) -> Value {
    let error = json!({
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "message": "Your card has insufficient funds.",
        "type": "card_error",
    });
    with(intent(details, "requires_payment_method"), "last_payment_error", error)
}

fn charge(details: &Details<'_>, refunded: i64) -> Value {
    json!({
        "id": details.related("ch"),
        "object": "charge",
        "amount": details.amount,
        "amount_captured": details.amount,
        "amount_refunded": refunded,
        "captured": true,
        "created": created(details),
        "currency": currency(details),
        "livemode": false,
        "metadata": {},
        "paid": true,
        "payment_intent": details.payment,
        "refunded": refunded == details.amount,
        "status": "succeeded",
    })
}

fn refund(details: &Details<'_>, amount: i64, status: &str) -> Value {
    json!({
        "id": details.related("re"),
        "object": "refund",
        "amount": amount,
        "charge": details.related("ch"),
        "created": created(details),
        "currency": currency(details),
        "metadata": {},
        "payment_intent": details.payment,
        "reason": "requested_by_customer",
        "status": status,
    })
}

fn dispute(details: &Details<'_>, status: &str) -> Value {
    json!({
        "id": details.related("du"),
        "object": "dispute",
        "amount": details.amount,
        "charge": details.related("ch"),
        "created": created(details),
        "currency": currency(details),
        "livemode": false,
        "metadata": {},
        "payment_intent": details.payment,
        "reason": "fraudulent",
        "status": status,
    })
}

/// The object with one member set.
fn with(mut object: Value, key: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
    object
}
