//! Keeps card data out of everything that leaves ingest as text: stored words, quarantine details, log lines (I8).
//!
//! Two rules: a run of 13 to 19 digits that passes Luhn, with single spaces or dashes between its digits allowed, keeps
//! its first six and last four digits (what PCI DSS 3.4.1 lets be shown); the value of a key that names a security code, a
//! card number or a magnetic track is dropped. What is masked is also made printable, so that no provider's word can
//! break a line.

use std::ops::Range;

/// Digits of a card number: ISO/IEC 7812 has up to 19; the shortest in use have 13.
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// What may be shown of a card number.
const SHOWN_HEAD: usize = 6;
const SHOWN_TAIL: usize = 4;

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

/// Whether a payload's key names card data; `number` does so under `card` only.
pub(super) fn is_card_key(key: &str, parent: Option<&str>) -> bool {
    let plain = |key: &str| -> String {
        key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
    };
    let key = plain(key);
    CARD_KEYS.contains(&key.as_str())
        || (key == "number" && parent.is_some_and(|parent| CARD_PARENTS.contains(&plain(parent).as_str())))
}

/// Whether an id looks like a card number: one of its whole runs of digits, taken with or without separators, does. Parts
/// of longer runs don't count here as they do in [`text`]: two of three 16-digit numbers hold 13 digits that pass Luhn.
pub(super) fn is_pan_like(id: &str) -> bool {
    let looks = |run: &str| {
        let digits: Vec<u8> = run.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        PAN_DIGITS.contains(&digits.len()) && passes_luhn(&digits)
    };
    id.split(|c: char| !c.is_ascii_digit()).any(looks)
        || id.split(|c: char| !c.is_ascii_digit() && c != ' ' && c != '-').any(looks)
}

/// A provider's word made fit to leave: masked, printable ASCII, at most `max` bytes.
pub(super) fn text(text: &str, max: usize) -> String {
    // A number that the first cut splits begins beyond the second.
    let start: String = text.chars().take(max + 2 * PAN_DIGITS.end()).collect();
    let mut masked = mask_values(&mask_pans(&printable(&start)));
    masked.truncate(max);
    masked
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
    let mut shown = text.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = next_pan(&shown, from) {
        // Scanning goes on within what is masked: its last digits may begin another number.
        from = found.start;
        let digits: Vec<&mut u8> = shown
            .get_mut(found)
            .unwrap_or_default()
            .iter_mut()
            .filter(|byte| byte.is_ascii_digit())
            .collect();
        let hidden = digits.len() - SHOWN_HEAD - SHOWN_TAIL;
        digits.into_iter().skip(SHOWN_HEAD).take(hidden).for_each(|digit| *digit = b'*');
    }
    // Digits were replaced by an ASCII character: the text is UTF-8 as before.
    String::from_utf8(shown).unwrap_or_default()
}

/// The first card number at or after `from`: of those that begin at one digit the longest, so that none of its own
/// digits are left over.
fn next_pan(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    (from..bytes.len()).filter(|start| bytes.get(*start).is_some_and(u8::is_ascii_digit)).find_map(|start| {
        let mut digits = Vec::with_capacity(*PAN_DIGITS.end());
        let mut end = None;
        let mut place = start;
        while digits.len() < *PAN_DIGITS.end() {
            match bytes.get(place) {
                Some(digit) if digit.is_ascii_digit() => {
                    digits.push(digit - b'0');
                    place += 1;
                    if PAN_DIGITS.contains(&digits.len()) && passes_luhn(&digits) {
                        end = Some(place);
                    }
                }
                Some(b' ' | b'-') if bytes.get(place + 1).is_some_and(u8::is_ascii_digit) => place += 1,
                _ => break,
            }
        }
        end.map(|end| start..end)
    })
}

fn passes_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

/// Drops the values of `cvc: 123`, `"cvv":"123"`, `track2=;41…?` and their like.
fn mask_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(sign) = rest.find([':', '=']) {
        let (before, after) = rest.split_at(sign);
        let quoted = before.trim_end_matches(['"', '\'', ' ', '\\']);
        let word =
            quoted.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').map_or(0, |at| at + 1);
        let key = quoted.get(word..).unwrap_or_default();
        out.push_str(before);
        // The sign itself is one byte.
        let (sign, value) = after.split_at(1);
        out.push_str(sign);
        rest = value;
        if is_card_key(key, None) {
            let open = value.trim_start_matches(['"', '\'', ' ', '\\']);
            let end = open.find(['"', '\'', ',', '}', '&', ' ', '\\']).unwrap_or(open.len());
            out.push_str("***");
            rest = open.get(end..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_data_is_masked_and_the_rest_is_kept() {
        for (input, expected) in [
            ("4242424242424242", "424242******4242"),
            ("card 4242 4242 4242 4242, ok", "card 4242 42** **** 4242, ok"),
            ("4242-4242-4242-4242", "4242-42**-****-4242"),
            ("x378282246310005x", "x378282*****0005x"),
            ("4222222222222", "422222***2222"),
            ("4242424242424240", "424242*****24240"),
            ("1111111111111", "1111111111111"),
            ("4242  4242 4242 4242", "4242  4242 4242 4242"),
            ("evt_1790000000", "evt_1790000000"),
            (r#"{"cvc":"123","a":1}"#, r#"{"cvc":***","a":1}"#),
            ("cvv=123&x=1", "cvv=***&x=1"),
            ("CVV2: 9876", "CVV2:***"),
            ("security_code = 12", "security_code =***"),
            ("covcvc-free=1", "covcvc-free=1"),
            ("invoice.cvc=1", "invoice.cvc=***"),
            ("payment_intent.succeeded", "payment_intent.succeeded"),
            ("a\r\nb\0\x1b[31m\u{2028}ż", r"a\u{d}\u{a}b\u{0}\u{1b}[31m\u{2028}\u{17c}"),
        ] {
            assert_eq!(text(input, 100), expected, "{input}");
        }
        assert_eq!(text("abcdef", 3), "abc");
    }

    #[test]
    fn keys_of_card_data_are_known_by_name_and_place() {
        for (key, parent, expected) in [
            ("cvc", None, true),
            ("Card_Number", None, true),
            ("number", Some("card"), true),
            ("number", Some("order"), false),
            ("number", None, false),
            ("track_2_data", None, true),
            ("tracking", None, false),
        ] {
            assert_eq!(is_card_key(key, parent), expected, "{key} under {parent:?}");
        }
    }

    #[test]
    fn an_id_is_pan_like_by_whole_runs_of_digits() {
        for (id, expected) in [
            ("4242424242424242", true),
            ("4242-4242-4242-4242", true),
            ("order-4242424242424242", true),
            ("pay_4242424242424242x", true),
            ("4242424242424241", false),
            ("42424242424242421", false),
            ("pi_3PqJt2KZvKYlo2C1", false),
            ("550e8400-e29b-41d4-a716-446655440000", false),
        ] {
            assert_eq!(is_pan_like(id), expected, "{id}");
        }
    }

    /// A number of 13 to 19 digits that passes Luhn, with separators after the digits whose bit is set.
    fn pan() -> impl Strategy<Value = String> {
        (proptest::collection::vec(0_u8..10, 12..=18), any::<u32>(), prop_oneof![Just(' '), Just('-')])
            .prop_map(|(mut digits, gaps, separator)| {
                let check = (0..10).find(|check| {
                    digits.push(*check);
                    let passes = passes_luhn(&digits);
                    digits.pop();
                    passes
                });
                digits.push(check.unwrap());
                let mut text = String::new();
                for (place, digit) in digits.iter().enumerate() {
                    if place > 0 && gaps >> place & 1 == 1 {
                        text.push(separator);
                    }
                    text.push(char::from(b'0' + digit));
                }
                text
            })
    }

    proptest! {
        #[test]
        fn i8_no_card_number_survives_in_any_text(before in "\\PC{0,20}", pan in pan(), after in "\\PC{0,20}") {
            let given = format!("{before}{pan}{after}");
            let shown = text(&given, 1000);
            prop_assert!(next_pan(shown.as_bytes(), 0).is_none());
            prop_assert!(!shown.contains(&pan));
        }

        #[test]
        fn whatever_comes_in_what_leaves_is_printable_and_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let given = String::from_utf8_lossy(&bytes);
            let shown = text(&given, 64);
            prop_assert!(shown.len() <= 64 && shown.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            prop_assert!(next_pan(shown.as_bytes(), 0).is_none());
        }
    }
}
