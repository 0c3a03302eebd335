//! From a preset as it is written to one that can be used. Each mistake is told with its key and what is allowed.

use super::{
    mapping::{Entry, FactRule, IdFrom, Mapping, MoneyRule, PartRule, Word},
    pointer::Pointer,
    raw,
};
use crate::{
    ingest::signature::recipe::{Format, KeyForm, Piece, Recipe, TimeFrom, TimeRule},
    payment::{Currency, MAX_FACTS},
};
use http::HeaderName;
use serde::{Deserialize, de::IntoDeserializer as _, de::value::Error as WordError};
use std::{collections::BTreeMap, time::Duration};

/// What is wrong, and where.
pub(super) struct Mistake {
    pub(super) key: String,
    pub(super) reason: String,
}

type Checked<T> = Result<T, Mistake>;

fn mistake<T>(key: impl Into<String>, reason: impl ToString) -> Checked<T> {
    Err(Mistake { key: key.into(), reason: reason.to_string() })
}

/// `[signature]`
pub(super) fn recipe(raw: raw::Signature) -> Checked<Recipe> {
    let signed = raw.signed.iter().enumerate();
    let signed: Vec<_> =
        signed.map(|(i, text)| piece(&format!("signature.signed[{i}]"), text)).collect::<Checked<_>>()?;
    if !signed.contains(&Piece::Body) {
        return mistake(
            "signature.signed",
            "`{body}` is missing: nothing that is not signed may be believed",
        );
    }
    let format = match raw.format {
        raw::Format::Raw => Format::Raw,
        raw::Format::Pairs { signatures, .. } if signatures.is_empty() => {
            return mistake("signature.format.pairs.signatures", "at least one key is needed");
        }
        raw::Format::Pairs { separator, signatures } => Format::Pairs { separator, signatures },
        raw::Format::Versioned { version } => Format::Versioned { version },
    };
    let has_fields = matches!(format, Format::Pairs { .. });
    if !has_fields && signed.iter().any(|piece| matches!(piece, Piece::Field(_))) {
        return mistake("signature.signed", "`{sig.…}` needs a format of `pairs`");
    }
    let key = match raw.key {
        raw::Key::Utf8 => KeyForm::Utf8,
        raw::Key::Base64 { strip } => KeyForm::Base64 { strip },
    };
    let time = raw.time.map(|time| time_rule(time, &signed)).transpose()?;
    let header = header("signature.header", &raw.header)?;
    Ok(Recipe { header, format, algorithm: raw.algorithm, encoding: raw.encoding, key, signed, time })
}

fn piece(key: &str, text: &str) -> Checked<Piece> {
    let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return Ok(Piece::Literal(text.to_owned()));
    };
    if name == "body" {
        Ok(Piece::Body)
    } else if let Some(field) = name.strip_prefix("sig.") {
        Ok(Piece::Field(field.to_owned()))
    } else if let Some(name) = name.strip_prefix("header:") {
        Ok(Piece::Header(header(key, name)?))
    } else {
        mistake(
            key,
            format!("`{text}` is no piece; allowed: {{body}}, {{sig.KEY}}, {{header:NAME}}, or plain text"),
        )
    }
}

fn time_rule(raw: raw::TimeRule, signed: &[Piece]) -> Checked<TimeRule> {
    let key = "signature.time.from";
    let (from, is_signed) = if let Some(field) = raw.from.strip_prefix("sig.") {
        (TimeFrom::Field(field.to_owned()), signed.contains(&Piece::Field(field.to_owned())))
    } else if let Some(name) = raw.from.strip_prefix("header:") {
        let name = header(key, name)?;
        (TimeFrom::Header(name.clone()), signed.contains(&Piece::Header(name)))
    } else if let Some(at) = raw.from.strip_prefix("json:") {
        // The body is always signed.
        (TimeFrom::Payload(pointer(key, at)?), true)
    } else {
        return mistake(key, "allowed: sig.KEY, header:NAME, json:/pointer");
    };
    if !is_signed {
        return mistake(key, "this time is not among the signed pieces, so it proves nothing");
    }
    let max_age = raw.max_age_s.map(Duration::from_secs);
    Ok(TimeRule { from, form: raw.form, max_age, max_future: Duration::from_secs(raw.max_future_s) })
}

/// `[event]` and `[[map]]`, for deliveries that are signed by `recipe`.
pub(super) fn mapping(event: &raw::Event, map: &[raw::Map], recipe: &Recipe) -> Checked<Mapping> {
    let id = event.id.iter().enumerate();
    let id = id.map(|(i, text)| id_from(&format!("event.id[{i}]"), text, recipe)).collect::<Checked<_>>()?;
    let Some(kind) = &event.kind else {
        return mistake("event.type", "it is missing: where the type stands");
    };
    let Some(amounts) = event.amounts else {
        return mistake("event.amounts", "it is missing; allowed: minor, major");
    };
    let occurred_at = event.occurred_at.as_ref();
    let occurred_at =
        occurred_at.map(|time| Ok((pointer("event.occurred_at.at", &time.at)?, time.form))).transpose()?;
    let live = event.live.as_deref().map(|live| pointer("event.live", live)).transpose()?;
    let payment = pointers("event.payment", &event.payment)?;
    let exponents = event.exponents.iter().map(|(code, exponent)| own_exponent(code, *exponent));
    let exponents = exponents.collect::<Checked<_>>()?;
    let entries = map.iter().enumerate();
    let entries: Vec<_> = entries.map(|(i, raw)| entry(&format!("map[{i}]"), raw)).collect::<Checked<_>>()?;
    if payment.is_empty() && entries.iter().any(|entry| entry.payment.is_none()) {
        return mistake("event.payment", "it is missing: where the payment's id stands");
    }
    let kind = pointer("event.type", kind)?;
    Ok(Mapping { id, kind, occurred_at, live, payment, amounts, exponents, entries })
}

fn own_exponent(code: &str, exponent: u8) -> Checked<Currency> {
    let currency = code.parse::<Currency>().and_then(|currency| currency.with_exponent(exponent));
    currency.or_else(|_| {
        mistake(
            format!("event.exponents.{code}"),
            "allowed: codes of ISO 4217, each with a whole number from 0 to 18",
        )
    })
}

fn id_from(key: &str, text: &str, recipe: &Recipe) -> Checked<IdFrom> {
    let Some(name) = text.strip_prefix("header:") else { return Ok(IdFrom::Payload(pointer(key, text)?)) };
    let name = header(key, name)?;
    if recipe.signs(&name) {
        Ok(IdFrom::Header(name))
    } else {
        mistake(key, format!("the header `{name}` is not signed, so it identifies nothing"))
    }
}

fn entry(key: &str, raw: &raw::Map) -> Checked<Entry> {
    let bound = 1..=MAX_FACTS;
    if raw.kinds.is_empty() {
        return mistake(format!("{key}.type"), "at least one type is needed");
    }
    if !bound.contains(&raw.facts.len()) {
        return mistake(format!("{key}.facts"), format!("1 to {MAX_FACTS} facts are needed"));
    }
    let when = raw.when.iter();
    let when = when
        .map(|(at, words)| Ok((pointer(&format!("{key}.when"), at)?, words.clone())))
        .collect::<Checked<_>>()?;
    let payment = raw.payment.as_ref().map(|texts| pointers(&format!("{key}.payment"), texts)).transpose()?;
    let facts = raw.facts.iter().enumerate();
    let facts = facts.map(|(i, raw)| fact(&format!("{key}.facts[{i}]"), raw)).collect::<Checked<_>>()?;
    Ok(Entry { kinds: raw.kinds.clone(), when, payment, facts })
}

fn fact(key: &str, raw: &raw::Fact) -> Checked<FactRule> {
    use raw::FactKind as Kind;
    let (allowed, needed): (&[&str], &[&str]) = match raw.fact {
        Kind::Phase => (&["is", "at", "amount", "currency"], &[]),
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
    ];
    for (name, given) in given {
        if given && !allowed.contains(&name) {
            return mistake(format!("{key}.{name}"), "this kind of fact has none");
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
        (Kind::Phase, _, money) => Ok(FactRule::Phase { phase: word(key, raw)?, money }),
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

/// A phase or state: always the same, or by the provider's word for it.
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
        _ => mistake(key, "either `is`, or `at` and `words`, must say where it stands"),
    }
}

fn header(key: &str, name: &str) -> Checked<HeaderName> {
    name.parse().or_else(|_| mistake(key, format!("`{name}` is no header name")))
}

fn pointer(key: &str, text: &str) -> Checked<Pointer> {
    text.parse().or_else(|why| mistake(key, format!("`{text}`: {why}")))
}

pub(super) fn pointers(key: &str, texts: &[String]) -> Checked<Vec<Pointer>> {
    texts.iter().enumerate().map(|(i, text)| pointer(&format!("{key}[{i}]"), text)).collect()
}
