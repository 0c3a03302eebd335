use super::*;
use proptest::strategy::ValueTree as _;
use proptest::{prelude::*, test_runner::TestRunner};

#[test]
fn an_id_is_a_card_number_by_prefix_length_and_check_digit() {
    for (id, expected) in [
        ("4242424242424242", true),
        ("4242-4242-4242-4242", true),
        ("order-4242424242424242", true),
        ("pay_4242424242424242x", true),
        ("order.42.4242.424242.4242", true),
        ("4242424242424242-12/26", true),
        ("42424242424242421226", true),
        ("42424242424242422612", true),
        ("1-4242-4242-4242-4242-7", true),
        ("4222222222222", true),
        ("378282246310005", true),
        ("3782-822463-10005", true),
        ("36227206271667", true),
        ("3781~588882~00326|12|26", true),
        ("6011000990139424", true),
        ("3530111333300000", true),
        ("5105105105105100", true),
        ("2223000048410010", true),
        ("6304000000000000", true),
        // These have no issuer's prefix, a length that the issuer does not use, or an invalid check digit.
        ("1736846575470", false),
        ("order_1736846575470", false),
        ("1111111111111111", false),
        ("37828224631000", false),
        ("4242424242424241", false),
        ("42424242424242421", false),
        ("42424242424242421300", false),
        ("pi_3PqJt2KZvKYlo2C1", false),
        ("cs_test_00000000000000", false),
        ("ch_00000000000000", false),
        ("550e8400-e29b-41d4-a716-446655440000", false),
        ("2026-11-30T10:15:30.123456Z", false),
    ] {
        assert_eq!(is_in_id(id), expected, "{id}");
    }
}

#[test]
fn every_issuer_s_numbers_are_found_at_both_ends_of_its_range_and_in_each_length() {
    for issuer in ISSUERS {
        for prefix in [issuer.first, issuer.last] {
            for length in issuer.lengths {
                let start: Vec<u8> = prefix.to_string().bytes().map(|digit| digit - b'0').collect();
                let body = start.iter().copied().chain(std::iter::repeat(7)).take(length - 1);
                let found =
                    (0..10).filter(|check| is_number(&body.clone().chain([*check]).collect::<Vec<_>>()));
                assert_eq!(found.count(), 1, "{prefix} with {length} digits");
            }
        }
        assert_eq!(issuer.first.to_string().len(), issuer.last.to_string().len(), "{}", issuer.first);
        assert!(issuer.first <= issuer.last && issuer.lengths.iter().all(|length| LENGTHS.contains(length)));
    }
}

/// A range of two years around the time of writing, in microseconds since 1970.
const US: std::ops::Range<u64> = 1_764_460_800_000_000..1_827_619_200_000_000;

/// Writes a time, given in microseconds since 1970, in a format such as `YYYYMMDDhhmmss`.
fn digits_of(us: u64, format: &str) -> String {
    let time = jiff::Timestamp::from_microsecond(us.try_into().unwrap()).unwrap();
    let time = crate::payment::Time::from_unix_ms(time.as_millisecond()).unwrap().to_string();
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    match format {
        "s" => digits[..14].to_owned(),
        "ms" => digits[..17].to_owned(),
        _ => time,
    }
}

/// Returns generators of the ids that shops and providers make, by kind.
fn ids() -> Vec<(&'static str, BoxedStrategy<String>)> {
    let us = || US;
    vec![
        ("seconds", us().prop_map(|us| format!("order_{}", us / 1_000_000)).boxed()),
        ("milliseconds", us().prop_map(|us| format!("order_{}", us / 1_000)).boxed()),
        ("microseconds", us().prop_map(|us| us.to_string()).boxed()),
        ("nanoseconds", us().prop_map(|us| format!("{}", us * 1_000)).boxed()),
        (
            "milliseconds and a counter",
            (us(), 0..1_000_u32).prop_map(|(us, n)| format!("{}-{n}", us / 1_000)).boxed(),
        ),
        (
            "milliseconds and four digits",
            (us(), 0..10_000_u32).prop_map(|(us, n)| format!("{}{n:04}", us / 1_000)).boxed(),
        ),
        ("YYYYMMDDhhmmss", us().prop_map(|us| digits_of(us, "s")).boxed()),
        ("YYYYMMDDhhmmssmmm", us().prop_map(|us| digits_of(us, "ms")).boxed()),
        (
            "YYYYMMDDhhmmss-nnnn",
            (us(), 0..10_000_u32).prop_map(|(us, n)| format!("{}-{n:04}", digits_of(us, "s"))).boxed(),
        ),
        ("RFC 3339", us().prop_map(|us| digits_of(us, "rfc3339")).boxed()),
        ("a counter", (0..10_000_000_u64).prop_map(|n| format!("INV-{n:013}")).boxed()),
        // These are orders of 2024 and later.
        ("Shopify's orders", (5_500_000_000_000..7_500_000_000_000_u64).prop_map(|n| n.to_string()).boxed()),
        ("Shopify's refunds", (900_000_000_000..999_999_999_999_u64).prop_map(|n| n.to_string()).boxed()),
        // The older form of a `pspReference` has sixteen digits, as in the examples of Adyen's documentation.
        ("Adyen's references", "(85|88|99)[0-9]{14}".boxed()),
        ("UUIDs", "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}".boxed()),
        ("ULIDs", "01[0-9A-HJKMNP-TV-Z]{24}".boxed()),
        ("Stripe's ids", "pi_3[0-9A-Za-z]{23}".boxed()),
        ("Stripe's test ids", "(evt|pi|ch|in|cus)_0{14}".boxed()),
    ]
}

#[test]
fn i8_ids_that_shops_make_are_no_card_numbers() {
    const TRIES: u32 = 20_000;
    let mut runner = TestRunner::deterministic();
    for (kind, ids) in ids() {
        let mut taken = Vec::new();
        for _ in 0..TRIES {
            let id = ids.new_tree(&mut runner).unwrap().current();
            if is_in_id(&id) {
                taken.push(id);
            }
        }
        let bound = usize::try_from(TRIES / 1_000).unwrap();
        assert!(taken.len() < bound, "{kind}: {} of {TRIES}, such as {:?}", taken.len(), taken.first());
    }
}
