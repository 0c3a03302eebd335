//! Redaction: it keeps card data out of every text that leaves the gateway, such as stored words, records and log lines (I8).
//!
//! Free text is masked broadly: of any 13 to 19 digits that pass Luhn, with any number of separators between them, the first
//! six and the last four stay (PCI DSS 3.4.1 allows these to be shown); the value of a key that names a security code, a card
//! number or a magnetic track is dropped. Ids are masked more narrowly, because an id that is taken for a card number costs its
//! event (see `card`). Masked text is also made printable, so that no provider's word can break a line.

mod card;
mod fold;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod payload;

pub(crate) use payload::{Exact, payload};

use std::ops::Range;

/// How many of the first digits of a card number may be shown.
const SHOWN_HEAD: usize = 6;
/// How many of the last digits of a card number may be shown.
const SHOWN_TAIL: usize = 4;

/// The most characters of a text that are read. Texts that leave are far shorter, so this bound could cut a number in two only if
/// the number began near the start and went on over thousands of separators.
const MAX_READ: usize = 16 * 1024;

/// Keys whose values are card data, in lower case without `_`, `-` and spaces.
const CARD_KEYS: &[&str] = &[
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "cid",
    "cav2",
    "csc",
    "cardcvc",
    "cardcvv",
    "securitycode",
    "cardnumber",
    "cardno",
    "pan",
    "primaryaccountnumber",
    "track",
    "track1",
    "track2",
    "track3",
    "track1data",
    "track2data",
    "trackdata",
    "magstripe",
    "pin",
    "pinblock",
];

/// The parents under which `number` is a card number.
const CARD_PARENTS: &[&str] = &["card", "creditcard", "debitcard", "paymentcard"];

/// The words that may stand between the name of a code and the code, as in `security code is 123`.
const FILLERS: &[&str] = &["is", "no", "no.", "nr", "number", "code"];

/// How many digits a security code or PIN has that follows its name without a sign.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=6;

/// Returns whether a payload's key names card data. The key `number` does so under `card` only.
pub(crate) fn is_card_key(key: &str, parent: Option<&str>) -> bool {
    let plain = |key: &str| -> String {
        key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
    };
    let key = plain(key);
    CARD_KEYS.contains(&key.as_str())
        || (key == "number" && parent.is_some_and(|parent| CARD_PARENTS.contains(&plain(parent).as_str())))
}

/// Returns whether an id holds a card number, by issuer prefix, length and check digit.
pub(crate) fn is_pan_like(id: &str) -> bool {
    card::is_in_id(id)
}

/// Returns whether an amount equals a card number, either in minor units or in major ones, of which a minor unit has `exponent`
/// decimal digits. This happens when someone fills in a form wrongly.
pub(crate) fn is_pan_like_amount(minor: i64, exponent: u8) -> bool {
    let is_number = |amount: i64| {
        let digits = amount.to_string().bytes().map(|digit| digit.wrapping_sub(b'0')).collect::<Vec<_>>();
        amount >= 0 && card::is_number(&digits)
    };
    is_number(minor) || 10_i64.checked_pow(exponent.into()).is_some_and(|unit| is_number(minor / unit))
}

/// Makes a provider's word fit to leave: masked, printable ASCII, at most `max` bytes.
pub(crate) fn text(text: &str, max: usize) -> String {
    // Most words of providers are names of events, which can hold no card data.
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_digit() && !matches!(byte, b':' | b'=');
    if text.bytes().all(is_plain) {
        return text.get(..max).unwrap_or(text).to_owned();
    }
    let read: String = text.chars().take(MAX_READ).collect();
    let mut shown = without_values(&printable(&mask_pans(&fold::fold(&read))), max);
    // A value that is dropped leaves a mask, and a mask separates digits: those before and behind it may now read like one
    // number. Each further pass hides digits, so there are few.
    loop {
        let again = without_values(&mask_pans(&shown), max);
        if again == shown {
            return shown;
        }
        shown = again;
    }
}

/// Makes an id fit to leave. Only what is a card number by the rule for ids is masked.
pub(crate) fn id(id: &str, max: usize) -> String {
    if !id.is_ascii() || is_pan_like(id) {
        return text(id, max);
    }
    without_values(&printable(id), max)
}

/// Drops the values of keys for card data, and cuts the text. The cut may leave the beginning of a longer number after such a key,
/// which then reads like a security code; so a text that was cut is examined again.
fn without_values(text: &str, max: usize) -> String {
    let mut shown = mask_values(text);
    if shown.len() > max {
        shown.truncate(max);
        shown = mask_values(&shown);
        shown.truncate(max);
    }
    shown
}

/// Writes control characters (CR, LF, NUL, the ESC of terminal sequences) and all characters beyond ASCII as escapes.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// Masks the card numbers in a text.
fn mask_pans(text: &str) -> String {
    let mut shown: Vec<char> = text.chars().collect();
    let mut from = 0;
    while let Some(found) = next_pan(&shown, from) {
        // The mask separates digits like any separator, so a number may now begin among the digits before it, or within it.
        from = earliest(&shown, found.start);
        let digits: Vec<&mut char> =
            shown.get_mut(found).unwrap_or_default().iter_mut().filter(|c| c.is_ascii_digit()).collect();
        let hidden = digits.len() - SHOWN_HEAD - SHOWN_TAIL;
        digits.into_iter().skip(SHOWN_HEAD).take(hidden).for_each(|digit| *digit = '*');
    }
    shown.into_iter().collect()
}

/// Returns where the first number could begin that reaches as far as `place`: as many digits before it as a number has, less one.
fn earliest(text: &[char], place: usize) -> usize {
    let before = text.get(..place).unwrap_or_default().iter().enumerate().rev();
    let joined = before.take_while(|(_, c)| c.is_ascii_digit() || is_separator(**c));
    let mut digits = joined.filter(|(_, c)| c.is_ascii_digit()).map(|(place, _)| place);
    digits.by_ref().take(*card::LENGTHS.end() - 1).last().unwrap_or(place)
}

/// Returns the first card number at or after `from`. Of those that begin at the same digit it is the longest, so that none of its
/// digits are left over.
fn next_pan(text: &[char], from: usize) -> Option<Range<usize>> {
    let is_digit = |start: &usize| text.get(*start).is_some_and(char::is_ascii_digit);
    (from..text.len()).filter(is_digit).find_map(|start| {
        let mut digits = Vec::with_capacity(*card::LENGTHS.end());
        let mut end = None;
        for (place, c) in text.iter().enumerate().skip(start) {
            if let Some(digit) = c.to_digit(10) {
                digits.push(u8::try_from(digit).unwrap_or_default());
                if card::LENGTHS.contains(&digits.len()) && card::passes_luhn(&digits) {
                    end = Some(place + 1);
                }
                if digits.len() == *card::LENGTHS.end() {
                    break;
                }
            } else if !is_separator(*c) {
                break;
            }
        }
        end.map(|end| start..end)
    })
}

/// Returns whether a number may go on after this character. A line break or tab separates like a space.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || u8::try_from(c).is_ok_and(|byte| card::SEPARATORS.contains(&byte))
}

/// Drops the values of `cvc: 123`, `"cvv":"123"`, `track2=;41…?`, `security code 123` and the like.
fn mask_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = "";
    while let Some(start) = rest.find(is_word) {
        let (gap, from_word) = rest.split_at(start);
        let end = from_word.find(|c| !is_word(c)).unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(end);
        out.push_str(gap);
        out.push_str(word);
        // Some names are two words, such as `security code` or `track 2`.
        let is_pair = !before.is_empty() && gap.bytes().all(|byte| byte == b' ');
        let pair = if is_pair { format!("{before}{word}") } else { String::new() };
        rest = after;
        let is_key = is_card_key(word, None) || is_card_key(&pair, None);
        if let Some(value) = value_after(after).filter(|_| is_key) {
            out.push_str(after.get(..value.start).unwrap_or_default());
            out.push_str("***");
            rest = after.get(value.end..).unwrap_or_default();
        }
        before = word;
    }
    out.push_str(rest);
    out
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Returns where the value of a key is in the text that follows the key. After a sign, the value goes up to the next delimiter;
/// without a sign, it has to be as many digits as a code has.
fn value_after(after: &str) -> Option<Range<usize>> {
    /// What may stand around a key or a value.
    const QUOTES: [char; 4] = ['"', '\'', ' ', '\\'];
    let place = |rest: &str| after.len() - rest.len();
    if let Some(value) = after.trim_start_matches(QUOTES).strip_prefix([':', '=']) {
        let open = value.trim_start_matches(QUOTES);
        let end = open.find(['"', '\'', ',', '}', '&', ' ', '\\']).and_then(|end| open.get(end..));
        return Some(place(value)..place(end.unwrap_or_default()));
    }
    let mut rest = after.strip_prefix(' ')?.trim_start_matches(' ');
    while let Some((_, behind)) = rest.split_once(' ').filter(|(word, _)| FILLERS.contains(word)) {
        rest = behind.trim_start_matches(' ');
    }
    let digits = rest.strip_prefix('#').unwrap_or(rest);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let behind = digits.get(end..)?;
    let is_code = CODE_DIGITS.contains(&end) && !behind.starts_with(|c| is_word(c) || c == '*');
    is_code.then(|| place(digits)..place(behind))
}

#[cfg(test)]
mod tests;
