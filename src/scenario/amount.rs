//! Amounts as people and some providers write them: in major units.

/// Writes an amount of minor units as a decimal number of major units: 4200 with an exponent of 2 is `42.00`.
pub(crate) fn in_major_units(amount: i64, exponent: u8) -> String {
    let digits = usize::from(exponent);
    let text = format!("{:0width$}", amount.unsigned_abs(), width = digits + 1);
    let sign = if amount < 0 { "-" } else { "" };
    match text.split_at_checked(text.len().saturating_sub(digits)) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::parse_decimal;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_in_major_units() {
        for (amount, exponent, expected) in [
            (4200, 2, "42.00"),
            (5, 2, "0.05"),
            (0, 2, "0.00"),
            (4200, 0, "4200"),
            (1, 8, "0.00000001"),
            (14844, 8, "0.00014844"),
            (-5, 2, "-0.05"),
        ] {
            assert_eq!(in_major_units(amount, exponent), expected);
        }
    }

    proptest! {
        #[test]
        fn amounts_are_read_back_alike(amount in (i64::MIN + 1)..i64::MAX, exponent in 0_u8..=18) {
            prop_assert_eq!(parse_decimal(&in_major_units(amount, exponent), exponent), Ok(amount));
        }
    }
}
