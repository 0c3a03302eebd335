//! Keeps card data out of everything that leaves the gateway as text: stored words, records, log lines (I8).
//!
//! Free text is masked broadly: of any 13 to 19 digits that pass Luhn, with any number of separators between them, the first
//! six and the last four stay (what PCI DSS 3.4.1 lets be shown); the value of a key that names a security code, a card number
//! or a magnetic track is dropped. Ids are looked at more narrowly, since an id that is taken for a card number costs its event
//! (file `card`). What is masked is also made printable, so that no provider's word can break a line.

mod card;
mod fold;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

use std::ops::Range;

/// What may be shown of a card number.
const SHOWN_HEAD: usize = 6;
const SHOWN_TAIL: usize = 4;

/// The longest text that is looked at, in characters. What leaves is far shorter, so only a number that reaches from the
/// beginning over thousands of separators could be cut in two by this bound.
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

/// Parents under which `number` is a card's.
const CARD_PARENTS: &[&str] = &["card", "creditcard", "debitcard", "paymentcard"];

/// Words that may stand between the name of a code and the code: `security code is 123`.
const FILLERS: &[&str] = &["is", "no", "no.", "nr", "number", "code"];

/// Digits of a security code or PIN that follows its name without a sign.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=6;

/// Whether a payload's key names card data; `number` does so under `card` only.
pub(crate) fn is_card_key(key: &str, parent: Option<&str>) -> bool {
    let plain = |key: &str| -> String {
        key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
    };
    let key = plain(key);
    CARD_KEYS.contains(&key.as_str())
        || (key == "number" && parent.is_some_and(|parent| CARD_PARENTS.contains(&plain(parent).as_str())))
}

/// Whether an id holds a card number, by issuer prefix, length and check digit.
pub(crate) fn is_pan_like(id: &str) -> bool {
    card::is_in_id(id)
}

/// Whether an amount equals a card number, in minor units or, as these have `exponent` decimal digits, in major ones: some form
/// was filled in wrongly.
pub(crate) fn is_pan_like_amount(minor: i64, exponent: u8) -> bool {
    let is_number = |amount: i64| {
        let digits = amount.to_string().bytes().map(|digit| digit.wrapping_sub(b'0')).collect::<Vec<_>>();
        amount >= 0 && card::is_number(&digits)
    };
    is_number(minor) || 10_i64.checked_pow(exponent.into()).is_some_and(|unit| is_number(minor / unit))
}

/// A provider's word made fit to leave: masked, printable ASCII, at most `max` bytes.
pub(crate) fn text(text: &str, max: usize) -> String {
    // Most words of providers are names of events, which can hold nothing of a card.
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_digit() && !matches!(byte, b':' | b'=');
    if text.bytes().all(is_plain) {
        return text.get(..max).unwrap_or(text).to_owned();
    }
    let read: String = text.chars().take(MAX_READ).collect();
    cut(mask_values(&printable(&mask_pans(&fold::fold(&read)))), max)
}

/// An id made fit to leave, of which only what is a card number by the rule for ids is masked.
pub(crate) fn id(id: &str, max: usize) -> String {
    if !id.is_ascii() || is_pan_like(id) {
        return text(id, max);
    }
    cut(mask_values(&printable(id)), max)
}

fn cut(mut text: String, max: usize) -> String {
    text.truncate(max);
    text
}

/// Control characters (CR, LF, NUL, the ESC of terminal sequences) and all that is not ASCII, written as escapes.
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

fn mask_pans(text: &str) -> String {
    let mut shown: Vec<char> = text.chars().collect();
    let mut from = 0;
    while let Some(found) = next_pan(&shown, from) {
        // Scanning goes on within what is masked: its last digits may begin another number.
        from = found.start;
        let digits: Vec<&mut char> =
            shown.get_mut(found).unwrap_or_default().iter_mut().filter(|c| c.is_ascii_digit()).collect();
        let hidden = digits.len() - SHOWN_HEAD - SHOWN_TAIL;
        digits.into_iter().skip(SHOWN_HEAD).take(hidden).for_each(|digit| *digit = '*');
    }
    shown.into_iter().collect()
}

/// The first card number at or after `from`: of those that begin at one digit the longest, so that none of its own
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

/// Whether a number may go on after this character. A line break or tab separates like a space.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || u8::try_from(c).is_ok_and(|byte| card::SEPARATORS.contains(&byte))
}

/// Drops the values of `cvc: 123`, `"cvv":"123"`, `track2=;41…?`, `security code 123` and their like.
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
        // `security code` is two words, `track 2` too.
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

/// Where the value of a key stands in what follows the key: behind a sign, up to the next delimiter; or without a sign, if it is
/// digits such as a code has.
fn value_after(after: &str) -> Option<Range<usize>> {
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
