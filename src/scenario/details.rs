//! The details that a payload reports besides what happened.

use super::amount::in_major_units;
use crate::payment::{Currency, Time};
use sha2::{Digest, Sha256};

/// The number of letters that stand for a payment in the ids of its objects.
const DIGEST_LETTERS: usize = 24;

/// The values that a template may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Field {
    /// The payment's id.
    Payment,
    /// The event's id.
    Event,
    /// The provider's name for the type of the event.
    Type,
    /// The provider's word for the state that the event reports.
    Status,
    /// The currency's code in upper case.
    Currency,
    /// The currency's code in lower case.
    CurrencyLower,
    /// The number of decimal digits of the currency's minor unit.
    Exponent,
    /// The payment's amount in minor units.
    Amount,
    /// The payment's amount in major units.
    Major,
    /// The refunded amount in minor units.
    Part,
    /// The refunded amount in major units.
    PartMajor,
    /// `true` if all of the payment is refunded, otherwise `false`.
    Full,
    /// When the event happened, in RFC 3339.
    Time,
    /// When the event happened, in seconds since 1970.
    TimeS,
    /// When the event happened, in milliseconds since 1970.
    TimeMs,
    /// The date of the event, such as `2026-11-22`.
    Date,
    /// Letters that are the same in all events of the payment, for the ids of objects that belong to it.
    Digest,
}

/// The payment and the event that a payload is about.
pub(super) struct Details<'a> {
    pub(super) payment: &'a str,
    /// The payment's amount, in the currency's minor unit.
    pub(super) amount: i64,
    /// The share of it that is refunded.
    pub(super) part: i64,
    pub(super) currency: Currency,
    /// When the event happened.
    pub(super) at: Time,
    pub(super) event_id: &'a str,
    /// The provider's name for the type of the event.
    pub(super) event_type: &'a str,
    /// The provider's word for the state that the event reports.
    pub(super) status: &'a str,
}

impl Details<'_> {
    /// The text of a value that a template names.
    pub(super) fn value(&self, field: Field) -> String {
        let ms = self.at.unix_ms();
        let major = |amount| in_major_units(amount, self.currency.exponent());
        match field {
            Field::Payment => self.payment.to_owned(),
            Field::Event => self.event_id.to_owned(),
            Field::Type => self.event_type.to_owned(),
            Field::Status => self.status.to_owned(),
            Field::Currency => self.currency.code().to_owned(),
            Field::CurrencyLower => self.currency.code().to_ascii_lowercase(),
            Field::Exponent => self.currency.exponent().to_string(),
            Field::Amount => self.amount.to_string(),
            Field::Major => major(self.amount),
            Field::Part => self.part.to_string(),
            Field::PartMajor => major(self.part),
            Field::Full => (self.part == self.amount).to_string(),
            Field::Time => self.at.to_string(),
            Field::TimeS => ms.div_euclid(1000).to_string(),
            Field::TimeMs => ms.to_string(),
            Field::Date => self.at.to_string().chars().take("2026-11-22".len()).collect(),
            Field::Digest => letters(&Sha256::digest(self.payment)).chars().take(DIGEST_LETTERS).collect(),
        }
    }
}

/// Writes bytes as letters, two for each. Digits could form a card number by chance, and the gateway would then refuse the id.
pub(super) fn letters(bytes: &[u8]) -> String {
    let letter = |half: u8| char::from(b'a' + half % 16);
    bytes.iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}
