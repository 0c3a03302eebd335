//! Money: amounts are integers in minor units with a currency. They are read from decimal text, never through binary floating
//! point.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The ISO 4217 codes in use whose minor unit does not have two digits (ISO 4217 list one, January 2026).
const EXPONENTS: &[(&str, u8)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// The other ISO 4217 codes in use; their minor unit has two digits.
const TWO_DIGITS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD \
    CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD \
    HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU \
    MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK \
    SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG \
    YER ZAR ZMW ZWG";

/// The length limit of an asset's name, in bytes.
const MAX_CODE: usize = 12;

/// Crypto assets have up to 18 decimal digits (wei); one unit with more would not fit an `i64`.
const MAX_EXPONENT: u8 = 18;

/// An ISO 4217 currency or a named asset. Its text form is `EUR`; with an exponent other than ISO's, `BTC/8` or `ISK/2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; MAX_CODE],
    exponent: u8,
}

/// An amount and its currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Money {
    /// The amount in minor units, such as cents, yen or fils.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
}

/// Why a text is not an amount, or not a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a decimal number.
    #[error("not a decimal number")]
    NotDecimal,
    /// The number has digits beyond the currency's minor unit.
    #[error("finer than the currency's minor unit")]
    TooFine,
    /// The amount does not fit 64 bits.
    #[error("too large")]
    TooLarge,
    /// The code is not in ISO 4217, and no exponent makes it an asset.
    #[error("no ISO 4217 currency")]
    UnknownCurrency,
}

impl Currency {
    /// A named asset with its exponent, for example `BTC` with 8. [`MoneyError::UnknownCurrency`] if the name is not 1 to 12
    /// ASCII letters and digits, or the exponent is above 18.
    pub fn asset(code: &str, exponent: u8) -> Result<Self, MoneyError> {
        let fits = (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits || exponent > MAX_EXPONENT {
            return Err(MoneyError::UnknownCurrency);
        }
        Ok(Self { exponent, ..Self::from_code(code) })
    }

    fn from_code(code: &str) -> Self {
        let mut bytes = [0; MAX_CODE];
        for (place, byte) in bytes.iter_mut().zip(code.bytes()) {
            *place = byte.to_ascii_uppercase();
        }
        Self { code: bytes, exponent: 2 }
    }

    /// The exponent that ISO 4217 gives this code; `None` if the code is not in it.
    fn iso_exponent(&self) -> Option<u8> {
        let code = self.code();
        let other = EXPONENTS.iter().find(|(known, _)| *known == code).map(|(_, exponent)| *exponent);
        other.or_else(|| TWO_DIGITS.split_ascii_whitespace().any(|known| known == code).then_some(2))
    }

    /// The code in upper case: `EUR`.
    #[must_use]
    pub fn code(&self) -> &str {
        let end = self.code.iter().position(|b| *b == 0).unwrap_or(MAX_CODE);
        self.code.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The number of decimal digits of the minor unit: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub const fn exponent(&self) -> u8 {
        self.exponent
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    /// Reads an ISO 4217 code in either case, or `CODE/exponent`.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        if let Some((code, exponent)) = text.split_once('/') {
            return Self::asset(code, exponent.parse().map_err(|_| MoneyError::UnknownCurrency)?);
        }
        if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(MoneyError::UnknownCurrency);
        }
        let currency = Self::from_code(text);
        let exponent = currency.iso_exponent().ok_or(MoneyError::UnknownCurrency)?;
        Ok(Self { exponent, ..currency })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.iso_exponent() == Some(self.exponent) {
            f.write_str(self.code())
        } else {
            write!(f, "{}/{}", self.code(), self.exponent)
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads whole minor units, such as `1000` or `1000.00`. A fraction is an error.
pub fn parse_minor(text: &str) -> Result<i64, MoneyError> {
    parse_decimal(text, 0)
}

/// Reads a decimal in major units (`12.34`, `-5`, `2.0`, `1.5e2`) as minor units with `exponent` digits. Trailing zeros beyond
/// the minor unit are accepted; other digits there are [`MoneyError::TooFine`].
pub fn parse_decimal(text: &str, exponent: u8) -> Result<i64, MoneyError> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().map_err(|_| MoneyError::NotDecimal)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty()
        || (mantissa.contains('.') && fraction.is_empty())
        || !digits().all(|b| b.is_ascii_digit())
    {
        return Err(MoneyError::NotDecimal);
    }
    // How many of the digits belong to the amount in minor units: less than none, or more than there are, if the power is
    // large.
    let fits = |len: usize| i64::try_from(len).map_err(|_| MoneyError::TooLarge);
    let keep = fits(whole.len())? + i64::from(power) + i64::from(exponent);
    let mut amount = 0_i64;
    for (index, byte) in digits().enumerate() {
        let digit = i64::from(byte - b'0');
        if fits(index)? < keep {
            amount = amount.checked_mul(10).and_then(|a| a.checked_add(digit)).ok_or(MoneyError::TooLarge)?;
        } else if digit != 0 {
            return Err(MoneyError::TooFine);
        }
    }
    let missing = keep - fits(whole.len() + fraction.len())?;
    if amount != 0 {
        for _ in 0..missing {
            amount = amount.checked_mul(10).ok_or(MoneyError::TooLarge)?;
        }
    }
    Ok(if negative { -amount } else { amount })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact() {
        for (text, exponent, expected) in [
            ("12.34", 2, Ok(1234)),
            ("72.00", 2, Ok(7200)),
            ("2.0", 2, Ok(200)),
            ("2", 3, Ok(2000)),
            ("0.1", 2, Ok(10)),
            ("-0.01", 2, Ok(-1)),
            ("1.5e2", 2, Ok(15000)),
            ("1E-2", 2, Ok(1)),
            ("0e999999999", 2, Ok(0)),
            ("0.29", 2, Ok(29)),
            ("1.10000", 2, Ok(110)),
            ("100", 0, Ok(100)),
            ("92233720368547758.07", 2, Ok(i64::MAX)),
            ("92233720368547758.08", 2, Err(MoneyError::TooLarge)),
            ("1e999999999", 2, Err(MoneyError::TooLarge)),
            ("1.005", 2, Err(MoneyError::TooFine)),
            ("1e-3", 2, Err(MoneyError::TooFine)),
            ("1.5", 0, Err(MoneyError::TooFine)),
            ("", 2, Err(MoneyError::NotDecimal)),
            (".5", 2, Err(MoneyError::NotDecimal)),
            ("5.", 2, Err(MoneyError::NotDecimal)),
            ("1,000.00", 2, Err(MoneyError::NotDecimal)),
            ("+1", 2, Err(MoneyError::NotDecimal)),
            ("NaN", 2, Err(MoneyError::NotDecimal)),
            ("--1", 2, Err(MoneyError::NotDecimal)),
            ("1e", 2, Err(MoneyError::NotDecimal)),
        ] {
            assert_eq!(parse_decimal(text, exponent), expected, "{text} with {exponent}");
        }
    }

    #[test]
    fn currencies_know_their_minor_unit() {
        for (text, exponent) in [("eur", 2), ("JPY", 0), ("KWD", 3), ("clf", 4), ("BTC/8", 8), ("ISK/2", 2)] {
            let currency: Currency = text.parse().unwrap();
            assert_eq!(currency.exponent(), exponent, "{text}");
            assert_eq!(currency.to_string().parse(), Ok(currency));
            assert_eq!(currency.to_string(), text.to_uppercase());
        }
        for bad in ["", "EU", "EURO", "XYZ", "BTC", "B C/8", "BTC/19", "BTC/x", "€UR"] {
            assert_eq!(bad.parse::<Currency>(), Err(MoneyError::UnknownCurrency), "{bad}");
        }
    }

    #[test]
    fn an_exponent_is_written_where_it_is_not_iso_s_own() {
        let krona: Currency = "ISK".parse().unwrap();
        assert_eq!(krona.to_string(), "ISK");
        assert_eq!(Currency::asset("ISK", 2).unwrap().to_string(), "ISK/2");
        assert_eq!(Currency::asset("ISK", 0), Ok(krona));
        assert_eq!("EUR/2".parse::<Currency>(), "EUR".parse());
        assert_eq!(Currency::asset("ISK", 19), Err(MoneyError::UnknownCurrency));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(code in "[A-Za-z0-9]{1,12}|ISK|EUR|KWD", exponent in 0..=MAX_EXPONENT) {
            let currency = Currency::asset(&code, exponent).unwrap();
            prop_assert_eq!(currency.to_string().parse(), Ok(currency));
            if let Ok(iso) = code.parse::<Currency>() {
                prop_assert_eq!(iso.to_string(), code.to_uppercase());
                prop_assert_eq!(Currency::asset(iso.code(), exponent), Ok(currency));
            }
        }
    }
}
