//! `facts` of `[[map]]`: compiles how each fact is read.

use super::{coded::PresetCodes, words::pointer};
use crate::source::{
    mapping::{FactRule, MoneyRule, PartRule, Word},
    preset::{
        mistake::{Checked, mistake},
        raw,
    },
};
use serde::{Deserialize, de::IntoDeserializer as _, de::value::Error as WordError};
use std::collections::BTreeMap;

/// Compiles one fact. Fails if a key is missing, or not allowed for this kind of fact.
pub(super) fn fact(key: &str, raw: &raw::Fact, codes: &PresetCodes) -> Checked<FactRule> {
    use raw::FactKind as Kind;
    let (allowed, needed): (&[&str], &[&str]) = match raw.fact {
        Kind::Phase => (&["is", "at", "amount", "currency", "failure", "action"], &[]),
        // A part that always failed moved no money, so its amount may be missing.
        Kind::Capture | Kind::Refund if raw.is.as_deref() == Some("failed") => {
            (&["is", "id", "amount", "currency"], &["id"])
        }
        Kind::Capture | Kind::Refund => (&["is", "at", "id", "amount", "currency"], &["id", "amount"]),
        Kind::Dispute => (&["is", "at", "id", "amount", "currency"], &["id"]),
        Kind::Total => (&["is", "amount", "currency"], &["amount"]),
        Kind::Note => (&[], &[]),
    };
    let given = [
        ("is", raw.is.is_some()),
        ("at", raw.at.is_some()),
        ("id", raw.id.is_some()),
        ("amount", raw.amount.is_some()),
        ("currency", raw.currency.is_some()),
        ("failure", raw.failure.is_some()),
        ("action", raw.action.is_some()),
    ];
    for (name, given) in given {
        if given && !allowed.contains(&name) {
            return mistake(format!("{key}.{name}"), "this kind of fact has no such key");
        }
        if !given && needed.contains(&name) {
            return mistake(format!("{key}.{name}"), "it is missing");
        }
    }
    let at = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| pointer(&format!("{key}.{name}"), text)).transpose()
    };
    let (id, amount, currency) =
        (at("id", &raw.id)?, at("amount", &raw.amount)?, at("currency", &raw.currency)?);
    let money = amount.map(|amount| MoneyRule { amount, currency });
    match (raw.fact, id, money) {
        (Kind::Phase, _, money) => {
            let failure = codes.failure(key, raw.failure.as_ref())?;
            let action = codes.action(key, raw.action.as_ref())?;
            Ok(FactRule::Phase { phase: word(key, raw)?, money, failure, action })
        }
        (Kind::Capture, Some(id), amount) => {
            Ok(FactRule::Capture(PartRule { id, amount, state: word(key, raw)? }))
        }
        (Kind::Refund, Some(id), amount) => {
            Ok(FactRule::Refund(PartRule { id, amount, state: word(key, raw)? }))
        }
        (Kind::Dispute, Some(id), amount) => {
            Ok(FactRule::Dispute(PartRule { id, amount, state: word(key, raw)? }))
        }
        (Kind::Total, _, Some(amount)) => match word(key, raw)? {
            Word::Is(of) => Ok(FactRule::Total { of, amount }),
            Word::At { .. } => mistake(format!("{key}.is"), "allowed: captured, refunded"),
        },
        (Kind::Note, ..) => Ok(FactRule::Note),
        (Kind::Capture | Kind::Refund | Kind::Dispute | Kind::Total, ..) => {
            mistake(key, "id or amount is missing")
        }
    }
}

/// Compiles a phase or state, which is either always the same or given by the provider's word for it.
fn word<T: for<'de> Deserialize<'de>>(key: &str, raw: &raw::Fact) -> Checked<Word<T>> {
    let read = |key: String, text: &str| {
        T::deserialize(text.into_deserializer()).or_else(|why: WordError| mistake(key, why))
    };
    match (&raw.is, &raw.at) {
        (Some(is), None) if raw.words.is_empty() => Ok(Word::Is(read(format!("{key}.is"), is)?)),
        (None, Some(at)) if !raw.words.is_empty() => {
            let words = raw.words.iter();
            let words = words
                .map(|(theirs, ours)| Ok((theirs.clone(), read(format!("{key}.words.{theirs}"), ours)?)))
                .collect::<Checked<BTreeMap<_, _>>>()?;
            Ok(Word::At { at: pointer(&format!("{key}.at"), at)?, words })
        }
        _ => mistake(key, "either `is`, or both `at` and `words`, must be given"),
    }
}
