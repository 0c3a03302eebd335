//! The verifier of one source: a recipe with the source's secrets, applied to requests.

use super::{
    header::{Claim, Line, MAX_SIGNATURES},
    key::{SecretError, SecretKey},
    message::message,
    recipe::{Carrier, Encoding, Recipe, TimeFrom},
};
use crate::{
    payment::Time,
    source::{
        payload::{Pointer, RequestParts},
        verify::{
            rejection::Rejection,
            window::{TimeLimits, Window},
        },
    },
};
use aws_lc_rs::signature::ParsedPublicKey;
use secrecy::SecretString;
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

/// The most lines of a signature header that are looked at. Each may cost one MAC of the body per secret. Mollie sends two while a
/// secret rotates.
const MAX_LINES: usize = 4;

/// The verifier of one source: a recipe with the source's secrets.
pub(crate) struct RecipeVerifier {
    /// How the provider signs.
    pub(super) recipe: Recipe,
    /// The secrets, or none if keys are fetched.
    pub(super) keys: Vec<SecretKey>,
    /// How far the signed time may lie from our clock, if a time is signed.
    window: Option<Window>,
}

impl RecipeVerifier {
    /// Checks the secrets and builds the verifier. The limits of the source replace the recipe's own. An error gives the index of the
    /// secret that it is about.
    pub(crate) fn new(
        recipe: Recipe,
        secrets: &[SecretString],
        limits: TimeLimits,
    ) -> Result<Self, (usize, SecretError)> {
        let keyed = |(index, secret)| SecretKey::new(&recipe, secret).map_err(|why| (index, why));
        let keys = secrets.iter().enumerate().map(keyed).collect::<Result<_, _>>()?;
        let window = recipe
            .time
            .as_ref()
            .map(|time| limits.instead_of(Window { max_age: time.max_age, max_future: time.max_future }));
        Ok(Self { recipe, keys, window })
    }

    /// Returns how old the signed time of a delivery may be, if that is limited.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        self.window.and_then(|window| window.max_age)
    }

    /// Checks that the provider signed these bytes, and that the signed time is within the window if it is in a header. Fails with
    /// [`Rejection::UntrustedKey`] if the key that the request names has to be fetched.
    pub(crate) fn verify(
        &self,
        parts: RequestParts<'_>,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        self.verify_lines(None, parts, body, received_at)
    }

    /// Like [`verify`](Self::verify), with a key that was fetched.
    pub(crate) fn verify_by(
        &self,
        fetched: &ParsedPublicKey,
        parts: RequestParts<'_>,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        self.verify_lines(Some(fetched), parts, body, received_at)
    }

    /// Verifies the lines one by one, until one is valid. The error is that of the last line.
    fn verify_lines(
        &self,
        fetched: Option<&ParsedPublicKey>,
        parts: RequestParts<'_>,
        body: &[u8],
        received_at: Time,
    ) -> Result<(), Rejection> {
        let mut failed = Rejection::MissingSignature;
        let mut left = MAX_SIGNATURES;
        for line in self.lines(parts) {
            let Some(mut line) = line.as_deref().and_then(|line| Line::read(&self.recipe, line)) else {
                failed = Rejection::MalformedSignature;
                continue;
            };
            line.claims.truncate(left);
            left -= line.claims.len();
            let verified = self.verify_line(&line, fetched, parts, body);
            let in_time = || self.check_header_time(&line, parts, received_at);
            let verified = match verified {
                // A wrong time stays wrong with any key, so no key is fetched for it.
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

    /// Returns the lines that may carry signatures, with `None` for a line that is not text.
    fn lines<'a>(&self, parts: RequestParts<'a>) -> Vec<Option<Cow<'a, str>>> {
        match &self.recipe.carrier {
            Carrier::Header(name) => {
                let lines = parts.headers.get_all(name).iter().take(MAX_LINES);
                lines.map(|line| line.to_str().ok().map(Cow::Borrowed)).collect()
            }
            Carrier::Query(name) => parts.query(name).map(Some).into_iter().collect(),
        }
    }

    /// Checks that one of the keys made one of the signatures in a line.
    fn verify_line(
        &self,
        line: &Line<'_>,
        fetched: Option<&ParsedPublicKey>,
        parts: RequestParts<'_>,
        body: &[u8],
    ) -> Result<(), Rejection> {
        let claims: Vec<(Claim<'_>, Vec<u8>)> = line
            .claims
            .iter()
            .filter_map(|claim| Some((*claim, self.encoding(claim.method)?.decode(claim.text)?)))
            .collect();
        if claims.is_empty() {
            return Err(Rejection::MalformedSignature);
        }
        let message = message(&self.recipe, line, parts, body)?;
        let message: Vec<&[u8]> = message.iter().map(AsRef::as_ref).collect();
        let key_id = self.recipe.key_id.as_ref().and_then(|name| parts.header(name));
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

    /// Returns the ids of the keys that a request names.
    pub(crate) fn named_keys(&self, parts: RequestParts<'_>) -> Vec<String> {
        let own = self.recipe.key_id.as_ref().and_then(|name| parts.header(name));
        let mut named: Vec<String> = own.into_iter().map(str::to_owned).collect();
        for line in self.lines(parts) {
            let line = line.as_deref().and_then(|line| Line::read(&self.recipe, line));
            let claims = line.iter().flat_map(|line| &line.claims);
            named.extend(claims.filter_map(|claim| claim.key_id.map(str::to_owned)));
        }
        named
    }

    /// Returns the ids of the source's keys, where the provider names its keys.
    pub(crate) fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id.as_deref())
    }

    /// Returns the encoding of a method's signatures.
    pub(super) fn encoding(&self, method: usize) -> Option<Encoding> {
        self.recipe.methods.get(method).map(|method| method.encoding)
    }

    /// Checks the signed time, if it is in a header.
    fn check_header_time(
        &self,
        line: &Line<'_>,
        parts: RequestParts<'_>,
        received_at: Time,
    ) -> Result<(), Rejection> {
        match self.recipe.time.as_ref().map(|time| &time.from) {
            None | Some(TimeFrom::Payload(_)) => Ok(()),
            Some(TimeFrom::Field(key)) => self.check_time(line.field(key), received_at),
            Some(TimeFrom::Header(name)) => self.check_time(parts.header(name), received_at),
        }
    }

    /// Returns the place of the signed time, if it is in the payload.
    pub(crate) fn payload_time(&self) -> Option<&Pointer> {
        match &self.recipe.time.as_ref()?.from {
            TimeFrom::Payload(at) => Some(at),
            _ => None,
        }
    }

    /// Checks the signed time, if it is in the payload. The bytes have to be verified before.
    pub(crate) fn check_payload_time(&self, payload: &Value, received_at: Time) -> Result<(), Rejection> {
        match self.payload_time() {
            Some(at) => self.check_time(at.text(payload).as_deref(), received_at),
            None => Ok(()),
        }
    }

    /// Checks that a time is within the window. If the age is limited, the time has to be there and readable.
    fn check_time(&self, text: Option<&str>, received_at: Time) -> Result<(), Rejection> {
        let (Some(time), Some(window)) = (&self.recipe.time, self.window) else { return Ok(()) };
        let read = |text| time.form.read(text).ok_or(Rejection::MalformedTimestamp);
        match text.ok_or(Rejection::MissingTimestamp).and_then(read) {
            Ok(signed_at) => window.check(signed_at, received_at),
            Err(_) if window.max_age.is_none() => Ok(()),
            Err(why) => Err(why),
        }
    }
}
