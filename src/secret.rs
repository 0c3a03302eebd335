//! The check that refuses texts which are no secrets: an empty one, a placeholder, a few letters.
//!
//! Every secret of the configuration passes through it, so that all rooms refuse the same. It must not know any room, and its errors
//! never show the text.

use std::collections::BTreeMap;

/// The words of which the secrets in examples and templates consist. The only ones that are hexadecimal are the rows of digits and "a",
/// so a random secret consists of these words only by a negligible chance.
const WORDS: &str = "
    0123456789 123 1234 12345 123456 12345678 123456789 256 a access admin api at auth bit bits change default
    demo dummy endpoint enter example foo generate hashed here hmac insert is it jwt key least live local long me
    my not operator password paste paystream placeholder please private put random real replace sample secret
    secure set shared shop signing sk some stream string stripe super test the this to todo token unsafe use value
    very webhook whsec with x your
";

/// Why a text is no secret. It does not hold the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Weakness {
    /// The text is empty, or only white space.
    #[error("is empty")]
    Empty,
    /// The text consists of the words of examples, or is marked as a gap to fill in.
    #[error("is a placeholder, known to everyone")]
    Placeholder,
    /// The text contains a blank, a line break or a control character, as after a mistake in pasting.
    #[error("holds white space or control characters")]
    Blank,
    /// The text has fewer bytes than the least length, which is given here.
    #[error("is shorter than {0} bytes")]
    TooShort(usize),
    /// The text has only a few different characters.
    #[error("repeats a few characters")]
    Repetitive,
}

/// Refuses a text that is no secret, or that has fewer than `min_bytes` bytes. A text that passes may still be a bad secret.
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

/// Whether a text consists only of the words of examples, with any punctuation between them, or is marked as a gap to fill in: `<…>`,
/// `...`.
fn is_placeholder(secret: &str) -> bool {
    let marked = secret.starts_with('<') && secret.ends_with('>') || secret.contains("...");
    let text: String =
        secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    marked || !text.is_empty() && is_made_of_words(&text)
}

/// Whether a text is a sequence of the words of examples. All ways to split it are tried. The remainders are kept by their length, the
/// longest first, so that each is examined only once.
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

/// The least number of different characters. Random text has fewer only once in a million times: 16 hexadecimal digits have at least
/// eight different ones; eight digits, which only a webhook's secret may have, at least four.
fn min_distinct(min_bytes: usize) -> usize {
    (min_bytes / 2).min(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn placeholders_of_examples_are_refused_whatever_the_least_length() {
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
    fn other_texts_that_are_no_secrets_are_refused_with_a_reason() {
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
    fn a_possible_secret_is_accepted() {
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
        fn no_text_makes_the_check_panic(secret in "\\PC*") {
            let _ = check(&secret, 8);
        }
    }
}
