//! Properties that hold for any text that is masked, and for any id. See [`crate::fuzzing`].

use super::{id, is_card_key, is_pan_like, text};
use crate::fuzzing::request::line;

/// A plain model finds no card number in masked text; masked text is short and printable, and masking it again changes nothing; an
/// id that holds a card number is masked; and the value of a key of card data, which is the first line, is dropped.
pub fn redact(input: &[u8]) {
    const MAX: usize = 128;
    let given = String::from_utf8_lossy(input);
    let shown = text(&given, MAX);
    assert!(shown.len() <= MAX && shown.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    assert!(!holds_pan(&shown), "{given:?} is shown as {shown}");
    assert_eq!(text(&shown, MAX), shown, "{given:?}");
    let (key, value) = line(input);
    let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
    if is_pan_like(&key) && key.len() <= MAX {
        assert_ne!(text(&key, MAX), key);
        assert_eq!(id(&key, MAX), text(&key, MAX));
    }
    let is_word = |text: &str| text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_card_key(&key, None) && value.len() < MAX && is_word(&key) && is_word(&value) {
        assert_eq!(text(&format!("{key}={value}&x=1"), MAX), format!("{key}=***&x=1"));
    }
}

/// The characters that may stand between the digits of one number.
const SEPARATORS: &str = " ._/:+,|*~-";

/// Returns whether 13 to 19 digits with nothing but separators between them pass Luhn.
fn holds_pan(text: &str) -> bool {
    text.char_indices().any(|(start, _)| {
        let mut digits = String::new();
        for c in text[start..].chars().take_while(|c| c.is_ascii_digit() || SEPARATORS.contains(*c)) {
            digits.extend(Some(c).filter(char::is_ascii_digit));
            if (13..=19).contains(&digits.len()) && c.is_ascii_digit() && passes_luhn(&digits) {
                return true;
            }
        }
        false
    })
}

/// The prefixes and lengths of the issuers, as the design's table has them: `FIRST-LAST LENGTH …`.
const ISSUERS: &str = "4-4 13 16 19;51-55 16;2221-2720 16;34-34 15;37-37 15;300-305 14 16 19;3095-3095 14 16 19;36-36 14 16 19;\
    38-39 14 16 19;6011-6011 16 19;644-659 16 19;3528-3589 16 17 18 19;62-62 16 17 18 19;810-810 16 17 18 19;\
    8110-8171 16 17 18 19;2200-2204 16 17 18 19;5018-5018 16 18 19;5020-5020 16 18 19;5038-5038 16 18 19;5893-5893 16 18 19;\
    6304-6304 16 18 19;6759-6763 16 18 19;508-508 16;60-60 16;81-82 16;353-353 16;356-356 16;9792-9792 16;5019-5019 16;\
    506699-506778 16;509000-509999 16;627780-627780 16;636297-636297 16;636368-636368 16;606282-606282 16;637095-637095 16;\
    637568-637612 16;589562-589562 16;506099-506198 16 18 19;507865-507964 16 18 19;636-639 16 17 18 19";

/// An id holds a card number if, and only if, a plain model says so, which compares texts and looks at every part of the id.
pub fn card(input: &[u8]) {
    let id: String = input.iter().take(64).map(|byte| char::from(byte & 0x7f)).collect();
    assert_eq!(is_pan_like(&id), holds_card(&id), "{id:?}");
}

fn holds_card(id: &str) -> bool {
    let bytes = id.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_inner =
        |at: usize| is_digit(at) || bytes.get(at).is_some_and(|byte| SEPARATORS.contains(char::from(*byte)));
    (0..bytes.len()).filter(|start| is_digit(*start) && (*start == 0 || !is_digit(start - 1))).any(|start| {
        let ends = (start + 1..=bytes.len()).take_while(|end| is_inner(end - 1));
        ends.filter(|end| is_digit(end - 1) && !is_digit(*end)).any(|end| {
            let part = &id[start..end];
            let digits: String = part.chars().filter(char::is_ascii_digit).collect();
            let groups: Vec<String> =
                part.split(|c: char| !c.is_ascii_digit()).map(|group| group.len().to_string()).collect();
            let groups: Vec<&str> =
                groups.iter().map(String::as_str).filter(|length| *length != "0").collect();
            let is_printed = ["4 4 4 4", "4 4 4 4 3", "4 6 5", "4 6 4"].contains(&groups.join(" ").as_str());
            let is_whole = groups.len() == 1;
            let before = id[..start].trim_end_matches(|c| SEPARATORS.contains(c));
            let after = id[end..].trim_start_matches(|c| SEPARATORS.contains(c));
            let is_joined = !before.ends_with(|c: char| c.is_ascii_digit())
                && !after.starts_with(|c: char| c.is_ascii_digit());
            (is_printed && is_card(&digits)) || ((is_whole || is_joined) && is_card_with_expiry(&digits))
        })
    })
}

fn is_card_with_expiry(digits: &str) -> bool {
    let split = digits.len().saturating_sub(4);
    let (number, expiry) = digits.split_at(split);
    let months: Vec<String> = (1..=12).map(|month| format!("{month:02}")).collect();
    let has_month = months.iter().any(|month| expiry.starts_with(month) || expiry.ends_with(month));
    is_card(digits) || (expiry.len() == 4 && has_month && is_card(number))
}

fn is_card(digits: &str) -> bool {
    let is_issued = ISSUERS.split(';').any(|row| {
        let (prefixes, lengths) = row.split_once(' ').unwrap_or_default();
        let (first, last) = prefixes.split_once('-').unwrap_or_default();
        let prefix = digits.get(..first.len()).unwrap_or_default();
        (first..=last).contains(&prefix)
            && lengths.split(' ').any(|length| length == digits.len().to_string())
    });
    is_issued && passes_luhn(digits)
}

fn passes_luhn(digits: &str) -> bool {
    let value = |(place, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap_or_default();
        if place.is_multiple_of(2) { digit } else { digit * 2 / 10 + digit * 2 % 10 }
    };
    digits.chars().rev().enumerate().map(value).sum::<u32>().is_multiple_of(10)
}
