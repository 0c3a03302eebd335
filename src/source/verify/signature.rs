//! Signatures: are these bytes from the provider, and from now?
//!
//! Works on the raw bytes, before anything is parsed. Every line of the signature header, every signature in it and
//! every secret of the source is tried; decoded bytes are compared in constant time; the time that is signed is the
//! header's text, never a number of ours written back. Computed signatures never leave this room.

mod header;
mod key;
mod recipe;

use super::{rejection::Rejection, window::Window};
use crate::{
    payment::Time,
    source::payload::{OptionValues, Pointer, RequestParts},
};
use aws_lc_rs::signature::ParsedPublicKey;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use header::{Claim, Line, MAX_SIGNATURES};
use http::HeaderName;
pub(crate) use key::Mac;
pub use key::SecretError;
use key::SecretKey;
use recipe::SIGNATURE;
pub(crate) use recipe::{
    Algorithm, Carrier, CertificateRule, Encoding, Item, ItemToken, KEY_ID, KeyForm, Method, Part, Piece,
    Published, Recipe, TimeFrom, TimeRule,
};
use secrecy::SecretString;
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

/// The most lines of a signature header that are looked at: each may cost one MAC of the body per secret. Mollie sends
/// two while a secret rotates.
const MAX_LINES: usize = 4;

/// A recipe with the secrets of one source.
pub(crate) struct RecipeVerifier {
    recipe: Recipe,
    keys: Vec<SecretKey>,
    window: Option<Window>,
}

/// What a provider sends along with a body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Signed {
    /// Headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Keys of the query.
    pub(crate) query: Vec<(String, String)>,
}

impl RecipeVerifier {
    /// Checks the secrets. `max_age` stands in for the recipe's own. An error says which secret it is about.
    pub(crate) fn new(
        recipe: Recipe,
        secrets: &[SecretString],
        max_age: Option<Duration>,
    ) -> Result<Self, (usize, SecretError)> {
        let keyed = |(index, secret)| SecretKey::new(&recipe, secret).map_err(|why| (index, why));
        let keys = secrets.iter().enumerate().map(keyed).collect::<Result<_, _>>()?;
        let window = recipe.time.as_ref().and_then(|time| {
            let max_age = max_age.or(time.max_age)?;
            Some(Window { max_age, max_future: time.max_future })
        });
        Ok(Self { recipe, keys, window })
    }

    /// Whether the provider signed these bytes, and within the window of time, if the time stands in a header.
    /// [`Rejection::UntrustedKey`] where it would take a key that has to be fetched.
    pub(crate) fn verify(
        &self,
        around: RequestParts<'_>,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        self.verify_lines(None, around, body, received_at)
    }

    /// As [`verify`](Self::verify), by a key that was fetched.
    pub(crate) fn verify_by(
        &self,
        fetched: &ParsedPublicKey,
        around: RequestParts<'_>,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        self.verify_lines(Some(fetched), around, body, received_at)
    }

    fn verify_lines(
        &self,
        fetched: Option<&ParsedPublicKey>,
        around: RequestParts<'_>,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        let mut failed = Rejection::MissingSignature;
        let mut left = MAX_SIGNATURES;
        for line in self.lines(around) {
            let Some(mut line) = line.as_deref().and_then(|line| Line::read(&self.recipe, line)) else {
                failed = Rejection::MalformedSignature;
                continue;
            };
            line.claims.truncate(left);
            left -= line.claims.len();
            let verified = self.verify_line(&line, fetched, around, body);
            let in_time = || self.check_header_time(&line, around, received_at);
            let verified = match verified {
                // A time that is wrong stays wrong with any key: none is fetched for it.
                Err(Rejection::UntrustedKey) => in_time().and(verified),
                verified => verified.and_then(|()| in_time()),
            };
            match verified {
                Ok(()) => return Ok(()),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    /// The lines that may carry signatures; nothing where one is no text.
    fn lines<'a>(&self, around: RequestParts<'a>) -> Vec<Option<Cow<'a, str>>> {
        match &self.recipe.carrier {
            Carrier::Header(name) => {
                let lines = around.headers.get_all(name).iter().take(MAX_LINES);
                lines.map(|line| line.to_str().ok().map(Cow::Borrowed)).collect()
            }
            Carrier::Query(name) => around.query(name).map(Some).into_iter().collect(),
        }
    }

    fn verify_line(
        &self,
        line: &Line<'_>,
        fetched: Option<&ParsedPublicKey>,
        around: RequestParts<'_>,
        body: &[u8],
    ) -> Result<(), Rejection> {
        let claims: Vec<(Claim<'_>, Vec<u8>)> = line
            .claims
            .iter()
            .filter_map(|claim| Some((*claim, decode(self.encoding(claim.method)?, claim.text)?)))
            .collect();
        if claims.is_empty() {
            return Err(Rejection::MalformedSignature);
        }
        let message = self.message(line, around, body)?;
        let message: Vec<&[u8]> = message.iter().map(AsRef::as_ref).collect();
        let key_id = self.recipe.key_id.as_ref().and_then(|name| around.header(name));
        let made = |key: &SecretKey| {
            let is_its = |claim: &Claim<'_>| {
                claim.method == key.method
                    && key.id.as_deref().is_none_or(|id| claim.key_id.or(key_id) == Some(id))
            };
            let theirs = claims.iter().filter(|(claim, _)| is_its(claim));
            let theirs: Vec<&[u8]> = theirs.map(|(_, signature)| signature.as_slice()).collect();
            !theirs.is_empty() && key.made_any(&theirs, &message)
        };
        let made_by_fetched = |public: &ParsedPublicKey| {
            let message = message.concat();
            claims.iter().any(|(_, signature)| public.verify_sig(&message, signature).is_ok())
        };
        match fetched {
            _ if self.keys.iter().any(made) => Ok(()),
            None if self.keys.is_empty() => Err(Rejection::UntrustedKey),
            Some(public) if made_by_fetched(public) => Ok(()),
            _ => Err(Rejection::BadSignature),
        }
    }

    fn encoding(&self, method: usize) -> Option<Encoding> {
        self.recipe.methods.get(method).map(|method| method.encoding)
    }

    /// What is signed, piece by piece.
    fn message<'a>(
        &'a self,
        line: &Line<'a>,
        around: RequestParts<'a>,
        body: &'a [u8],
    ) -> Result<Vec<Cow<'a, [u8]>>, Rejection> {
        let mut message = Vec::new();
        for part in &self.recipe.signed {
            let pieces = part.pieces.iter().map(|piece| self.piece(piece, line, around, body));
            match pieces.collect::<Result<Vec<_>, _>>() {
                Ok(pieces) => message.extend(pieces),
                Err(_) if part.optional => {}
                Err(why) => return Err(why),
            }
        }
        Ok(message)
    }

    fn piece<'a>(
        &'a self,
        piece: &'a Piece,
        line: &Line<'a>,
        around: RequestParts<'a>,
        body: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Rejection> {
        let from = self.recipe.time.as_ref().map(|time| &time.from);
        let text = match piece {
            Piece::Body => return Ok(Cow::Borrowed(body)),
            Piece::Crc32 => return Ok(Cow::Owned(crc32fast::hash(body).to_string().into_bytes())),
            Piece::Literal(text) => text,
            Piece::Field(key) => line.field(key).ok_or(match from {
                Some(TimeFrom::Field(time)) if time == key => Rejection::MissingTimestamp,
                _ => Rejection::MalformedSignature,
            })?,
            Piece::Header(name) => around.header(name).ok_or(match from {
                Some(TimeFrom::Header(time)) if time == name => Rejection::MissingTimestamp,
                _ => Rejection::MissingHeader,
            })?,
            Piece::Option(name) => around.options.get(name).ok_or(Rejection::BadSignature)?,
            Piece::Headers(field) => {
                let names = line.field(field).ok_or(Rejection::MalformedSignature)?;
                let texts = names.split(' ').map(|name| {
                    let name = name.parse::<HeaderName>().map_err(|_| Rejection::MalformedSignature)?;
                    // What is not there was signed as nothing.
                    Ok(around.header(&name).unwrap_or_default())
                });
                return Ok(Cow::Owned(texts.collect::<Result<Vec<_>, _>>()?.join(".").into_bytes()));
            }
            Piece::Query(name) => {
                let text = around.query(name).ok_or(Rejection::MissingQuery)?;
                return Ok(Cow::Owned(text.to_lowercase().into_bytes()));
            }
        };
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn check_header_time(
        &self,
        line: &Line<'_>,
        around: RequestParts<'_>,
        received_at: Time,
    ) -> Result<(), Rejection> {
        match self.recipe.time.as_ref().map(|time| &time.from) {
            None | Some(TimeFrom::Payload(_)) => Ok(()),
            Some(TimeFrom::Field(key)) => self.check_time(line.field(key), received_at),
            Some(TimeFrom::Header(name)) => self.check_time(around.header(name), received_at),
        }
    }

    /// Where in the payload the signed time stands, if it stands there.
    pub(crate) fn payload_time(&self) -> Option<&Pointer> {
        match &self.recipe.time.as_ref()?.from {
            TimeFrom::Payload(at) => Some(at),
            _ => None,
        }
    }

    /// Whether the payload's time is within the window; for recipes whose time stands there, once the bytes are verified.
    pub(crate) fn check_payload_time(&self, payload: &Value, received_at: Time) -> Result<(), Rejection> {
        match self.payload_time() {
            Some(at) => self.check_time(at.text(payload).as_deref(), received_at),
            None => Ok(()),
        }
    }

    fn check_time(&self, text: Option<&str>, received_at: Time) -> Result<(), Rejection> {
        let (Some(time), Some(window)) = (&self.recipe.time, self.window) else { return Ok(()) };
        let text = text.ok_or(Rejection::MissingTimestamp)?;
        let signed_at = time.form.read(text).ok_or(Rejection::MalformedTimestamp)?;
        window.check(signed_at, received_at)
    }

    /// The same recipe forwards: what makes a body pass, signed with the first secret. Where that is a public key, only its
    /// owner can sign, and the signature is left empty.
    pub(crate) fn sign(&self, body: &[u8], at: Time, delivery_id: &str, options: &OptionValues) -> Signed {
        let sign = |message: &[&[u8]]| self.keys.first().map(|key| key.sign(message)).unwrap_or_default();
        self.sign_by(sign, body, at, delivery_id, options)
    }

    fn sign_by(
        &self,
        sign: impl Fn(&[&[u8]]) -> Vec<u8>,
        body: &[u8],
        at: Time,
        delivery_id: &str,
        options: &OptionValues,
    ) -> Signed {
        let time = self.recipe.time.as_ref();
        let written = time.map(|time| time.form.write(at)).unwrap_or_default();
        let text = |from: TimeFrom| {
            if time.is_some_and(|time| time.from == from) { written.as_str() } else { delivery_id }
        };
        let crc32 = crc32fast::hash(body).to_string();
        let mut signed = Signed::default();
        let mut message = Vec::new();
        for piece in self.recipe.signed.iter().flat_map(|Part { pieces, .. }| pieces) {
            message.push(match piece {
                Piece::Body => body,
                Piece::Crc32 => crc32.as_bytes(),
                Piece::Literal(text) => text.as_bytes(),
                Piece::Field(name) => text(TimeFrom::Field(name.clone())).as_bytes(),
                // None of that name is there, so it is signed as nothing.
                Piece::Headers(_) => b"",
                Piece::Option(name) => options.get(name).map_or(&[][..], |text| text.as_bytes()),
                Piece::Query(name) => {
                    signed.query.push((name.clone(), delivery_id.to_owned()));
                    delivery_id.as_bytes()
                }
                Piece::Header(name) => {
                    let text = text(TimeFrom::Header(name.clone()));
                    signed.headers.push((name.to_string(), text.to_owned()));
                    text.as_bytes()
                }
            });
        }
        let key = self.keys.first();
        let encoding = key.and_then(|key| self.encoding(key.method)).unwrap_or(Encoding::Hex);
        let signature = encode(encoding, &sign(&message));
        let key_id = key.and_then(|key| key.id.clone()).unwrap_or_default();
        if let Some(name) = &self.recipe.key_id {
            signed.headers.push((name.to_string(), key_id.clone()));
        }
        let line = header::write(&self.recipe, key.map_or(0, |key| key.method), |gap| match gap {
            SIGNATURE => signature.clone(),
            KEY_ID => key_id.clone(),
            field => text(TimeFrom::Field(field.to_owned())).to_owned(),
        });
        match &self.recipe.carrier {
            Carrier::Header(name) => signed.headers.push((name.to_string(), line)),
            Carrier::Query(name) => signed.query.push((name.clone(), line)),
        }
        signed
    }
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Text => Some(text.as_bytes().to_vec()),
    }
}

fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => STANDARD.encode(bytes),
        Encoding::Text => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod tests;
