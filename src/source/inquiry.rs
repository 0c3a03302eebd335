//! Inquiry: the request that asks a provider for one of its payments, and the meaning of the answer.
//!
//! Everything here is pure: the caller sends the request and waits for the answer. An answer is read by the same mapping
//! language as a webhook, and no more of it leaves this room (I8). The connection over which the answer came vouches for it,
//! so only its body counts.

mod address;
mod api;

pub(crate) use address::Address;
pub(crate) use api::origin;
pub use api::{ApiError, ApiSettings};

use super::{
    mapping::{EventSummary, Mapping, Terms},
    payload::{OptionValues, RequestParts, Sieve, Unclear, is_within, unclear},
};
use crate::{
    payment::{Fact, Label, Name, Time},
    redact,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header::ACCEPT};
use std::{sync::Arc, time::Duration};

/// How long a provider is left alone after a hint. Several hints at once, as when a payment is paid and its order completed,
/// then cost one request, and whoever waits for the answer does not notice the delay.
pub const DEBOUNCE: Duration = Duration::from_millis(200);

/// The placeholder for the source's API key in the texts of headers.
pub(crate) const KEY: &str = "{key}";

/// The placeholder for the API key in base 64, as `Basic` authentication needs it of `USER:PASSWORD` (RFC 7617).
pub(crate) const KEY_BASE64: &str = "{key:base64}";

/// `[confirm]` of a preset, compiled: how its provider is asked for a payment.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    /// The address of a payment at the provider's API.
    pub(crate) address: Address,
    /// The headers of each request. In their texts, [`KEY`] or [`KEY_BASE64`] stands for the API key.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// The least time between two requests of one source.
    pub(crate) spacing: Duration,
    /// The mapping that reads an answer.
    pub(crate) mapping: Mapping,
}

/// An inquiry with the credentials of one source: it builds the requests and reads the answers.
pub struct Api {
    /// The address of a payment at the provider's API.
    address: Address,
    /// The headers of each request, with the API key filled in.
    headers: HeaderMap,
    /// The least time between two requests.
    spacing: Duration,
    /// The mapping that reads an answer.
    mapping: Mapping,
    /// The source's terms, which hold for answers as they do for payloads.
    terms: Terms,
    /// The source's values for the options of its preset.
    options: OptionValues,
    /// Whether the payment ids are known not to be card numbers, even if they look like some.
    vouches_for_ids: bool,
    /// The parts of an answer that are kept.
    sieve: Sieve,
}

/// Why an answer cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// The answer is not JSON, so it does not come from the provider's API but from something faulty in front of it.
    NotJson,
    /// The answer is not understood, or it is not about the payment that was asked for.
    Unclear(Unclear),
}

/// What a provider answers about the payment that it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentAnswer {
    /// The provider's own word for the state of the payment, masked and printable.
    pub kind: Arc<str>,
    /// When the payment last changed, if the provider says so.
    pub occurred_at: Option<Time>,
    /// `true` for real money, `false` for the provider's test mode.
    pub live: bool,
    /// The facts that the answer states.
    pub facts: Vec<Fact>,
    /// The other ids of the payment that the answer names.
    pub labels: Vec<Label>,
    /// The ids of parts of the payment that the answer names.
    pub parts: Vec<Name>,
}

impl Inquiry {
    /// Completes the inquiry with a source's credentials, terms and options. `vouches_for_ids` says that payment ids are not card
    /// numbers, even if they look like some. Fails if the API key or the address in the settings cannot be used.
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
            let filled = text.replace(KEY_BASE64, &STANDARD.encode(key)).replace(KEY, key);
            let is_secret = filled != text;
            let mut value = HeaderValue::try_from(filled).map_err(|_| ApiError::Unsendable)?;
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
    /// Returns the least time between two requests.
    #[must_use]
    pub const fn spacing(&self) -> Duration {
        self.spacing
    }

    /// Builds the request for a payment. Fails if the payment's id may be a card number, or cannot be part of a path.
    pub fn request(&self, payment: &Name) -> Result<Request<Bytes>, Unclear> {
        if redact::is_pan_like(payment.as_str()) && !self.vouches_for_ids {
            return unclear("pan_like_id", "payment");
        }
        // In a path these are not names but steps to another folder.
        if [".", ".."].contains(&payment.as_str()) {
            return unclear("bad_payment_id", "payment");
        }
        let Ok(uri) = self.address.of(payment).parse() else { return unclear("bad_payment_id", "payment") };
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        request.headers_mut().clone_from(&self.headers);
        Ok(request)
    }

    /// Reads the answer to that request: JSON that nests at most `depth` levels deep. Fails if the answer is not JSON, is not
    /// understood, or is about another payment.
    pub fn read(
        &self,
        payment: &Name,
        body: &[u8],
        received_at: Time,
        depth: usize,
    ) -> Result<PaymentAnswer, AnswerError> {
        if !is_within(body, depth) {
            return Ok(unclear("too_deep", "answer")?);
        }
        let answer = self.sieve.parse(body).map_err(|_| AnswerError::NotJson)?;
        let parts = RequestParts { headers: &HeaderMap::new(), query: "", options: &self.options };
        let mut summary = EventSummary::default();
        match self.mapping.read(&self.terms, received_at, parts, &answer, &mut summary)? {
            None => Ok(unclear("unknown_state", "confirm.map")?),
            Some(mapped) if mapped.payment.as_ref() != Some(payment) => {
                Ok(unclear("other_payment", "confirm.event.payment")?)
            }
            Some(mapped) => Ok(PaymentAnswer {
                kind: summary.kind,
                occurred_at: mapped.occurred_at,
                live: mapped.live,
                facts: mapped.facts,
                labels: mapped.labels.kept,
                parts: mapped.parts,
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
