//! The folding of text, so that a number is found however it is written: full-width or Arabic digits, a no-break hyphen, a
//! zero-width space between two digits.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointMapData, props::GeneralCategory};

/// The zeros of Unicode's decimal digits (category Nd, version 17); the nine code points after each are the digits 1 to 9. Digits
/// that NFKC turns into ASCII (full-width, mathematical, outlined) are left out.
const ZEROS: [u32; 68] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0,
    0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50,
    0x16d70, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950,
];

/// Returns the text in NFKC, with the decimal digits and dashes of all scripts in ASCII, and without format characters, which are
/// invisible.
pub(super) fn fold(text: &str) -> String {
    let category = CodePointMapData::<GeneralCategory>::new();
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let fold = |c: char| match category.get(c) {
        _ if c.is_ascii() => Some(c),
        GeneralCategory::DecimalNumber => Some(digit(c).unwrap_or(c)),
        GeneralCategory::DashPunctuation => Some('-'),
        // Unicode counts the minus sign among the symbols.
        _ if c == '\u{2212}' => Some('-'),
        GeneralCategory::Format => None,
        _ => Some(c),
    };
    normal.chars().filter_map(fold).collect()
}

/// Returns the ASCII digit of a decimal digit that NFKC leaves as it is.
fn digit(c: char) -> Option<char> {
    let place = ZEROS.partition_point(|zero| *zero <= u32::from(c)).checked_sub(1)?;
    char::from_digit(u32::from(c) - ZEROS.get(place)?, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decimal_digit_and_dash_of_unicode_is_folded() {
        let category = CodePointMapData::<GeneralCategory>::new();
        let mut digits = 0;
        for c in '\0'..=char::MAX {
            let folded = fold(&c.to_string());
            match category.get(c) {
                GeneralCategory::DecimalNumber => {
                    digits += 1;
                    let is_digit = folded.len() == 1 && folded.bytes().all(|b| b.is_ascii_digit());
                    assert!(is_digit, "{c:?} is folded to {folded:?}");
                }
                GeneralCategory::DashPunctuation => assert_eq!(folded, "-", "{c:?}"),
                _ => {}
            }
        }
        assert!(digits >= 650, "{digits} digits were looked at");
        for (text, expected) in
            [("٠١٢٩", "0129"), ("４２", "42"), ("a\u{2011}b\u{a0}c", "a-b c"), ("4\u{200b}2", "42")]
        {
            assert_eq!(fold(text), expected);
        }
    }
}
