//! The generic payload: four events, amounts in major units.

use super::{Moment, Subject};
use serde_json::{Value, json};

pub(super) const fn event_type(moment: Moment) -> Option<&'static str> {
    match moment {
        Moment::Created | Moment::Processing => Some("payment.pending"),
        Moment::Failed => Some("payment.failed"),
        Moment::Captured => Some("payment.confirmed"),
        Moment::Canceled => Some("payment.expired"),
        _ => None,
    }
}

pub(super) fn body(moment: Moment, subject: &Subject<'_>) -> Option<Value> {
    let event = event_type(moment)?;
    Some(json!({
        "id": subject.event_id,
        "event": event,
        "timestamp": subject.at,
        "payment": {
            "id": subject.payment,
            "status": event.strip_prefix("payment."),
            "amount": major(subject.amount, subject.currency.exponent()),
            "currency": subject.currency,
        },
    }))
}

/// Minor units as a decimal: 4200 with two digits is `42.00`.
pub(crate) fn major(amount: i64, exponent: u8) -> String {
    let digits = usize::from(exponent);
    let text = format!("{:0width$}", amount.unsigned_abs(), width = digits + 1);
    let sign = if amount < 0 { "-" } else { "" };
    match text.split_at_checked(text.len().saturating_sub(digits)) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::parse_decimal;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_in_major_units() {
        for (amount, exponent, expected) in [
            (4200, 2, "42.00"),
            (5, 2, "0.05"),
            (0, 2, "0.00"),
            (4200, 0, "4200"),
            (1, 8, "0.00000001"),
            (-5, 2, "-0.05"),
        ] {
            assert_eq!(major(amount, exponent), expected);
        }
    }

    proptest! {
        #[test]
        fn amounts_are_read_back_alike(amount in (i64::MIN + 1)..i64::MAX, exponent in 0_u8..=18) {
            prop_assert_eq!(parse_decimal(&major(amount, exponent), exponent), Ok(amount));
        }
    }
}
