//! Money in payloads: amounts as providers write them become minor units with their currency, and never pass through binary
//! floating point.

use crate::{
    payment::{Currency, Money, MoneyError, Phase, parse_decimal, parse_minor},
    redact,
    source::payload::{Pointer, Unclear, unclear},
};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// The most decimal digits that the minor unit of any currency in ISO 4217 has.
const MAX_CASH_EXPONENT: u8 = 4;

/// The unit in which a provider writes amounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Amounts {
    /// Minor units, such as cents, yen or fils: whole numbers.
    Minor,
    /// Major units, such as euros, yen or dinars: decimal numbers.
    Major,
}

/// The places of an amount and its currency.
#[derive(Clone, Debug)]
pub(crate) struct MoneyRule {
    /// The place of the amount.
    pub(crate) amount: Pointer,
    /// The place of the currency, if the payload names it.
    pub(crate) currency: Option<Pointer>,
}

/// The reader of amounts, from the text of a payload's numbers and strings.
pub(super) struct MoneyReader<'a> {
    /// The unit in which the provider writes amounts.
    pub(super) amounts: Amounts,
    /// The currencies and assets whose minor unit the preset defines.
    pub(super) exponents: &'a [Currency],
    /// The source's currency, for amounts that come without one.
    pub(super) currency: Option<Currency>,
    /// The payload from which amounts are read.
    pub(super) payload: &'a Value,
}

impl MoneyReader<'_> {
    /// Returns the money of a phase, or `None` if the payload has no amount. Captured money without a known currency is an error;
    /// in other phases, money without one is left out.
    pub(super) fn of_phase(&self, rule: &MoneyRule, phase: Phase) -> Result<Option<Money>, Unclear> {
        let Some(text) = self.written(rule)? else { return Ok(None) };
        match self.currency_of(rule) {
            Some(currency) => Ok(Some(Money { amount: self.parse(&text, Some(currency), rule)?, currency })),
            None if phase == Phase::Captured => unclear("missing_currency", &rule.amount),
            None => Ok(None),
        }
    }

    /// Returns the amount of a part or total in minor units, and its currency if it is known. Fails if there is no amount.
    pub(super) fn amount(&self, rule: &MoneyRule) -> Result<(i64, Option<Currency>), Unclear> {
        let Some(text) = self.written(rule)? else { return unclear("missing_amount", &rule.amount) };
        let currency = self.currency_of(rule);
        Ok((self.parse(&text, currency, rule)?, currency))
    }

    /// Returns the text of the amount, or `None` if there is none. Fails if an object or list is in its place.
    fn written(&self, rule: &MoneyRule) -> Result<Option<Cow<'_, str>>, Unclear> {
        match rule.amount.text(self.payload) {
            None if rule.amount.is_mistyped(self.payload) => unclear("bad_amount", &rule.amount),
            text => Ok(text),
        }
    }

    /// Returns the currency that the payload names, or else the source's. A code that is not in ISO 4217 is an asset that the
    /// source or the preset defines, or unknown.
    fn currency_of(&self, rule: &MoneyRule) -> Option<Currency> {
        let own =
            |code: &str| self.exponents.iter().find(|own| own.code().eq_ignore_ascii_case(code)).copied();
        let named = rule.currency.as_ref().and_then(|at| at.text(self.payload));
        let Some(code) = named else {
            return self.currency.map(|currency| own(currency.code()).unwrap_or(currency));
        };
        let source = self.currency.filter(|currency| currency.code().eq_ignore_ascii_case(&code));
        own(&code).or_else(|| code.parse().ok()).or(source)
    }

    /// Parses an amount to minor units. Fails if the amount is not a number, is negative, or can only be a card number.
    fn parse(&self, text: &str, currency: Option<Currency>, rule: &MoneyRule) -> Result<i64, Unclear> {
        let amount = match (self.amounts, currency) {
            (Amounts::Minor, _) => parse_minor(text),
            (Amounts::Major, Some(currency)) => parse_decimal(text, currency.exponent()),
            (Amounts::Major, None) => Err(MoneyError::UnknownCurrency),
        };
        match amount {
            Ok(amount) if is_card_number(amount, currency) => unclear("pan_like_amount", &rule.amount),
            Ok(amount) if amount >= 0 => Ok(amount),
            Err(MoneyError::UnknownCurrency) => unclear("missing_currency", &rule.amount),
            Ok(_) | Err(_) => unclear("bad_amount", &rule.amount),
        }
    }
}

/// Returns whether an amount can only be a card number. An amount of an asset with a finer minor unit may well look like one:
/// four ether are a number of nineteen digits that begins like a Visa card number.
fn is_card_number(amount: i64, currency: Option<Currency>) -> bool {
    let exponent = currency.map_or(0, |currency| currency.exponent());
    exponent <= MAX_CASH_EXPONENT && redact::is_pan_like_amount(amount, exponent)
}

impl MoneyRule {
    /// Returns the pointers that a reader of the amount may follow.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        std::iter::once(&self.amount).chain(&self.currency)
    }
}
