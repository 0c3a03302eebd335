//! Inquiry: the request that asks a provider for one of its payments, and the meaning of the answer.
//!
//! Everything here is pure: the caller sends the request and waits for the answer. An answer is read by the same mapping
//! language as a webhook, and no more of it leaves this room (I8). The connection over which the answer came vouches for it,
//! so only its body counts.

mod address;
mod answer;
mod api;
mod headers;
mod token;

pub(crate) use address::Address;
pub use answer::{AnswerError, PaymentAnswer};
pub(crate) use api::origin;
pub use api::{ApiError, ApiSettings};
pub(crate) use headers::{CLIENT_ID, KEY, KEY_BASE64, TOKEN};
pub(crate) use token::TokenRule;

use super::{
    mapping::{EventSummary, Mapping, Terms},
    payload::{
        BodyForm, OptionValues, RequestParts, Sieve, Unclear, XmlBounds, is_within, parse_xml_within, unclear,
    },
};
use crate::{
    payment::{Name, Time},
    redact,
};
use address::PaymentAddress;
use bytes::Bytes;
use headers::Headers;
use http::{HeaderMap, HeaderName, Request};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use token::Tokens;

/// How long a provider is left alone after a hint. Several hints at once, as when a payment is paid and its order completed,
/// then cost one request, and whoever waits for the answer does not notice the delay.
pub const DEBOUNCE: Duration = Duration::from_millis(200);

/// `[confirm]` of a preset, compiled: how its provider is asked for a payment.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    /// Whether only an operator has the provider asked, because the webhooks say all.
    pub(crate) on_demand: bool,
    /// The address of a payment at the provider's API.
    pub(crate) address: Address,
    /// The headers of each request, with placeholders for credentials in their texts.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// How the token is asked for that the headers contain, if they contain one.
    pub(crate) token: Option<TokenRule>,
    /// The format of answers: JSON or XML.
    pub(crate) body: BodyForm,
    /// The least time between two requests of one source.
    pub(crate) spacing: Duration,
    /// The mapping that reads an answer.
    pub(crate) mapping: Mapping,
}

/// An inquiry with the credentials of one source: it builds the requests and reads the answers.
pub struct Api {
    /// Whether only an operator has the provider asked.
    on_demand: bool,
    /// The address of a payment at the provider's API.
    address: PaymentAddress,
    /// The headers of each request, with the credentials filled in but for the token.
    headers: Headers,
    /// The tokens that the headers contain, if they contain any.
    tokens: Option<Tokens>,
    /// The format of answers: JSON or XML.
    body: BodyForm,
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

impl Inquiry {
    /// Completes the inquiry of the preset `provider` with a source's credentials, terms and options. `vouches_for_ids` says that payment
    /// ids are not card numbers, even if they look like some. Fails if the credentials, the address in the settings or an option cannot
    /// be used, or if one of them is missing.
    pub(crate) fn with(
        self,
        provider: &Arc<str>,
        settings: &ApiSettings,
        terms: &Terms,
        options: &OptionValues,
        vouches_for_ids: bool,
    ) -> Result<Api, ApiError> {
        let origin = self.address.origin(settings.origin()?)?;
        let headers = Headers::new(self.headers, settings, provider)?;
        let tokens = self.token.map(|rule| Tokens::new(rule, &origin, settings, provider)).transpose()?;
        let address = self.address.at(&origin, options)?;
        let sieve = Sieve::new(self.mapping.pointers(terms));
        let (terms, options) = (terms.clone(), options.clone());
        let Self { on_demand, body, spacing, mapping, .. } = self;
        Ok(Api {
            on_demand,
            address,
            headers,
            tokens,
            body,
            spacing,
            mapping,
            terms,
            options,
            vouches_for_ids,
            sieve,
        })
    }
}

impl Api {
    /// Returns the least time between two requests.
    #[must_use]
    pub const fn spacing(&self) -> Duration {
        self.spacing
    }

    /// Returns whether only an operator has the provider asked, because the webhooks say all.
    #[must_use]
    pub const fn is_on_demand(&self) -> bool {
        self.on_demand
    }

    /// Builds the request for a token, if the provider wants one and none is held that is valid at `now`.
    #[must_use]
    pub fn token_request(&self, now: Instant) -> Option<Request<Bytes>> {
        self.tokens.as_ref()?.request(now)
    }

    /// Keeps the token in the answer to that request, which came at `now`. Fails if there is none.
    pub fn keep_token(&self, body: &[u8], now: Instant) -> Result<(), AnswerError> {
        self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.keep(body, now))
    }

    /// Forgets the token, because the provider refuses it. Returns whether there was one.
    pub fn forget_token(&self) -> bool {
        self.tokens.as_ref().is_some_and(Tokens::forget)
    }

    /// Builds the request for a payment. Fails if the payment's id may be a card number, or cannot be part of a path.
    pub fn request(&self, payment: &Name) -> Result<Request<Bytes>, Unclear> {
        if redact::is_pan_like(payment.as_str()) && !self.vouches_for_ids {
            return unclear("pan_like_id", "payment");
        }
        let Some(uri) = self.address.of(payment) else { return unclear("bad_payment_id", "payment") };
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        let token = self.tokens.as_ref().and_then(Tokens::held);
        *request.headers_mut() = self.headers.with_token(token.as_ref());
        Ok(request)
    }

    /// Reads the answer to that request: JSON that nests at most `depth` levels deep, or XML. Fails if the answer is neither, is not
    /// understood, or is about another payment.
    pub fn read(
        &self,
        payment: &Name,
        body: &[u8],
        received_at: Time,
        depth: usize,
    ) -> Result<PaymentAnswer, AnswerError> {
        let answer = self.parse(body, depth)?;
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

    fn parse(&self, body: &[u8], depth: usize) -> Result<Value, AnswerError> {
        match self.body {
            BodyForm::Xml => parse_xml_within(body, XmlBounds::WEBHOOK).map_err(|_| AnswerError::Malformed),
            _ if !is_within(body, depth) => Ok(unclear("too_deep", "answer")?),
            _ => self.sieve.parse(body).map_err(|_| AnswerError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests;
