//! What is no secret, although it stands where one should: nothing, a placeholder, a few letters.
//!
//! Every secret that someone gives the gateway is looked at here, whichever room it is for, so that what is refused in one
//! place is refused in all. It knows no room, and what it says of a secret never shows it.

use std::collections::BTreeMap;

/// What the secrets of examples and templates are put together from. Of hexadecimal digits only are the rows of digits
/// and "a", so random text is made of nothing else only by a chance that nobody lives to see.
const WORDS: &str = "
    0123456789 123 1234 12345 123456 12345678 123456789 256 a access admin api at auth bit bits change default
    demo dummy endpoint enter example foo generate hashed here hmac insert is it jwt key least live local long me
    my not operator password paste paystream placeholder please private put random real replace sample secret
    secure set shared shop signing sk some stream string stripe super test the this to todo token unsafe use value
    very webhook whsec with x your
";

/// Why a text is no secret. Never holds the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Weakness {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// It stands in every example.
    #[error("is a placeholder, known to everyone")]
    Placeholder,
    /// A blank or a line break: pasted wrongly.
    #[error("holds white space or control characters")]
    Blank,
    /// Fewer bytes than the place asks for.
    #[error("is shorter than {0} bytes")]
    TooShort(usize),
    /// One key held down, or two in turn.
    #[error("repeats a few characters")]
    Repetitive,
}

/// Refuses what is no secret, or has less than `min_bytes`. What passes may still be a bad one, but nothing shows.
pub fn check(secret: &str, min_bytes: usize) -> Result<(), Weakness> {
    if secret.trim().is_empty() {
        Err(Weakness::Empty)
    } else if is_placeholder(secret) {
        Err(Weakness::Placeholder)
    } else if secret.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(Weakness::Blank)
    } else if secret.len() < min_bytes {
        Err(Weakness::TooShort(min_bytes))
    } else if distinct_bytes(secret) < min_distinct(min_bytes) {
        Err(Weakness::Repetitive)
    } else {
        Ok(())
    }
}

/// Whether a text is made of nothing but the words of examples, with whatever marks between them; or is marked as a gap to
/// fill: `<…>`, `...`.
fn is_placeholder(secret: &str) -> bool {
    let marked = secret.starts_with('<') && secret.ends_with('>') || secret.contains("...");
    let text: String =
        secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    marked || !text.is_empty() && is_made_of_words(&text)
}

/// Tries every way to take the text apart. The rests are kept by their length and the longest is next, so that each is
/// looked at once.
fn is_made_of_words(text: &str) -> bool {
    let mut rests = BTreeMap::from([(text.len(), text)]);
    while let Some((length, rest)) = rests.pop_last() {
        if length == 0 {
            return true;
        }
        let shorter = WORDS.split_ascii_whitespace().filter_map(|word| rest.strip_prefix(word));
        rests.extend(shorter.map(|rest| (rest.len(), rest)));
    }
    false
}

fn distinct_bytes(secret: &str) -> usize {
    let mut bytes = secret.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len()
}

/// Random text has more different characters than this, but for one time in a million: of 16 hexadecimal digits, eight; of
/// eight, which only a webhook's secret may have, four.
fn min_distinct(min_bytes: usize) -> usize {
    (min_bytes / 2).min(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_stands_in_examples_is_refused_wherever_a_secret_is_needed() {
        for placeholder in [
            "ChangeMe",
            "change-me-please",
            "changeme-0123456789",
            "default_secret",
            "secret123",
            "supersecret",
            "my-super-secret-key",
            "test_secret",
            "your-secret-here",
            "YOUR_WEBHOOK_SIGNING_SECRET",
            "replace-with-your-secret",
            "replace_this_value",
            "your-256-bit-secret",
            "a-string-secret-at-least-256-bits-long",
            "changeme-changeme-changeme-changeme",
            "whsec_your_secret",
            "whsec_...",
            "whsec_abcd...",
            "whsec_xxxxxxxxxxxxxxxxxxxxxxxx",
            "<your secret here>",
            "<Stripe's, from the dashboard>",
        ] {
            for min_bytes in [8, 16, 32] {
                assert_eq!(check(placeholder, min_bytes), Err(Weakness::Placeholder), "{placeholder}");
            }
        }
    }

    #[test]
    fn what_else_is_no_secret_is_refused_with_its_reason() {
        for (secret, min_bytes, expected) in [
            ("", 8, Weakness::Empty),
            (" \n", 8, Weakness::Empty),
            ("abcd 12345678", 8, Weakness::Blank),
            ("8f3b1c2d9a7e\n", 8, Weakness::Blank),
            ("8f3b1c2d\u{7}9a7e", 8, Weakness::Blank),
            ("8f3b1c2", 8, Weakness::TooShort(8)),
            ("8f3b1c2d9a7e", 32, Weakness::TooShort(32)),
            ("00000000", 8, Weakness::Repetitive),
            (&"ab".repeat(40), 32, Weakness::Repetitive),
        ] {
            assert_eq!(check(secret, min_bytes), Err(expected), "{secret:?}");
        }
    }

    #[test]
    fn what_could_be_a_secret_is_taken() {
        for secret in [
            "8f3b1c2d",
            "whsec_8f3b1c2d",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "acme-webhook-secret-8f3b1c2d9a7e",
            "Tr0ub4dor&3",
            "a-test-key-for-staging",
        ] {
            assert_eq!(check(secret, 8), Ok(()), "{secret}");
        }
    }

    proptest! {
        #[test]
        fn no_random_secret_is_refused(hex in "[0-9a-f]{32}", base64 in "[A-Za-z0-9+/]{43}=") {
            for secret in [format!("whsec_{hex}"), format!("whsec_{base64}"), hex, base64] {
                prop_assert_eq!(check(&secret, 32), Ok(()), "{}", secret);
            }
        }

        #[test]
        fn any_text_is_answered(secret in "\\PC*") {
            let _ = check(&secret, 8);
        }
    }
}
