//! A word from a closed set that a provider's code stands for: why a payment failed, or what the customer has to do next.

use crate::source::payload::Pointer;
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// The words for a provider's codes, by the code in lower case.
pub(crate) type Codes<T> = BTreeMap<String, T>;

/// How to read such a word.
#[derive(Clone, Debug)]
pub(crate) enum Coded<T> {
    /// The word is always this one.
    Is(T),
    /// The provider's code decides.
    At {
        /// The places of codes, the more exact one first. The first that holds a known code counts.
        places: Vec<Pointer>,
        /// The words for the codes of this preset.
        codes: Arc<Codes<T>>,
        /// The word for codes that are not known.
        otherwise: Option<T>,
    },
}

impl<T: Copy> Coded<T> {
    /// Returns the word, or `None` if the payload has no code that is known. Codes are compared without regard to letter case.
    pub(super) fn known(&self, payload: &Value) -> Option<T> {
        match self {
            Self::Is(word) => Some(*word),
            Self::At { places, codes, .. } => {
                written(places, payload).find_map(|code| codes.get(&code.to_lowercase()).copied())
            }
        }
    }

    /// Returns the word as [`known`](Self::known) does, or the word for codes that are not known if the payload has such a code.
    pub(super) fn known_or_otherwise(&self, payload: &Value) -> Option<T> {
        self.known(payload).or_else(|| match self {
            Self::At { places, otherwise, .. } => {
                otherwise.filter(|_| written(places, payload).next().is_some())
            }
            Self::Is(_) => None,
        })
    }

    /// Returns the code as the provider wrote it, from the first place that holds one.
    pub(super) fn code<'a>(&self, payload: &'a Value) -> Option<Cow<'a, str>> {
        match self {
            Self::Is(_) => None,
            Self::At { places, .. } => written(places, payload).next(),
        }
    }

    /// Returns the pointers that [`known`](Self::known) and [`code`](Self::code) may follow.
    pub(super) fn pointers(&self) -> &[Pointer] {
        match self {
            Self::Is(_) => &[],
            Self::At { places, .. } => places,
        }
    }
}

/// Returns the codes at these places. A place without text holds none.
fn written<'a>(places: &[Pointer], payload: &'a Value) -> impl Iterator<Item = Cow<'a, str>> {
    places.iter().filter_map(|at| at.text(payload)).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_known_code_counts_and_an_unknown_one_gets_the_word_for_the_unknown() {
        let coded = |otherwise| Coded::At {
            places: ["/advice", "/code"].map(|at| at.parse().unwrap()).into(),
            codes: Arc::new([("expired".to_owned(), 1), ("51".to_owned(), 2)].into()),
            otherwise,
        };
        for (payload, expected, code) in [
            (json!({ "advice": "Expired", "code": "51" }), Some(1), Some("Expired")),
            (json!({ "advice": "?", "code": 51 }), Some(2), Some("?")),
            (json!({ "advice": "", "code": "51" }), Some(2), Some("51")),
            (json!({ "advice": null, "code": "stolen" }), Some(9), Some("stolen")),
            (json!({ "advice": {}, "code": "" }), None, None),
            (json!({}), None, None),
        ] {
            assert_eq!(coded(Some(9)).known_or_otherwise(&payload), expected, "{payload}");
            assert_eq!(coded(Some(9)).code(&payload).as_deref(), code, "{payload}");
        }
        assert_eq!(coded(Some(9)).known(&json!({ "code": "stolen" })), None);
        assert_eq!(coded(None).known_or_otherwise(&json!({ "code": "stolen" })), None);
        assert_eq!(Coded::Is(7).known_or_otherwise(&json!({})), Some(7));
    }
}
