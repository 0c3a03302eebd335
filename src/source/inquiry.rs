//! Asking a provider for one of its payments: the request, and what the answer says. Pure; who sends the one and waits for
//! the other is another room's.
//!
//! An answer is read by the same mapping language as a webhook, and no more of it is let out (I8). What vouches for it is the
//! connection that it came over, so nothing but its body counts.

use super::{
    api::{ApiError, ApiSettings, origin},
    depth,
    place::Around,
    preset::mapping::{Mapping, Reading, Terms, Unclear},
    sieve::Sieve,
    source::Source,
};
use crate::{
    payment::{Fact, Name, Subject, Time},
    redact,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header::ACCEPT, uri::Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{sync::Arc, time::Duration};

/// What stands for the source's key in headers.
pub(super) const KEY: &str = "{key}";

/// The same in base 64, as `Basic` wants it of `USER:PASSWORD` (RFC 7617).
pub(super) const KEY_BASE64: &str = "{key:base64}";

/// What stands for the payment's id in addresses.
const PAYMENT: &str = "/{payment}";

/// All but RFC 3986's unreserved characters: an id is one segment of the path, whatever it holds.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `[confirm]` of a preset: how its provider is asked.
#[derive(Clone, Debug)]
pub(super) struct Inquiry {
    pub(super) address: Address,
    /// Texts in which [`KEY`] or [`KEY_BASE64`] stands for the key.
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) spacing: Duration,
    pub(super) mapping: Mapping,
}

/// Where a payment is found: `https://HOST/before/{payment}/after`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// `https://HOST`
    origin: String,
    /// `/before/`
    before: String,
    /// `/after?with=query`, or nothing.
    after: String,
}

/// An inquiry with a source's credentials.
pub(super) struct Api {
    address: Address,
    headers: HeaderMap,
    spacing: Duration,
    mapping: Mapping,
    /// What is kept of an answer.
    sieve: Sieve,
}

/// A source that can ask its provider.
#[derive(Clone, Copy)]
pub struct Confirmation<'a> {
    source: &'a Source,
    api: &'a Api,
}

/// What a provider says of the payment that it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The provider's own word for where it stands, fit to leave.
    pub kind: Arc<str>,
    /// When it last changed, if the provider tells.
    pub occurred_at: Option<Time>,
    /// Real money, as against the provider's test mode.
    pub live: bool,
    /// What it says.
    pub facts: Vec<Fact>,
}

impl Address {
    /// From `https://HOST/before/{payment}/after`; nothing if it is not of this form.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (start, after) = url.split_once(PAYMENT)?;
        let is_segment = after.is_empty() || after.starts_with(['/', '?']);
        if !is_segment || url.matches('{').count() != 1 || format!("{start}/x{after}").parse::<Uri>().is_err()
        {
            return None;
        }
        let uri: Uri = start.parse().ok()?;
        let origin =
            origin(&uri).filter(|_| uri.scheme() == Some(&Scheme::HTTPS) && uri.query().is_none())?;
        let before = format!("{}/", uri.path().trim_end_matches('/'));
        Some(Self { origin, before, after: after.to_owned() })
    }

    fn of(&self, payment: &Name) -> String {
        let Self { origin, before, after } = self;
        format!("{origin}{before}{}{after}", utf8_percent_encode(payment.as_str(), SEGMENT))
    }
}

impl Inquiry {
    /// With a source's credentials and terms.
    pub(super) fn with(self, settings: &ApiSettings, terms: &Terms) -> Result<Api, ApiError> {
        let key = settings.checked_key()?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, text) in self.headers {
            let told = text.replace(KEY_BASE64, &STANDARD.encode(key)).replace(KEY, key);
            let is_secret = told != text;
            let mut value = HeaderValue::try_from(told).map_err(|_| ApiError::Unsendable)?;
            value.set_sensitive(is_secret);
            headers.insert(name, value);
        }
        let origin = settings.origin()?.unwrap_or(self.address.origin);
        let address = Address { origin, ..self.address };
        let sieve = Sieve::new(self.mapping.pointers(terms));
        Ok(Api { address, headers, spacing: self.spacing, mapping: self.mapping, sieve })
    }
}

impl Source {
    /// How its provider is asked, if it can be.
    #[must_use]
    pub fn confirmation(&self) -> Option<Confirmation<'_>> {
        self.api.as_ref().map(|api| Confirmation { source: self, api })
    }

    /// The log of one of its payments.
    #[must_use]
    pub fn subject(&self, payment: &Name) -> Subject {
        Subject::payment(self.realm.clone(), payment.clone())
    }
}

impl<'a> Confirmation<'a> {
    /// Which source.
    #[must_use]
    pub const fn source(&self) -> &'a Source {
        self.source
    }

    /// The least time between two requests.
    #[must_use]
    pub const fn spacing(&self) -> Duration {
        self.api.spacing
    }

    /// The request for a payment.
    pub fn request(&self, payment: &Name) -> Result<Request<Bytes>, Unclear> {
        let unclear = |code| Unclear { code, at: "payment".to_owned() };
        // Where long numbers are the provider's own, its events have told them apart already.
        if redact::is_pan_like(payment.as_str())
            && !self.source.mapping.has_own_ids()
            && !self.source.shared_ids
        {
            return Err(unclear("pan_like_id"));
        }
        // Not names but steps, in a path.
        if [".", ".."].contains(&payment.as_str()) {
            return Err(unclear("bad_payment_id"));
        }
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.api.address.of(payment).parse().map_err(|_| unclear("bad_payment_id"))?;
        request.headers_mut().clone_from(&self.api.headers);
        Ok(request)
    }

    /// What the answer to that says, JSON of at most `depth`.
    pub fn read(&self, payment: &Name, body: &[u8], depth: usize) -> Result<Answer, Unclear> {
        let unclear = |code, at: &str| Err(Unclear { code, at: at.to_owned() });
        if !depth::is_within(body, depth) {
            return unclear("too_deep", "answer");
        }
        let Ok(answer) = self.api.sieve.parse(body) else { return unclear("not_json", "answer") };
        let headers = &HeaderMap::new();
        let around = Around { headers, query: "", options: &self.source.options };
        let mut reading = Reading::default();
        match self.api.mapping.read(&self.source.terms, around, &answer, &mut reading)? {
            None => unclear("unknown_state", "confirm.map"),
            Some(told) if told.payment != *payment => unclear("other_payment", "confirm.event.payment"),
            Some(told) => Ok(Answer {
                kind: reading.kind,
                occurred_at: told.occurred_at,
                live: told.live,
                facts: told.facts,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
