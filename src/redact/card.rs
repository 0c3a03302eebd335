//! Card numbers: which rows of digits may be one.
//!
//! There are two rules, because their mistakes cost differently. In free text any row of 13 to 19 digits with a valid check
//! digit counts, since masking a number that is not a card number loses nothing. In an id a row must also begin with an issuer's
//! prefix and have a length that this issuer uses: one in ten of all millisecond timestamps has a valid check digit, shops build
//! ids from them, and an id that counts as a card number puts its event in quarantine.

use std::ops::RangeInclusive;

/// How many digits a card number has: ISO/IEC 7812 allows up to 19; the shortest numbers in use have 13.
pub(super) const LENGTHS: RangeInclusive<usize> = 13..=19;

/// How many digits an expiry date after a card number has: a month and a year of two digits each, in either order.
const EXPIRY: usize = 4;

/// The characters that people and programs write between the digits of one number.
pub(super) const SEPARATORS: &[u8] = b" ._/:+,|*~-";

/// The groups of digits in which cards print their numbers: most issuers, Visa with 19 digits, American Express, Diners Club.
const LAYOUTS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4]];

/// A range of prefixes, and the lengths of the numbers that begin with them. Both ends have the same number of digits.
struct Issuer {
    first: u32,
    last: u32,
    lengths: &'static [usize],
}

/// Returns a range of prefixes.
const fn range(first: u32, last: u32, lengths: &'static [usize]) -> Issuer {
    Issuer { first, last, lengths }
}

/// Returns the range of a single prefix.
const fn one(prefix: u32, lengths: &'static [usize]) -> Issuer {
    range(prefix, prefix, lengths)
}

/// The ranges of the issuers, after npm `credit-card-type` 10.3.0 and public tables. Some ranges are rounded outward.
const ISSUERS: &[Issuer] = &[
    // Visa
    one(4, &[13, 16, 19]),
    // Mastercard
    range(51, 55, &[16]),
    range(2221, 2720, &[16]),
    // American Express
    one(34, &[15]),
    one(37, &[15]),
    // Diners Club
    range(300, 305, &[14, 16, 19]),
    one(3095, &[14, 16, 19]),
    one(36, &[14, 16, 19]),
    range(38, 39, &[14, 16, 19]),
    // Discover
    one(6011, &[16, 19]),
    range(644, 659, &[16, 19]),
    // JCB, UnionPay, Mir
    range(3528, 3589, &[16, 17, 18, 19]),
    one(62, &[16, 17, 18, 19]),
    one(810, &[16, 17, 18, 19]),
    range(8110, 8171, &[16, 17, 18, 19]),
    range(2200, 2204, &[16, 17, 18, 19]),
    // Maestro
    one(5018, &[16, 18, 19]),
    one(5020, &[16, 18, 19]),
    one(5038, &[16, 18, 19]),
    one(5893, &[16, 18, 19]),
    one(6304, &[16, 18, 19]),
    range(6759, 6763, &[16, 18, 19]),
    // RuPay, Troy, Dankort
    one(508, &[16]),
    one(60, &[16]),
    range(81, 82, &[16]),
    one(353, &[16]),
    one(356, &[16]),
    one(9792, &[16]),
    one(5019, &[16]),
    // Elo, Hipercard, Hiper, Naranja
    range(506_699, 506_778, &[16]),
    range(509_000, 509_999, &[16]),
    one(627_780, &[16]),
    one(636_297, &[16]),
    one(636_368, &[16]),
    one(606_282, &[16]),
    one(637_095, &[16]),
    range(637_568, 637_612, &[16]),
    one(589_562, &[16]),
    // Verve, InterPayment and InstaPayment
    range(506_099, 506_198, &[16, 18, 19]),
    range(507_865, 507_964, &[16, 18, 19]),
    range(636, 639, &[16, 17, 18, 19]),
];

impl Issuer {
    /// Returns whether the issuer uses numbers of this prefix and length.
    fn issues(&self, digits: &[u8]) -> bool {
        let mut prefix = 0;
        let mut rest = self.first;
        let mut places = digits.iter();
        while rest > 0 {
            rest /= 10;
            prefix = prefix * 10 + places.next().map_or(0, |digit| u32::from(*digit));
        }
        (self.first..=self.last).contains(&prefix) && self.lengths.contains(&digits.len())
    }
}

/// Returns whether these digits, each 0 to 9, are a card number by issuer, length and check digit.
pub(super) fn is_number(digits: &[u8]) -> bool {
    LENGTHS.contains(&digits.len())
        && ISSUERS.iter().any(|issuer| issuer.issues(digits))
        && passes_luhn(digits)
}

/// Returns whether an id holds a card number: as a row of digits, as rows joined over separators, or in groups as printed on a
/// card. An expiry date may follow the number.
pub(super) fn is_in_id(id: &str) -> bool {
    // Most ids have too few digits, and end here.
    if id.bytes().filter(u8::is_ascii_digit).count() < *LENGTHS.start() {
        return false;
    }
    let is_joined = |c: char| c.is_ascii_digit() || u8::try_from(c).is_ok_and(|c| SEPARATORS.contains(&c));
    id.split(|c| !is_joined(c)).any(|joined| {
        let groups: Vec<Vec<u8>> = joined
            .split(|c: char| !c.is_ascii_digit())
            .map(|group| group.bytes().map(|digit| digit - b'0').collect())
            .filter(|group: &Vec<u8>| !group.is_empty())
            .collect();
        groups.iter().any(|group| is_number_with_expiry(group))
            || is_number_with_expiry(&groups.concat())
            || LAYOUTS.iter().any(|layout| is_printed(&groups, layout))
    })
}

/// Returns whether these digits are a card number, with or without an expiry date after it.
fn is_number_with_expiry(digits: &[u8]) -> bool {
    is_number(digits)
        || digits.split_last_chunk::<EXPIRY>().is_some_and(|(number, expiry)| {
            let [a, b, c, d] = expiry.map(u32::from);
            let is_month = |month| (1..=12).contains(&month);
            (is_month(a * 10 + b) || is_month(c * 10 + d)) && is_number(number)
        })
}

/// Returns whether consecutive groups are a card number in this layout.
fn is_printed(groups: &[Vec<u8>], layout: &[usize]) -> bool {
    groups
        .windows(layout.len())
        .any(|window| window.iter().map(Vec::len).eq(layout.iter().copied()) && is_number(&window.concat()))
}

/// Returns whether the last digit is the check digit of ISO/IEC 7812-1, annex B.
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests;
