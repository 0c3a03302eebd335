//! Asking a provider for one of its payments: the request, and what the answer says. Pure; who sends the one and waits for
//! the other is another room's.
//!
//! An answer is read by the same mapping language as a webhook, and no more of it is let out (I8). What vouches for it is the
//! connection that it came over, so nothing but its body counts.

mod address;
mod api;

pub(crate) use address::Address;
pub use api::{ApiError, ApiSettings};

use super::{
    mapping::{Mapping, Reading, Terms},
    payload::{OptionValues, RequestParts, Sieve, Unclear, is_within, unclear},
};
use crate::{
    payment::{Fact, Name, Time},
    redact,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header::ACCEPT};
use std::{sync::Arc, time::Duration};

/// How long a provider is left alone after a hint: several at once, as when a payment is paid and its order completed, then cost
/// one question, and who waits for the answer does not notice.
pub const DEBOUNCE: Duration = Duration::from_millis(200);

/// What stands for the source's key in headers.
pub(crate) const KEY: &str = "{key}";

/// The same in base 64, as `Basic` wants it of `USER:PASSWORD` (RFC 7617).
pub(crate) const KEY_BASE64: &str = "{key:base64}";

/// `[confirm]` of a preset: how its provider is asked.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    pub(crate) address: Address,
    /// Texts in which [`KEY`] or [`KEY_BASE64`] stands for the key.
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) spacing: Duration,
    pub(crate) mapping: Mapping,
}

/// An inquiry with a source's credentials.
pub struct Api {
    address: Address,
    headers: HeaderMap,
    spacing: Duration,
    mapping: Mapping,
    /// What the source says of its payloads goes for answers too.
    terms: Terms,
    /// What the source says to the options of its preset.
    options: OptionValues,
    /// Whether ids that look like card numbers are known to be none.
    vouches_for_ids: bool,
    /// What is kept of an answer.
    sieve: Sieve,
}

/// Why an answer says nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// It is no JSON, so it comes from something before the provider's API that is out of order.
    NotJson,
    /// It is not understood, or not about the payment.
    Unclear(Unclear),
}

/// What a provider says of the payment that it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentAnswer {
    /// The provider's own word for where it stands, fit to leave.
    pub kind: Arc<str>,
    /// When it last changed, if the provider tells.
    pub occurred_at: Option<Time>,
    /// Real money, as against the provider's test mode.
    pub live: bool,
    /// What it says.
    pub facts: Vec<Fact>,
}

impl Inquiry {
    /// With a source's credentials, terms and options. `vouches_for_ids` says that ids which look like card numbers are none.
    pub(crate) fn with(
        self,
        settings: &ApiSettings,
        terms: &Terms,
        options: &OptionValues,
        vouches_for_ids: bool,
    ) -> Result<Api, ApiError> {
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
        let address = self.address.at(settings.origin()?);
        let sieve = Sieve::new(self.mapping.pointers(terms));
        let (terms, options) = (terms.clone(), options.clone());
        let (spacing, mapping) = (self.spacing, self.mapping);
        Ok(Api { address, headers, spacing, mapping, terms, options, vouches_for_ids, sieve })
    }
}

impl Api {
    /// The least time between two requests.
    #[must_use]
    pub const fn spacing(&self) -> Duration {
        self.spacing
    }

    /// The request for a payment.
    pub fn request(&self, payment: &Name) -> Result<Request<Bytes>, Unclear> {
        if redact::is_pan_like(payment.as_str()) && !self.vouches_for_ids {
            return unclear("pan_like_id", "payment");
        }
        // Not names but steps, in a path.
        if [".", ".."].contains(&payment.as_str()) {
            return unclear("bad_payment_id", "payment");
        }
        let Ok(uri) = self.address.of(payment).parse() else { return unclear("bad_payment_id", "payment") };
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        request.headers_mut().clone_from(&self.headers);
        Ok(request)
    }

    /// What the answer to that says, JSON of at most `depth`.
    pub fn read(&self, payment: &Name, body: &[u8], depth: usize) -> Result<PaymentAnswer, AnswerError> {
        if !is_within(body, depth) {
            return Ok(unclear("too_deep", "answer")?);
        }
        let answer = self.sieve.parse(body).map_err(|_| AnswerError::NotJson)?;
        let around = RequestParts { headers: &HeaderMap::new(), query: "", options: &self.options };
        let mut reading = Reading::default();
        match self.mapping.read(&self.terms, around, &answer, &mut reading)? {
            None => Ok(unclear("unknown_state", "confirm.map")?),
            Some(told) if told.payment != *payment => Ok(unclear("other_payment", "confirm.event.payment")?),
            Some(told) => Ok(PaymentAnswer {
                kind: reading.kind,
                occurred_at: told.occurred_at,
                live: told.live,
                facts: told.facts,
            }),
        }
    }
}

impl From<Unclear> for AnswerError {
    fn from(unclear: Unclear) -> Self {
        Self::Unclear(unclear)
    }
}

#[cfg(test)]
mod tests;
