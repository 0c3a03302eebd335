//! `[event]` and `[[map]]`: compiles them to a mapping.

use super::{
    coded::PresetCodes,
    fact::fact,
    proof::Proof,
    words::{place, pointer, sentence},
};
use crate::{
    payment::{Currency, MAX_FACTS, MAX_LABELS, MAX_PARTS},
    source::{
        mapping::{FactEntry, IdFrom, MapEntry, Mapping},
        payload::Place,
        preset::{
            mistake::{Checked, mistake},
            options::OptionRules,
            raw,
        },
        verify::Piece,
    },
};
use std::collections::BTreeMap;

/// The suffix of a place whose event id no signature covers.
const UNSIGNED: &str = "!unsigned";

/// What the entries of a mapping are compiled with.
#[derive(Clone, Copy)]
pub(in crate::source::preset) struct Context<'a> {
    /// What vouches for the payloads.
    pub(in crate::source::preset) proof: Proof<'a>,
    /// The options that the preset defines.
    pub(in crate::source::preset) options: &'a OptionRules,
    /// The words for the provider's codes.
    pub(in crate::source::preset) codes: &'a PresetCodes,
}

/// Compiles the mapping of payloads.
pub(in crate::source::preset) fn mapping(
    event: &raw::Event,
    map: &[raw::Map],
    context: Context<'_>,
) -> Checked<Mapping> {
    let Context { proof, options, .. } = context;
    let id = event.id.iter().enumerate();
    let id = id.map(|(i, text)| id_from(&format!("event.id[{i}]"), text, proof, options));
    let id = id.collect::<Checked<_>>()?;
    if event.kind.is_empty() && event.otherwise.is_none() {
        return mistake("event.type", "it is missing; it says where the event's type is");
    }
    let Some(amounts) = event.amounts else {
        return mistake("event.amounts", "it is missing; allowed: minor, major");
    };
    let occurred_at = event.occurred_at.as_ref();
    let occurred_at = occurred_at
        .map(|time| Ok((proven("event.occurred_at.at", &time.at, proof, options)?, time.form)))
        .transpose()?;
    let live = event.live.as_ref().map(|live| live_words(live, proof, options)).transpose()?;
    let payment = proven("event.payment", &event.payment, proof, options)?;
    let exponents = event.exponents.iter().map(|(code, exponent)| own_exponent(code, *exponent));
    let exponents = exponents.collect::<Checked<_>>()?;
    let entries = map.iter().enumerate();
    let entries = entries.map(|(i, raw)| entry(&format!("map[{i}]"), raw, context));
    let entries: Vec<_> = entries.collect::<Checked<_>>()?;
    if payment.is_empty() && entries.iter().any(|entry| entry.payment.is_none()) {
        return mistake("event.payment", "it is missing; it says where the payment's id is");
    }
    let kind = proven("event.type", &event.kind, proof, options)?;
    let otherwise = event.otherwise.clone();
    let own_ids = proven("event.own_ids", &event.own_ids, proof, options)?;
    let labels = ids("event.labels", &event.labels, MAX_LABELS, proof, options)?;
    let parts = ids("event.parts", &event.parts, MAX_PARTS, proof, options)?;
    Ok(Mapping {
        id,
        kind,
        otherwise,
        occurred_at,
        live,
        payment,
        labels,
        parts,
        payment_is_part: event.payment_is_part.unwrap_or_default(),
        own_ids,
        amounts,
        exponents,
        entries,
    })
}

/// Parses places whose texts have to be proven. Headers and the query are proven if they are signed; a query is also proven if
/// it holds the source's token, since the sender then wrote all of it.
fn proven(key: &str, texts: &[String], proof: Proof<'_>, options: &OptionRules) -> Checked<Vec<Place>> {
    let texts = texts.iter().enumerate();
    texts.map(|(i, text)| proven_one(&format!("{key}[{i}]"), text, proof, options)).collect()
}

/// Parses the places of labels or of parts, of which there may be `most`.
fn ids(
    key: &str,
    texts: &[String],
    most: usize,
    proof: Proof<'_>,
    options: &OptionRules,
) -> Checked<Vec<Place>> {
    if texts.len() > most {
        return mistake(key, format!("at most {most} places are allowed"));
    }
    let places = proven(key, texts, proof, options)?;
    match places.iter().find(|place| matches!(place, Place::Option(_))) {
        Some(option) => mistake(key, format!("`{option}` is the same for all payments, so it names none")),
        None => Ok(places),
    }
}

fn proven_one(key: &str, text: &str, proof: Proof<'_>, options: &OptionRules) -> Checked<Place> {
    let place = place(key, text, options)?;
    if is_signed(&place, proof) {
        Ok(place)
    } else {
        mistake(key, format!("`{place}` is not signed, so it proves nothing"))
    }
}

/// Returns whether a place is proven. Payloads count as signed here; for those that are not, the preset sets its trust to a hint.
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
    Ok((proven_one("event.live.at", &raw.at, proof, options)?, words))
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
                "`{from}` is not signed, so it identifies nothing; write `{from}{UNSIGNED}` to keep it in the delivery log only"
            ),
        ),
        (Some(_), true) => mistake(key, format!("`{from}` is signed; leave `{UNSIGNED}` out")),
        _ => Ok(IdFrom { from, signed: covered }),
    }
}

fn entry(key: &str, raw: &raw::Map, context: Context<'_>) -> Checked<MapEntry> {
    let Context { proof, options, codes } = context;
    let bound = 1..=MAX_FACTS;
    if raw.kinds.is_empty() {
        return mistake(format!("{key}.type"), "at least one type is needed");
    }
    if !bound.contains(&raw.facts.len()) {
        return mistake(format!("{key}.facts"), format!("1 to {MAX_FACTS} facts are needed"));
    }
    if raw.facts.iter().all(|fact| fact.only_if.is_some()) {
        return mistake(format!("{key}.facts"), "at least one of them must be without `if`");
    }
    if let Some(why) = &raw.why {
        if raw.facts.iter().any(|fact| fact.fact != raw::FactKind::Note) {
            return mistake(format!("{key}.why"), "only an entry whose facts are all notes may have it");
        }
        sentence(format!("{key}.why"), why)?;
    }
    let when = raw.when.iter();
    let when =
        when.map(|(at, words)| Ok((proven_one(&format!("{key}.when"), at, proof, options)?, words.clone())));
    let when = when.collect::<Checked<_>>()?;
    let payment = raw.payment.as_ref();
    let payment =
        payment.map(|texts| proven(&format!("{key}.payment"), texts, proof, options)).transpose()?;
    let own = |name: &str, texts: &Option<Vec<String>>, most| {
        let texts = texts.as_ref();
        texts.map(|texts| ids(&format!("{key}.{name}"), texts, most, proof, options)).transpose()
    };
    let own_labels = own("labels", &raw.labels, MAX_LABELS)?;
    let parts = own("parts", &raw.parts, MAX_PARTS)?;
    let part = ids(&format!("{key}.part"), &raw.part, MAX_PARTS, proof, options)?;
    let facts = raw.facts.iter().enumerate();
    let facts = facts.map(|(i, raw)| {
        let key = format!("{key}.facts[{i}]");
        let only_if = raw.only_if.as_deref().map(|at| pointer(&format!("{key}.if"), at)).transpose()?;
        Ok(FactEntry { only_if, rule: fact(&key, raw, codes)? })
    });
    let facts = facts.collect::<Checked<_>>()?;
    Ok(MapEntry { kinds: raw.kinds.clone(), when, payment, labels: own_labels, parts, part, facts })
}
