//! Stripe's snapshot events, cut down to what its documentation shows of each object
//! (<https://docs.stripe.com/api/events/object>).

use super::{Moment, Subject};
use serde_json::{Value, json};

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

pub(super) fn body(moment: Moment, subject: &Subject<'_>) -> Value {
    let object = match moment {
        Moment::Created => intent(subject, "requires_payment_method"),
        Moment::RequiresAction => intent(subject, "requires_action"),
        Moment::Processing => intent(subject, "processing"),
        Moment::Failed => declined(subject),
        Moment::Authorized => {
            with(intent(subject, "requires_capture"), "amount_capturable", subject.amount.into())
        }
        Moment::Captured => with(intent(subject, "succeeded"), "amount_received", subject.amount.into()),
        Moment::Canceled => with(intent(subject, "canceled"), "cancellation_reason", "abandoned".into()),
        Moment::RefundPending(part) => refund(subject, part.of(subject.amount), "pending"),
        Moment::RefundDone(part) => refund(subject, part.of(subject.amount), "succeeded"),
        Moment::RefundTotal(part) => charge(subject, part.of(subject.amount)),
        Moment::DisputeOpened => dispute(subject, "needs_response"),
        Moment::DisputeReviewed => dispute(subject, "under_review"),
        Moment::DisputeLost => dispute(subject, "lost"),
    };
    json!({
        "id": subject.event_id,
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": created(subject),
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": event_type(moment),
    })
}

const fn created(subject: &Subject<'_>) -> i64 {
    subject.at.unix_ms().div_euclid(1000)
}

fn currency(subject: &Subject<'_>) -> String {
    subject.currency.code().to_ascii_lowercase()
}

fn intent(subject: &Subject<'_>, status: &str) -> Value {
    json!({
        "id": subject.payment,
        "object": "payment_intent",
        "amount": subject.amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic",
        "created": created(subject),
        "currency": currency(subject),
        "latest_charge": subject.related("ch"),
        "last_payment_error": null,
        "livemode": false,
        "metadata": {},
        "payment_method_types": ["card"],
        "status": status,
    })
}

fn declined(subject: &Subject<'_>) -> Value {
    let error = json!({
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "message": "Your card has insufficient funds.",
        "type": "card_error",
    });
    with(intent(subject, "requires_payment_method"), "last_payment_error", error)
}

fn charge(subject: &Subject<'_>, refunded: i64) -> Value {
    json!({
        "id": subject.related("ch"),
        "object": "charge",
        "amount": subject.amount,
        "amount_captured": subject.amount,
        "amount_refunded": refunded,
        "captured": true,
        "created": created(subject),
        "currency": currency(subject),
        "livemode": false,
        "metadata": {},
        "paid": true,
        "payment_intent": subject.payment,
        "refunded": refunded == subject.amount,
        "status": "succeeded",
    })
}

fn refund(subject: &Subject<'_>, amount: i64, status: &str) -> Value {
    json!({
        "id": subject.related("re"),
        "object": "refund",
        "amount": amount,
        "charge": subject.related("ch"),
        "created": created(subject),
        "currency": currency(subject),
        "metadata": {},
        "payment_intent": subject.payment,
        "reason": "requested_by_customer",
        "status": status,
    })
}

fn dispute(subject: &Subject<'_>, status: &str) -> Value {
    json!({
        "id": subject.related("du"),
        "object": "dispute",
        "amount": subject.amount,
        "charge": subject.related("ch"),
        "created": created(subject),
        "currency": currency(subject),
        "livemode": false,
        "metadata": {},
        "payment_intent": subject.payment,
        "reason": "fraudulent",
        "status": status,
    })
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
    object
}
