//! The messages of a stream, and the line that `watch` prints for each.

use crate::{payment::Currency, scenario::in_major_units};
use serde::Deserialize;
use std::fmt;

/// A message of the stream, by its `type`. A field that is missing has its default, and a type that this version does not know is
/// [`Message::Unknown`], so that `watch` can follow a newer gateway.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Message {
    /// The whole state of the payment, with the reason if it replaces what was sent before.
    Snapshot {
        #[serde(flatten)]
        state: PaymentState,
        reason: Option<String>,
    },
    /// The state after one more event.
    Update {
        #[serde(flatten)]
        state: PaymentState,
        #[serde(default)]
        event: EventSummary,
        #[serde(default)]
        late: bool,
    },
    /// Nothing was missed since the last connection.
    Ready,
    /// The gateway has lost its store, or has it back.
    Stale {
        #[serde(default)]
        stale: bool,
    },
    /// The gateway ends the stream.
    Closing { reason: ClosingReason },
    /// A type of a newer gateway.
    #[serde(other)]
    Unknown,
}

/// What snapshots and updates say about the payment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PaymentState {
    status: String,
    amount: Option<i64>,
    currency: Option<String>,
    seq: Option<u64>,
}

/// The event of an update.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EventSummary {
    #[serde(rename = "type")]
    kind: String,
}

/// Why the gateway ends the stream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClosingReason {
    /// The payment is finished, so nothing more will come.
    Finished,
    /// Any other reason, in the gateway's word. The client should reconnect.
    #[serde(untagged)]
    Other(String),
}

impl Message {
    /// Whether the message says that the payment is finished and nothing more will come.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self, Self::Closing { reason: ClosingReason::Finished })
    }

    /// The line to print. It is `None` for messages that this version does not know.
    pub(super) fn describe(&self) -> Option<String> {
        match self {
            Self::Snapshot { state, reason: None } => Some(state.line("now")),
            Self::Snapshot { state, reason: Some(reason) } => Some(state.line(&format!("now ({reason})"))),
            Self::Update { state, event, late: false } => Some(state.line(&event.kind)),
            Self::Update { state, event, late: true } => Some(state.line(&format!("{}  late", event.kind))),
            Self::Ready => Some("(nothing was missed)".to_owned()),
            Self::Stale { stale: true } => {
                Some("(the gateway has lost its store; the status may be out of date)".to_owned())
            }
            Self::Stale { stale: false } => Some("(the gateway has its store back)".to_owned()),
            Self::Closing { reason } => Some(format!("(the gateway closes the stream: {reason})")),
            Self::Unknown => None,
        }
    }
}

impl PaymentState {
    /// The status, the amount, the sequence number, and what the message is about, in columns.
    fn line(&self, about: &str) -> String {
        let seq = self.seq.map(|seq| format!("#{seq}")).unwrap_or_default();
        let money = self.money().unwrap_or_default();
        format!("{:<20} {money:>14}  {seq:<5} {about}", self.status)
    }

    fn money(&self) -> Option<String> {
        let currency: Currency = self.currency.as_ref()?.parse().ok()?;
        Some(format!("{} {}", in_major_units(self.amount?, currency.exponent()), currency.code()))
    }
}

impl fmt::Display for ClosingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Other(reason) => reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_described_in_a_line() {
        for (data, expected) in [
            (
                json!({"type": "snapshot", "status": "authorized", "amount": 4200, "currency": "EUR", "seq": 4}),
                "authorized                42.00 EUR  #4    now",
            ),
            (
                json!({"type": "snapshot", "status": "unknown", "amount": null, "currency": null, "seq": 0, "reason": "evicted"}),
                "unknown                              #0    now (evicted)",
            ),
            (
                json!({"type": "update", "status": "captured", "amount": 5, "currency": "JPY", "seq": 12, "late": true,
                       "event": {"type": "payment.confirmed"}}),
                "captured                      5 JPY  #12   payment.confirmed  late",
            ),
            (json!({"type": "closing", "reason": "drain"}), "(the gateway closes the stream: drain)"),
            (json!({"type": "closing", "reason": "finished"}), "(the gateway closes the stream: finished)"),
        ] {
            let message: Message = serde_json::from_value(data).unwrap();
            assert_eq!(message.describe().as_deref(), Some(expected));
        }
    }

    #[test]
    fn only_a_finished_payment_ends_the_command_and_a_newer_gateway_is_followed() {
        let message = |text: &str| serde_json::from_str::<Message>(text);
        assert!(message(r#"{"type":"closing","reason":"finished"}"#).unwrap().is_finished());
        assert!(!message(r#"{"type":"closing","reason":"drain"}"#).unwrap().is_finished());
        assert!(!message(r#"{"type":"snapshot","reason":"finished"}"#).unwrap().is_finished());
        assert_eq!(message(r#"{"type":"news of tomorrow","reason":1}"#).unwrap().describe(), None);
        assert!(message("[]").is_err());
    }
}
