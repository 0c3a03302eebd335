//! Why a payment failed, and what the customer has to do next, in words that a customer may read.
//!
//! Both are closed sets. A provider's code becomes one of these words by the tables of its preset. What a customer must not
//! learn, for example that the bank holds the card to be stolen, becomes [`FailureReason::Declined`].

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

/// Why a payment failed, or why it needs another attempt.
///
/// JSON in the log: the word in snake case. JSON for readers: see [`FailureReason::object`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The account or card does not hold enough money.
    InsufficientFunds,
    /// The card has expired.
    CardExpired,
    /// A number, name, code or address that the customer typed is wrong.
    WrongDetails,
    /// The customer did not prove to be the holder, for example by 3-D Secure.
    AuthenticationFailed,
    /// The payment exceeds a limit of the card, the account or the bank.
    LimitExceeded,
    /// The card or account cannot be used for this kind of payment, this currency or this country.
    NotSupported,
    /// A passing fault of the bank, the network or the provider: the same attempt may succeed later.
    TryAgain,
    /// Only the customer's bank can say why, and the customer has to ask it.
    ContactBank,
    /// The customer gave up, or let the time run out.
    Abandoned,
    /// The bank or the provider declined and says no more, or nothing that a customer may learn.
    Declined,
}

/// What the customer has to do next. It names the kind of action and never an address, since an address may hold a secret.
///
/// JSON in the log: the word in snake case, `3ds` for [`ActionKind::ThreeDs`]. JSON for readers: see [`ActionKind::object`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Go to a page of the provider, the bank or a wallet.
    Redirect,
    /// Prove to be the holder of the card by 3-D Secure.
    #[serde(rename = "3ds")]
    ThreeDs,
    /// Transfer the money from a bank account.
    BankTransfer,
    /// Pay with a voucher, in a shop or at a bank.
    Voucher,
    /// Nothing but wait.
    Wait,
}

/// The form that readers get: an object with one field, so that more can be said later without a change for readers.
#[derive(Clone, Copy, Debug)]
pub struct WordObject<T> {
    field: &'static str,
    word: T,
}

impl FailureReason {
    /// The form for readers: `{"reason":"declined"}`.
    #[must_use]
    pub const fn object(self) -> WordObject<Self> {
        WordObject { field: "reason", word: self }
    }
}

impl ActionKind {
    /// The form for readers: `{"kind":"redirect"}`.
    #[must_use]
    pub const fn object(self) -> WordObject<Self> {
        WordObject { field: "kind", word: self }
    }
}

impl<T: Serialize> Serialize for WordObject<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("WordObject", 1)?;
        object.serialize_field(self.field, &self.word)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_get_objects_and_the_log_gets_words() {
        let text = serde_json::to_string(&(
            FailureReason::InsufficientFunds,
            FailureReason::ContactBank.object(),
            ActionKind::ThreeDs,
            ActionKind::BankTransfer.object(),
        ));
        assert_eq!(
            text.unwrap(),
            r#"["insufficient_funds",{"reason":"contact_bank"},"3ds",{"kind":"bank_transfer"}]"#
        );
    }
}
