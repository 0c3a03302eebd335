//! Classes of reasons: what an operator has to look at when an event is in quarantine, and the reason in words.

use super::{Record, ValueKind};
use serde::{Deserialize, Serialize};

/// What has to be mended before an event in quarantine can be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineClass {
    /// The payload is not as the preset says: mend the preset, then replay.
    Structural,
    /// The event contradicts what is known of its payment: look at both, then discard it or mend what is wrong.
    Conflict,
    /// The source is not configured for such events, or its provider could not be asked: mend that, then replay the event, or reconcile its
    /// payment.
    Configuration,
}

/// Reasons that the configuration of the source can mend.
const OF_CONFIGURATION: &[&str] =
    &["live_mismatch", "missing_currency", "unknown_at_provider", "unconfirmed"];

/// Reasons that contradict another event.
const OF_CONFLICT: &[&str] = &["facts_differ", "other_provider", "log_full", "other_payment"];

impl Record {
    /// The class of the record's reason.
    #[must_use]
    pub fn class(&self) -> QuarantineClass {
        let reason = self.reason.as_ref().map_or("", |reason| reason.as_str());
        if OF_CONFIGURATION.contains(&reason) {
            QuarantineClass::Configuration
        } else if OF_CONFLICT.contains(&reason) {
            QuarantineClass::Conflict
        } else {
            QuarantineClass::Structural
        }
    }

    /// The reason in one sentence, with the place in the payload and what stands there.
    #[must_use]
    pub fn because(&self) -> String {
        let reason = self.reason.as_ref().map_or("", |reason| reason.as_str());
        let says = match reason {
            "answer_too_long" => "the provider's answer is longer than is read",
            "bad_amount" => "the amount cannot be read",
            "bad_event_id" => "the event's id has a form that cannot be used",
            "bad_live_mode" => "the word for live or test mode is unknown",
            "bad_part_id" => "the id of the capture, refund or dispute has a form that cannot be used",
            "bad_payment_id" => "the payment's id has a form that cannot be used",
            "bad_time" => "the time cannot be read",
            "bad_token" => "the provider's answer has no token that can be used",
            "facts_differ" => "an event of this id was stored before, and it says something else",
            "future_time" => "the time lies ahead of the gateway's clock",
            "live_mismatch" => {
                "the event is of the other mode, live or test, than the source is configured for"
            }
            "log_full" => "the payment has as many events as one may have",
            "missing_amount" => "the amount is missing",
            "missing_currency" => "the amount has no currency, and the source names none",
            "missing_events" => "the list of events is missing",
            "missing_part_id" => "the id of the capture, refund or dispute is missing",
            "missing_payment" => "the payment's id is missing",
            "missing_type" => "the event's type is missing",
            "not_json" => "the body is not JSON",
            "other_payment" => "the provider answered with another payment",
            "other_provider" => "the payment belongs to another provider, and the source does not share ids",
            "pan_like_amount" => "the amount is a card number",
            "pan_like_id" => "the id is a card number",
            "too_deep" => "the body nests deeper than is read",
            "too_many_events" => "the delivery has more events than one may have",
            "too_many_waiting" => {
                "the event names only a part of a payment, and too many such events wait already"
            }
            "unknown_part" => {
                "the event names only a part of a payment, and no event has said whose part it is in time"
            }
            "unconfirmed" => "the provider gave no usable answer for too long",
            "unknown_at_provider" => "the provider does not know the payment",
            "unknown_state" => "the preset does not know the provider's word for the state",
            "" => "no reason is recorded",
            code => return self.at_place(&format!("the event is not understood ({code})")),
        };
        self.at_place(says)
    }

    fn at_place(&self, says: &str) -> String {
        let found = self.found.and_then(ValueKind::in_words);
        match (&self.place, found) {
            (Some(place), Some(found)) => format!("{says}: at {place} there is {found}"),
            (Some(place), None) if place.starts_with('/') || place.contains(':') => {
                format!("{says} (at {place})")
            }
            _ => says.to_owned(),
        }
    }
}

impl ValueKind {
    const fn in_words(self) -> Option<&'static str> {
        Some(match self {
            Self::Nothing => "nothing",
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::EmptyText => "an empty text",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Other => return None,
        })
    }
}
