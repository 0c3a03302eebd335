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
        // Once the number from the second digit on is masked, fifteen digits are left that pass.
        ("9461814220106231006", "946181*********1006"),
        ("1111111111111", "1111111111111"),
        ("4242  4242 4242 4242", "4242  42** **** 4242"),
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
    assert_eq!(text("ab1def", 3), "ab1");
}

#[test]
fn i8_card_numbers_are_masked_however_they_are_written() {
    for input in [
        "4242.4242.4242.4242",
        "4242_4242_4242_4242",
        "4242/4242/4242/4242",
        "4242:4242:4242:4242",
        "4242+4242+4242+4242",
        "4242,4242,4242,4242",
        "4242|4242|4242|4242",
        "4242*4242*4242*4242",
        "4242~4242~4242~4242",
        "4242 - 4242 - 4242 - 4242",
        "42 42 42 42 42 42 42 42",
        "4242424242424242 12/26",
        "4242424242424242|12|2026|123",
        "４２４２４２４２４２４２４２４２",
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        "4242\u{a0}4242\u{a0}4242\u{a0}4242",
        "4242\u{2011}4242\u{2011}4242\u{2011}4242",
        "4242\u{2013}4242\u{2013}4242\u{2013}4242",
        "4242\u{200b}4242\u{200b}4242\u{200b}4242",
        "4242\n4242\n4242\n4242",
        "4242\t4242\t4242\t4242",
    ] {
        let shown = text(input, 300);
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        assert!(shown.contains('*') && !digits.contains("424242424242"), "{input} is shown as {shown}");
    }
}

#[test]
fn i8_a_security_code_without_a_sign_is_masked() {
    for (input, expected) in [
        ("security code 123", "security code ***"),
        ("Security Code: 123", "Security Code:***"),
        ("the security code is 123.", "the security code is ***."),
        ("cvv 1234 ok", "cvv *** ok"),
        ("CVC no. 123", "CVC no. ***"),
        ("cvc #123", "cvc #***"),
        ("pin 123456", "pin ***"),
        ("track 2 =;4242", "track 2 =***"),
        ("error code 123", "error code 123"),
        ("security 123", "security 123"),
        ("pin 1234567", "pin 1234567"),
        ("spin 1234", "spin 1234"),
        ("cvc check failed", "cvc check failed"),
    ] {
        assert_eq!(text(input, 100), expected, "{input}");
    }
}

#[test]
fn i8_what_a_cut_makes_a_security_code_is_masked() {
    // The number is too long for a code, but not what the cut leaves of it.
    for number in ["00200000002624635", "00200000 2624635"] {
        let given = format!("cvv {number}");
        assert_eq!(text(&given, 8), "cvv ***");
        assert_eq!(id(&given, 8), "cvv ***");
    }
    assert_eq!(text("cvv 00200000002624635", 100), "cvv 00200000002624635");
}

#[test]
fn an_id_is_masked_where_it_holds_a_card_number_and_only_there() {
    for (input, expected) in [
        ("evt-1736846575470", "evt-1736846575470"),
        ("evt-4242424242424242", "evt-424242******4242"),
        ("evt-４２４２４２４２４２４２４２４２", "evt-424242******4242"),
        ("evt-cvv=123", "evt-cvv=123"),
        ("cvv=123", "cvv=***"),
        ("a\r\nb", r"a\u{d}\u{a}b"),
    ] {
        assert_eq!(id(input, 100), expected, "{input}");
    }
    assert_eq!(id("abcdef", 3), "abc");
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
fn an_amount_that_equals_a_card_number_is_noticed() {
    for (minor, exponent, expected) in [
        (4_242_424_242_424_242, 2, true),
        (424_242_424_242_424_200, 2, true),
        (4_242_424_242_424_242, 0, true),
        (4_242_424_242_424_241, 2, false),
        (424_242_424_242_424_100, 2, false),
        (199_900, 2, false),
        (0, 3, false),
        (-4_242_424_242_424_242, 2, false),
    ] {
        assert_eq!(is_pan_like_amount(minor, exponent), expected, "{minor}");
    }
}

/// Generates numbers of 13 to 19 digits that pass Luhn, with one or more separators after the digits whose bit is set.
fn pan() -> impl Strategy<Value = String> {
    let separator = prop_oneof![
        "[ ._/:+,|*~-]{1,3}",
        Just("\u{a0}".to_owned()),
        Just("\u{2011}".to_owned()),
        Just("\u{200b}".to_owned()),
    ];
    let zero = proptest::sample::select(vec!['0', '０', '٠', '०']);
    (proptest::collection::vec(0_u8..10, 12..=18), any::<u32>(), separator, zero).prop_map(
        |(mut digits, gaps, separator, zero)| {
            let check = (0..10).find(|check| {
                digits.push(*check);
                let passes = card::passes_luhn(&digits);
                digits.pop();
                passes
            });
            digits.push(check.unwrap());
            let mut text = String::new();
            for (place, digit) in digits.iter().enumerate() {
                if place > 0 && gaps >> place & 1 == 1 {
                    text.push_str(&separator);
                }
                text.extend(char::from_u32(u32::from(zero) + u32::from(*digit)));
            }
            text
        },
    )
}

fn holds_pan(shown: &str) -> bool {
    next_pan(&shown.chars().collect::<Vec<_>>(), 0).is_some()
}

proptest! {
    #[test]
    fn i8_no_card_number_survives_in_any_text(before in "\\PC{0,20}", pan in pan(), after in "\\PC{0,20}") {
        let given = format!("{before}{pan}{after}");
        let shown = text(&given, 1000);
        prop_assert!(!holds_pan(&shown), "{given:?} is shown as {shown}");
        prop_assert!(!shown.contains(&pan));
    }

    #[test]
    fn whatever_comes_in_what_leaves_is_printable_and_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let given = String::from_utf8_lossy(&bytes);
        for shown in [text(&given, 64), id(&given, 64)] {
            prop_assert!(shown.len() <= 64 && shown.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
        }
        prop_assert!(!holds_pan(&text(&given, 64)));
    }
}

/// Found by the fuzzer: the mask of a value joined the digits before it and behind it to a number that passes the check.
#[test]
fn digits_around_a_value_that_was_dropped_are_no_card_number() {
    let shown = text("+cvc2:rd 4242 4242 424242 442 422 4242( 4", 128);
    assert_eq!(text(&shown, 128), shown);
    assert!(!shown.contains("42 422 4242"), "{shown}");
}
