//! Properties of cursors and amounts. See [`crate::fuzzing`].

use crate::payment::{Currency, Cursor, MoneyError, parse_decimal, parse_minor};

/// A cursor has one spelling, which is safe in a header, an address and an `id:` line.
pub fn cursor(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(cursor) = text.parse::<Cursor>() else { return };
    assert_eq!(cursor.to_string(), text);
    assert!(text.len() <= 8 + 1 + 20);
    assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
}

/// An amount is read exactly: a plain model that compares digits agrees, a written amount is read as the same, and each further digit
/// of the minor unit multiplies by ten. The first byte is the exponent.
pub fn money(input: &[u8]) {
    let Some((exponent, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(currency) = text.parse::<Currency>() {
        assert_eq!(currency.to_string().parse(), Ok(currency), "{text:?}");
        assert_eq!(Currency::asset(currency.code(), currency.exponent()), Ok(currency));
    }
    let exponent = exponent % 19;
    let read = parse_decimal(text, exponent);
    assert_eq!(read == Err(MoneyError::NotDecimal), decimal(text).is_none(), "{text:?}");
    assert_eq!(parse_minor(text), parse_decimal(text, 0));
    let Ok(amount) = read else { return };
    let written = major(amount, exponent);
    assert_eq!(parse_decimal(&written, exponent), Ok(amount), "{text:?}");
    assert_eq!(decimal(text), decimal(&written), "{text:?} was read as {written}");
    let finer = amount.checked_mul(10).ok_or(MoneyError::TooLarge);
    assert_eq!(parse_decimal(text, exponent + 1), finer, "{text:?}");
}

/// Writes an amount of minor units in major ones.
fn major(amount: i64, exponent: u8) -> String {
    let width = usize::from(exponent);
    let digits = format!("{:0>width$}", amount.unsigned_abs(), width = width + 1);
    let (whole, fraction) = digits.split_at(digits.len() - width);
    let sign = if amount < 0 { "-" } else { "" };
    let point = if width > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// Returns the sign of a decimal number, its significant digits, and the power of ten of the last of them. Returns `None` if the text is
/// not a decimal number.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let power = i64::from(power.parse::<i32>().ok()?);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let power = power - i64::try_from(fraction.len()).ok()? + i64::try_from(all.len() - kept.len()).ok()?;
    match kept.trim_start_matches('0') {
        "" => Some((false, String::new(), 0)),
        digits => Some((negative, digits.to_owned(), power)),
    }
}
