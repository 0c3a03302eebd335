//! Money in payloads: amounts as providers write them, in minor units with their currency, and never through binary floating
//! point.

use crate::{
    payment::{Currency, Money, MoneyError, Phase, parse_decimal, parse_minor},
    redact,
    source::payload::{Pointer, Unclear, unclear},
};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// The most decimal digits that the minor unit of a currency in ISO 4217 has.
const MAX_CASH_EXPONENT: u8 = 4;

/// In which units amounts are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Amounts {
    /// Cents, yen, fils: whole numbers.
    Minor,
    /// Euros, yen, dinars: decimals.
    Major,
}

/// Where an amount and its currency stand.
#[derive(Clone, Debug)]
pub(crate) struct MoneyRule {
    pub(crate) amount: Pointer,
    pub(crate) currency: Option<Pointer>,
}

/// Reads amounts from the text of a payload's numbers and strings.
pub(super) struct MoneyReader<'a> {
    /// In which units the provider writes amounts.
    pub(super) amounts: Amounts,
    /// Currencies whose minor unit the preset says.
    pub(super) exponents: &'a [Currency],
    /// The source's currency, for amounts that come without one.
    pub(super) currency: Option<Currency>,
    /// The payload.
    pub(super) payload: &'a Value,
}

impl MoneyReader<'_> {
    /// The money that goes with a phase; none where no amount is told. Money that was captured has to have a currency that we
    /// know; of other phases it is left out without one.
    pub(super) fn told(&self, rule: &MoneyRule, phase: Phase) -> Result<Option<Money>, Unclear> {
        let Some(text) = self.written(rule)? else { return Ok(None) };
        match self.currency_of(rule) {
            Some(currency) => Ok(Some(Money { amount: self.parse(&text, Some(currency), rule)?, currency })),
            None if phase == Phase::Captured => unclear("missing_currency", &rule.amount),
            None => Ok(None),
        }
    }

    /// The amount of a part or total, which nothing can stand for, and its currency if one is told.
    pub(super) fn amount(&self, rule: &MoneyRule) -> Result<(i64, Option<Currency>), Unclear> {
        let Some(text) = self.written(rule)? else { return unclear("missing_amount", &rule.amount) };
        let currency = self.currency_of(rule);
        Ok((self.parse(&text, currency, rule)?, currency))
    }

    /// The text of the amount, if there is any. An object, a list or a truth value is no amount.
    fn written(&self, rule: &MoneyRule) -> Result<Option<Cow<'_, str>>, Unclear> {
        match rule.amount.text(self.payload) {
            None if rule.amount.is_mistyped(self.payload) => unclear("bad_amount", &rule.amount),
            text => Ok(text),
        }
    }

    /// The currency that is told, else the source's. A code that is not in ISO 4217 is an asset of the source's or of the
    /// preset's, or nothing.
    fn currency_of(&self, rule: &MoneyRule) -> Option<Currency> {
        let own =
            |code: &str| self.exponents.iter().find(|own| own.code().eq_ignore_ascii_case(code)).copied();
        let told = rule.currency.as_ref().and_then(|at| at.text(self.payload));
        let Some(code) = told else {
            return self.currency.map(|currency| own(currency.code()).unwrap_or(currency));
        };
        let source = self.currency.filter(|currency| currency.code().eq_ignore_ascii_case(&code));
        own(&code).or_else(|| code.parse().ok()).or(source)
    }

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

/// Whether an amount can only be a card number. Of assets with fine minor units it may well be one: four ether are a number of
/// nineteen digits that begins like a Visa card's.
fn is_card_number(amount: i64, currency: Option<Currency>) -> bool {
    let exponent = currency.map_or(0, |currency| currency.exponent());
    exponent <= MAX_CASH_EXPONENT && redact::is_pan_like_amount(amount, exponent)
}

impl MoneyRule {
    /// The pointers that a reader of the amount may follow.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        std::iter::once(&self.amount).chain(&self.currency)
    }
}
