//! Signatures: are these bytes from the provider, and from now?
//!
//! Works on the raw bytes, before anything is parsed. Every line of the signature header, every signature in it and
//! every secret of the source is tried; decoded bytes are compared in constant time; the time that is signed is the
//! header's text, never a number of ours written back. Computed signatures never leave this room.

mod header;
mod key;
pub(super) mod recipe;

use crate::payment::Time;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use header::{Line, MAX_SIGNATURES};
use http::{HeaderMap, HeaderName};
pub use key::SecretError;
use key::{Key, Signature};
use recipe::{Encoding, Piece, Recipe, TimeFrom};
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;
use subtle::{Choice, ConstantTimeEq as _};

/// The most lines of a signature header that are looked at: each may cost one MAC of the body per secret. Mollie sends
/// two while a secret rotates.
const MAX_LINES: usize = 4;

/// Why a delivery was not taken for the provider's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rejection {
    /// A coded body: what was signed can't be seen.
    ContentEncoding,
    /// No signature header.
    MissingSignature,
    /// A signature header without a readable signature of a known scheme.
    MalformedSignature,
    /// None of the signatures is by one of the secrets.
    BadSignature,
    /// A header that is signed with the body is not there, or there more than once.
    MissingHeader,
    /// No time where the recipe has one.
    MissingTimestamp,
    /// The time is not in the form that the recipe has.
    MalformedTimestamp,
    /// Too old.
    StaleTimestamp,
    /// Ahead of our clock.
    FutureTimestamp,
}

impl Rejection {
    /// The reason code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::ContentEncoding => "content_encoding",
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::BadSignature => "bad_signature",
            Self::MissingHeader => "missing_header",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::StaleTimestamp => "stale_timestamp",
            Self::FutureTimestamp => "future_timestamp",
        }
    }

    /// What to tell the sender, in words.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::ContentEncoding => "Send the body as it was signed, without a Content-Encoding.",
            Self::MissingSignature => "The signature header is missing.",
            Self::MalformedSignature => "The signature header holds no readable signature of a known scheme.",
            Self::BadSignature => "The signature does not match the body and the source's secrets.",
            Self::MissingHeader => "A header that the signature covers is missing, repeated or not readable.",
            Self::MissingTimestamp => "The timestamp is missing.",
            Self::MalformedTimestamp => "The timestamp is not in the expected form.",
            Self::StaleTimestamp => "The timestamp is too old.",
            Self::FutureTimestamp => "The timestamp lies in the future.",
        }
    }

    /// Whether someone without a secret could have sent it; such deliveries are limited per second.
    pub(super) const fn is_unproven(self) -> bool {
        !matches!(self, Self::StaleTimestamp | Self::FutureTimestamp)
    }
}

/// How far a signed time may lie from our clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    max_age: Duration,
    max_future: Duration,
}

/// A recipe with the secrets of one source.
pub(super) struct Verifier {
    recipe: Recipe,
    keys: Vec<Key>,
    window: Option<Window>,
}

impl Verifier {
    /// Checks the secrets. `max_age` stands in for the recipe's own. An error says which secret it is about.
    pub(super) fn new(
        recipe: Recipe,
        secrets: &[SecretString],
        max_age: Option<Duration>,
    ) -> Result<Self, (usize, SecretError)> {
        let keyed =
            |(index, secret)| Key::new(recipe.algorithm, &recipe.key, secret).map_err(|why| (index, why));
        let keys = secrets.iter().enumerate().map(keyed).collect::<Result<_, _>>()?;
        let window = recipe.time.as_ref().and_then(|time| {
            let max_age = max_age.or(time.max_age)?;
            Some(Window { max_age, max_future: time.max_future })
        });
        Ok(Self { recipe, keys, window })
    }

    /// Whether the provider signed these bytes, and within the window of time, if the time stands in a header.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        let mut failed = Rejection::MissingSignature;
        let mut left = MAX_SIGNATURES;
        for line in headers.get_all(&self.recipe.header).iter().take(MAX_LINES) {
            let line = line.to_str().ok().and_then(|line| Line::read(&self.recipe.format, line));
            let Some(mut line) = line else {
                failed = Rejection::MalformedSignature;
                continue;
            };
            line.signatures.truncate(left);
            left -= line.signatures.len();
            let verified = self.verify_line(&line, headers, body);
            match verified.and_then(|()| self.check_header_time(&line, headers, received_at)) {
                Ok(()) => return Ok(()),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    fn verify_line(&self, line: &Line<'_>, headers: &HeaderMap, body: &[u8]) -> Result<(), Rejection> {
        let candidates: Vec<Signature> =
            line.signatures.iter().filter_map(|text| self.decode(text)).collect();
        if candidates.is_empty() {
            return Err(Rejection::MalformedSignature);
        }
        let pieces = self.pieces(line, headers, body)?;
        let mut good = Choice::from(0);
        for key in &self.keys {
            let expected = key.sign(pieces.iter().copied());
            for candidate in &candidates {
                good |= expected.ct_eq(candidate);
            }
        }
        if good.into() { Ok(()) } else { Err(Rejection::BadSignature) }
    }

    fn pieces<'a>(
        &'a self,
        line: &Line<'a>,
        headers: &'a HeaderMap,
        body: &'a [u8],
    ) -> Result<Vec<&'a [u8]>, Rejection> {
        let from = self.recipe.time.as_ref().map(|time| &time.from);
        let piece = |piece: &'a Piece| match piece {
            Piece::Body => Ok(body),
            Piece::Literal(text) => Ok(text.as_bytes()),
            Piece::Field(key) => line.field(key).map(str::as_bytes).ok_or(match from {
                Some(TimeFrom::Field(time)) if time == key => Rejection::MissingTimestamp,
                _ => Rejection::MalformedSignature,
            }),
            Piece::Header(name) => single(headers, name).map(str::as_bytes).ok_or(match from {
                Some(TimeFrom::Header(time)) if time == name => Rejection::MissingTimestamp,
                _ => Rejection::MissingHeader,
            }),
        };
        self.recipe.signed.iter().map(piece).collect()
    }

    fn check_header_time(
        &self,
        line: &Line<'_>,
        headers: &HeaderMap,
        received_at: Time,
    ) -> Result<(), Rejection> {
        match self.recipe.time.as_ref().map(|time| &time.from) {
            None | Some(TimeFrom::Payload(_)) => Ok(()),
            Some(TimeFrom::Field(key)) => self.check_time(line.field(key), received_at),
            Some(TimeFrom::Header(name)) => self.check_time(single(headers, name), received_at),
        }
    }

    /// Whether the payload's time is within the window; for recipes whose time stands there, once the bytes are verified.
    pub(super) fn check_payload_time(&self, payload: &Value, received_at: Time) -> Result<(), Rejection> {
        match self.recipe.time.as_ref().map(|time| &time.from) {
            Some(TimeFrom::Payload(at)) => self.check_time(at.text(payload).as_deref(), received_at),
            _ => Ok(()),
        }
    }

    fn check_time(&self, text: Option<&str>, received_at: Time) -> Result<(), Rejection> {
        let (Some(time), Some(window)) = (&self.recipe.time, self.window) else { return Ok(()) };
        let text = text.ok_or(Rejection::MissingTimestamp)?;
        let signed_at = time.form.read(text).ok_or(Rejection::MalformedTimestamp)?;
        let within = |ms: i64, limit: Duration| {
            i128::from(ms) <= i128::try_from(limit.as_millis()).unwrap_or(i128::MAX)
        };
        if !within(received_at.since_ms(signed_at), window.max_age) {
            Err(Rejection::StaleTimestamp)
        } else if !within(signed_at.since_ms(received_at), window.max_future) {
            Err(Rejection::FutureTimestamp)
        } else {
            Ok(())
        }
    }

    fn decode(&self, text: &str) -> Option<Signature> {
        match self.recipe.encoding {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
    }

    /// The same recipe forwards: the headers that make a body pass, signed with the first secret.
    pub(super) fn sign(&self, body: &[u8], at: Time, delivery_id: &str) -> Vec<(String, String)> {
        let time = self.recipe.time.as_ref();
        let written = time.map(|time| time.form.write(at)).unwrap_or_default();
        let is_time =
            |name: &HeaderName| time.is_some_and(|time| time.from == TimeFrom::Header(name.clone()));
        let text = |name: &HeaderName| if is_time(name) { written.as_str() } else { delivery_id };
        let mut headers = Vec::new();
        let mut pieces = Vec::new();
        for piece in &self.recipe.signed {
            pieces.push(match piece {
                Piece::Body => body,
                Piece::Literal(text) => text.as_bytes(),
                Piece::Field(_) => written.as_bytes(),
                Piece::Header(name) => {
                    headers.push((name.to_string(), text(name).to_owned()));
                    text(name).as_bytes()
                }
            });
        }
        let mac = self.keys.first().map(|key| key.sign(pieces)).unwrap_or_default();
        let signature = match self.recipe.encoding {
            Encoding::Hex => hex::encode(mac),
            Encoding::Base64 => STANDARD.encode(mac),
        };
        let field = time.and_then(|time| match &time.from {
            TimeFrom::Field(key) => Some((key.as_str(), written.as_str())),
            TimeFrom::Header(_) | TimeFrom::Payload(_) => None,
        });
        headers.push((self.recipe.header.to_string(), header::write(&self.recipe.format, field, &signature)));
        headers
    }
}

/// The text of a header that stands once. Where it stands twice it is not clear which was signed.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
