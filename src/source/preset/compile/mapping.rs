//! `[event]` and `[[map]]`: from what is written to a mapping.

use super::words::{place, pointer, sentence};
use crate::{
    payment::{Currency, MAX_FACTS},
    source::{
        mapping::{FactEntry, FactRule, IdFrom, MapEntry, Mapping, MoneyRule, PartRule, Word},
        payload::Place,
        preset::{
            mistake::{Checked, mistake},
            options::OptionRules,
            raw,
        },
        verify::{Piece, Scheme},
    },
};
use serde::{Deserialize, de::IntoDeserializer as _, de::value::Error as WordError};
use std::collections::BTreeMap;

/// What marks an event id that no signature covers.
const UNSIGNED: &str = "!unsigned";

/// What vouches for what stands in the places of a mapping.
#[derive(Clone, Copy)]
pub(in crate::source::preset) enum Proof<'a> {
    /// A delivery's signature.
    Signature(&'a Scheme),
    /// Our own connection to the provider, for the body of its answer and nothing else.
    Connection,
}

impl Proof<'_> {
    fn proves_body(self) -> bool {
        match self {
            Self::Signature(scheme) => scheme.proves_body(),
            Self::Connection => true,
        }
    }

    fn proves_query(self) -> bool {
        match self {
            Self::Signature(scheme) => scheme.proves_query(),
            Self::Connection => false,
        }
    }

    fn signs(self, piece: &Piece) -> bool {
        match self {
            Self::Signature(scheme) => scheme.signs(piece),
            Self::Connection => false,
        }
    }
}

/// The mapping of what `proof` vouches for.
pub(in crate::source::preset) fn mapping(
    event: &raw::Event,
    map: &[raw::Map],
    proof: Proof<'_>,
    options: &OptionRules,
) -> Checked<Mapping> {
    let id = event.id.iter().enumerate();
    let id = id.map(|(i, text)| id_from(&format!("event.id[{i}]"), text, proof, options));
    let id = id.collect::<Checked<_>>()?;
    if event.kind.is_empty() && event.otherwise.is_none() {
        return mistake("event.type", "it is missing: where the type stands");
    }
    let Some(amounts) = event.amounts else {
        return mistake("event.amounts", "it is missing; allowed: minor, major");
    };
    let occurred_at = event.occurred_at.as_ref();
    let occurred_at = occurred_at
        .map(|time| Ok((believed("event.occurred_at.at", &time.at, proof, options)?, time.form)))
        .transpose()?;
    let live = event.live.as_ref().map(|live| live_words(live, proof, options)).transpose()?;
    let payment = believed("event.payment", &event.payment, proof, options)?;
    let exponents = event.exponents.iter().map(|(code, exponent)| own_exponent(code, *exponent));
    let exponents = exponents.collect::<Checked<_>>()?;
    let entries = map.iter().enumerate();
    let entries = entries.map(|(i, raw)| entry(&format!("map[{i}]"), raw, proof, options));
    let entries: Vec<_> = entries.collect::<Checked<_>>()?;
    if payment.is_empty() && entries.iter().any(|entry| entry.payment.is_none()) {
        return mistake("event.payment", "it is missing: where the payment's id stands");
    }
    let kind = believed("event.type", &event.kind, proof, options)?;
    let otherwise = event.otherwise.clone();
    let own_ids = believed("event.own_ids", &event.own_ids, proof, options)?;
    Ok(Mapping { id, kind, otherwise, occurred_at, live, payment, own_ids, amounts, exponents, entries })
}

/// Places whose texts may be believed: headers and the query only where they are signed or, with a token in it, the sender's.
fn believed(key: &str, texts: &[String], proof: Proof<'_>, options: &OptionRules) -> Checked<Vec<Place>> {
    let texts = texts.iter().enumerate();
    texts.map(|(i, text)| believed_one(&format!("{key}[{i}]"), text, proof, options)).collect()
}

fn believed_one(key: &str, text: &str, proof: Proof<'_>, options: &OptionRules) -> Checked<Place> {
    let place = place(key, text, options)?;
    if is_signed(&place, proof) {
        Ok(place)
    } else {
        mistake(key, format!("`{place}` is not signed, so it proves nothing"))
    }
}

/// Payloads count as signed here: where they are not, the preset's trust says so.
fn is_signed(place: &Place, proof: Proof<'_>) -> bool {
    match place {
        Place::Payload(_) | Place::Option(_) => true,
        Place::Header(name) => proof.signs(&Piece::Header(name.clone())),
        Place::Query(name) => proof.proves_query() || proof.signs(&Piece::Query(name.to_string())),
    }
}

fn live_words(
    raw: &raw::Live,
    proof: Proof<'_>,
    options: &OptionRules,
) -> Checked<(Place, BTreeMap<String, bool>)> {
    let words = if raw.words.is_empty() {
        [true, false].map(|live| (live.to_string(), live)).into()
    } else {
        raw.words.clone()
    };
    Ok((believed_one("event.live.at", &raw.at, proof, options)?, words))
}

fn own_exponent(code: &str, exponent: u8) -> Checked<Currency> {
    let currency = Currency::asset(code, exponent);
    currency.or_else(|_| {
        mistake(
            format!("event.exponents.{code}"),
            "allowed: codes of ISO 4217 and names of assets, each with a whole number from 0 to 18",
        )
    })
}

fn id_from(key: &str, text: &str, proof: Proof<'_>, options: &OptionRules) -> Checked<IdFrom> {
    let bare = text.strip_suffix(UNSIGNED);
    let from = place(key, bare.unwrap_or(text), options)?;
    let covered = is_signed(&from, proof) && (proof.proves_body() || !matches!(from, Place::Payload(_)));
    match (bare, covered) {
        (None, false) => mistake(
            key,
            format!(
                "`{from}` is not signed, so it identifies nothing; write `{from}{UNSIGNED}` to keep it beside"
            ),
        ),
        (Some(_), true) => mistake(key, format!("`{from}` is signed")),
        _ => Ok(IdFrom { from, signed: covered }),
    }
}

fn entry(key: &str, raw: &raw::Map, proof: Proof<'_>, options: &OptionRules) -> Checked<MapEntry> {
    let bound = 1..=MAX_FACTS;
    if raw.kinds.is_empty() {
        return mistake(format!("{key}.type"), "at least one type is needed");
    }
    if !bound.contains(&raw.facts.len()) {
        return mistake(format!("{key}.facts"), format!("1 to {MAX_FACTS} facts are needed"));
    }
    if raw.facts.iter().all(|fact| fact.only_if.is_some()) {
        return mistake(format!("{key}.facts"), "one of them at least must be without `if`");
    }
    if let Some(why) = &raw.why {
        if raw.facts.iter().any(|fact| fact.fact != raw::FactKind::Note) {
            return mistake(format!("{key}.why"), "only an entry whose facts are all notes has it");
        }
        sentence(format!("{key}.why"), why)?;
    }
    let when = raw.when.iter();
    let when = when
        .map(|(at, words)| Ok((believed_one(&format!("{key}.when"), at, proof, options)?, words.clone())));
    let when = when.collect::<Checked<_>>()?;
    let payment = raw.payment.as_ref();
    let payment =
        payment.map(|texts| believed(&format!("{key}.payment"), texts, proof, options)).transpose()?;
    let facts = raw.facts.iter().enumerate();
    let facts = facts.map(|(i, raw)| {
        let key = format!("{key}.facts[{i}]");
        let only_if = raw.only_if.as_deref().map(|at| pointer(&format!("{key}.if"), at)).transpose()?;
        Ok(FactEntry { only_if, rule: fact(&key, raw)? })
    });
    let facts = facts.collect::<Checked<_>>()?;
    Ok(MapEntry { kinds: raw.kinds.clone(), when, payment, facts })
}

fn fact(key: &str, raw: &raw::Fact) -> Checked<FactRule> {
    use raw::FactKind as Kind;
    let (allowed, needed): (&[&str], &[&str]) = match raw.fact {
        Kind::Phase => (&["is", "at", "amount", "currency"], &[]),
        // What always failed moved no money.
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
