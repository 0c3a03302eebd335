//! `[signature]`: compiles it to a recipe.

use super::words::{header, no_option};
use crate::source::{
    payload::Place,
    preset::{
        mistake::{Checked, mistake},
        options::OptionRules,
        raw,
    },
    verify::{
        Algorithm, Carrier, CertificateRule, Encoding, Gap, Item, ItemToken, KeyForm, Method, Part, Piece,
        Recipe, TimeFrom, TimeRule,
    },
};
use std::time::Duration;

/// Compiles a recipe, and checks that it makes sense.
pub(in crate::source::preset) fn recipe(raw: raw::Signature, options: &OptionRules) -> Checked<Recipe> {
    let carrier = match (&raw.header, &raw.query) {
        (Some(name), None) => Carrier::Header(header("signature.header", name)?),
        (None, Some(name)) => Carrier::Query(name.clone()),
        _ => {
            return mistake(
                "signature.header",
                "either `header` or `query` must say what carries the signatures",
            );
        }
    };
    let first = raw::Method {
        items: raw.items,
        algorithm: raw.algorithm,
        encoding: raw.encoding,
        key: raw.key,
        prefix: raw.prefix,
    };
    let mut methods = vec![method("signature", &first)?];
    for (i, also) in raw.also.iter().enumerate() {
        let key = format!("signature.also[{i}]");
        if also.prefix.is_empty() {
            return mistake(
                format!("{key}.prefix"),
                "it is missing; it tells this method's secrets from the others",
            );
        }
        methods.push(method(&key, also)?);
    }
    let signed = raw.signed.iter().enumerate();
    let signed = signed.map(|(i, text)| part(&format!("signature.signed[{i}]"), text, options));
    let signed: Vec<Part> = signed.collect::<Checked<_>>()?;
    let fields: Vec<&str> = methods.iter().flat_map(|method| &method.items).flat_map(Item::fields).collect();
    for piece in signed.iter().flat_map(|part| &part.pieces) {
        if let Piece::Field(name) | Piece::Headers(name) = piece
            && !fields.contains(&name.as_str())
        {
            return mistake("signature.signed", format!("`{{sig.{name}}}`: no item has `{{{name}}}`"));
        }
    }
    let is_token = methods.iter().all(|method| method.algorithm == Algorithm::Token);
    if is_token != signed.is_empty() {
        return mistake("signature.signed", "it must be given, except for tokens, which sign nothing");
    }
    let key_id = raw.key_id.as_deref().map(|name| header("signature.key_id", name)).transpose()?;
    let certificates = raw.certificates.map(|raw| certificates(raw, &methods)).transpose()?;
    let mut recipe =
        Recipe { carrier, separator: raw.separator, key_id, signed, time: None, certificates, methods };
    recipe.time = raw.time.map(|time| time_rule(time, &recipe)).transpose()?;
    Ok(recipe)
}

fn method(key: &str, raw: &raw::Method) -> Checked<Method> {
    let items = raw.items.iter().enumerate();
    let items = items.map(|(i, text)| item(&format!("{key}.items[{i}]"), text));
    let items: Vec<Item> = items.collect::<Checked<_>>()?;
    if !items.iter().any(Item::is_signature) {
        return mistake(format!("{key}.items"), "one of them must hold `{signature}`");
    }
    let raw::Method { algorithm, encoding, key: form, prefix, .. } = raw.clone();
    let fits = match algorithm {
        Algorithm::Token => encoding == Encoding::Text && form == KeyForm::Utf8,
        Algorithm::RsaSha256 => encoding != Encoding::Text && form.is_pem(),
        Algorithm::Ed25519 => encoding != Encoding::Text && form != KeyForm::Utf8,
        _ => encoding != Encoding::Text && !form.is_pem(),
    };
    if !fits {
        return mistake(
            format!("{key}.algorithm"),
            "token goes with text and utf8; rsa-sha256 with pem or certificate; ed25519 not with utf8; the others not with text \
             and not with pem or certificate",
        );
    }
    Ok(Method { items, algorithm, encoding, key: form, prefix })
}

/// Parses an item such as `t={t}`: text with gaps.
fn item(key: &str, text: &str) -> Checked<Item> {
    let mut tokens = Vec::new();
    for (text, gap) in braces(key, text)? {
        if !text.is_empty() {
            tokens.push(ItemToken::Text(text.to_owned()));
        }
        match gap {
            Some(_) if matches!(tokens.last(), Some(ItemToken::Gap(_))) => {
                return mistake(key, "there must be some text between two gaps");
            }
            Some("signature") => tokens.push(ItemToken::Gap(Gap::Signature)),
            Some("kid") => tokens.push(ItemToken::Gap(Gap::KeyId)),
            Some(field) => tokens.push(ItemToken::Gap(Gap::Field(field.to_owned()))),
            None => {}
        }
    }
    let item = Item(tokens);
    match (item.is_signature(), item.fields().count(), item.names_key()) {
        (true, 0, _) | (false, 1, false) => Ok(item),
        _ => mistake(key, "an item holds `{signature}`, with `{kid}` if it names the key, or else one field"),
    }
}

/// Parses a part such as `id:{query:data.id};`. A question mark before it makes the part optional.
fn part(key: &str, text: &str, options: &OptionRules) -> Checked<Part> {
    let (optional, text) = text.strip_prefix('?').map_or((false, text), |text| (true, text));
    let mut pieces = Vec::new();
    for (text, gap) in braces(key, text)? {
        if !text.is_empty() {
            pieces.push(Piece::Literal(text.to_owned()));
        }
        if let Some(gap) = gap {
            pieces.push(piece(key, gap, options)?);
        }
    }
    Ok(Part { optional, pieces })
}

fn piece(key: &str, name: &str, options: &OptionRules) -> Checked<Piece> {
    if let Some(field) = name.strip_prefix("sig.") {
        return Ok(Piece::Field(field.to_owned()));
    }
    if let Some(field) = name.strip_prefix("headers:") {
        return Ok(Piece::Headers(field.to_owned()));
    }
    match name.parse() {
        _ if name == "body" => Ok(Piece::Body),
        _ if name == "crc32" => Ok(Piece::Crc32),
        Ok(Place::Header(name)) => Ok(Piece::Header(name)),
        Ok(Place::Query(name)) => Ok(Piece::Query(name.into())),
        Ok(Place::Option(name)) if options.contains_key(&*name) => Ok(Piece::Option(name.into())),
        Ok(Place::Option(name)) => no_option(key, &name),
        Ok(Place::Payload(_)) | Err(_) => mistake(
            key,
            format!(
                "`{{{name}}}` is not a piece; allowed: {{body}}, {{crc32}}, {{sig.FIELD}}, {{header:NAME}}, {{headers:FIELD}}, {{query:NAME}}, \
                 {{option:NAME}}, and plain text"
            ),
        ),
    }
}

/// Splits a text with `{names}` in it into pairs: a piece of text, and the name that follows it.
fn braces<'a>(key: &str, mut text: &'a str) -> Checked<Vec<(&'a str, Option<&'a str>)>> {
    let mut parts = Vec::new();
    while let Some((before, rest)) = text.split_once('{') {
        let Some((name, after)) = rest.split_once('}') else {
            return mistake(key, "a brace is opened but not closed");
        };
        parts.push((before, Some(name)));
        text = after;
    }
    parts.push((text, None));
    Ok(parts)
}

fn certificates(raw: raw::Certificates, methods: &[Method]) -> Checked<CertificateRule> {
    let raw::Certificates { header: name, issuers, live, test } = raw;
    if methods.iter().any(|method| method.key != KeyForm::Certificate) {
        return mistake("signature.certificates", "it is allowed with `key = \"certificate\"` only");
    }
    // A prefix without a slash at its end would also be the start of other hosts' addresses.
    let is_folder = |scheme: &str, place: &str| {
        let path = place.strip_prefix(scheme).and_then(|rest| rest.find('/'));
        path.is_some_and(|host_ends| host_ends > 0) && place.ends_with('/')
    };
    for (key, place) in [("live.below", &live.below), ("test.below", &test.below)] {
        if !is_folder("https://", place) {
            return mistake(format!("signature.certificates.{key}"), "allowed: https://HOST/FOLDER/");
        }
    }
    // The certificates of issuers are proven by their signatures and come over plain HTTP (RFC 5280, 8).
    if issuers.as_deref().is_some_and(|place| !is_folder("http://", place) && !is_folder("https://", place)) {
        return mistake("signature.certificates.issuers", "allowed: http://HOST/");
    }
    let header = header("signature.certificates.header", &name)?;
    Ok(CertificateRule { header, issuers, live, test })
}

fn time_rule(raw: raw::TimeRule, recipe: &Recipe) -> Checked<TimeRule> {
    let key = "signature.time.from";
    let (from, is_signed) = if let Some(field) = raw.from.strip_prefix("sig.") {
        (TimeFrom::Field(field.to_owned()), recipe.signs(&Piece::Field(field.to_owned())))
    } else {
        match raw.from.parse() {
            Ok(Place::Header(name)) => (TimeFrom::Header(name.clone()), recipe.signs(&Piece::Header(name))),
            Ok(Place::Payload(at)) => (TimeFrom::Payload(at), recipe.proves_body()),
            _ => return mistake(key, "allowed: sig.FIELD, header:NAME, /json/pointer"),
        }
    };
    if !is_signed {
        return mistake(key, "this time is not among the signed pieces, so it proves nothing");
    }
    let max_age = raw.max_age_s.map(Duration::from_secs);
    Ok(TimeRule { from, form: raw.form, max_age, max_future: Duration::from_secs(raw.max_future_s) })
}
