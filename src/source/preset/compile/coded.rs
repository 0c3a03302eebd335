//! `[failures]`, `[actions]`, and the keys of facts that refer to them.

use super::words::pointer;
use crate::{
    payment::{ActionKind, FailureReason},
    source::{
        mapping::{Coded, Codes},
        preset::{
            mistake::{Checked, mistake},
            raw,
        },
    },
};
use serde::{Deserialize, de::IntoDeserializer as _, de::value::Error as WordError};
use std::{collections::BTreeMap, sync::Arc};

/// The words for the provider's codes, which all facts of a preset share.
pub(in crate::source::preset) struct PresetCodes {
    failures: Arc<Codes<FailureReason>>,
    actions: Arc<Codes<ActionKind>>,
}

/// Compiles `[failures]` and `[actions]`.
pub(in crate::source::preset) fn codes(
    failures: &BTreeMap<String, FailureReason>,
    actions: &BTreeMap<String, ActionKind>,
) -> PresetCodes {
    PresetCodes { failures: Arc::new(in_lower_case(failures)), actions: Arc::new(in_lower_case(actions)) }
}

fn in_lower_case<T: Copy>(codes: &BTreeMap<String, T>) -> Codes<T> {
    codes.iter().map(|(code, word)| (code.to_lowercase(), *word)).collect()
}

impl PresetCodes {
    /// Compiles the `failure` of a fact. A code that the preset does not list says only that the payment was declined: what it
    /// means may be something that a customer must not learn.
    pub(super) fn failure(
        &self,
        key: &str,
        raw: Option<&raw::Coded>,
    ) -> Checked<Option<Coded<FailureReason>>> {
        coded(format!("{key}.failure"), raw, "[failures]", &self.failures, Some(FailureReason::Declined))
    }

    /// Compiles the `action` of a fact.
    pub(super) fn action(&self, key: &str, raw: Option<&raw::Coded>) -> Checked<Option<Coded<ActionKind>>> {
        coded(format!("{key}.action"), raw, "[actions]", &self.actions, None)
    }
}

fn coded<T: for<'de> Deserialize<'de>>(
    key: String,
    raw: Option<&raw::Coded>,
    table: &str,
    codes: &Arc<Codes<T>>,
    otherwise: Option<T>,
) -> Checked<Option<Coded<T>>> {
    Ok(Some(match raw {
        None => return Ok(None),
        Some(raw::Coded::Is(word)) => {
            let word = T::deserialize(word.as_str().into_deserializer());
            Coded::Is(word.or_else(|why: WordError| mistake(key, why))?)
        }
        Some(raw::Coded::At(places)) if places.is_empty() => {
            return mistake(key, "at least one place is needed");
        }
        Some(raw::Coded::At(_)) if codes.is_empty() => {
            return mistake(key, format!("{table} is missing; it says what the codes at these places mean"));
        }
        Some(raw::Coded::At(places)) => {
            let places = places.iter().enumerate();
            let places =
                places.map(|(i, text)| pointer(&format!("{key}[{i}]"), text)).collect::<Checked<_>>()?;
            Coded::At { places, codes: Arc::clone(codes), otherwise }
        }
    }))
}
