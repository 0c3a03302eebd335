//! What a delivery to a source says, for those who do not append it: whether it is verified, and what its events mean.

use super::{
    Diagnosis, EventSummary, NoKey, ProvenDelivery, Rejection, Sample, SignedDelivery, Source,
    UnverifiedRequest,
};
use crate::payment::Time;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_ENCODING};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// One event of a verified delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Examined {
    /// The provider's type of the event, masked and printable. It is empty if the event has none.
    pub(crate) kind: Arc<str>,
    /// The id of the event, or a digest of it.
    pub(crate) id: Option<Arc<str>>,
    /// The payment that the event is about, or the part of one.
    pub(crate) payment: Option<String>,
    /// What a gateway does with the event.
    pub(crate) fate: Fate,
}

/// What a gateway does with an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It appends the event to the payment.
    Appended,
    /// It ignores the event, which is not about a payment.
    Ignored,
    /// It puts the event into quarantine: the reason code, and the place of what is wrong.
    Quarantined(&'static str, String),
}

/// Why a delivery is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NotVerified {
    /// The reason code.
    pub(crate) reason: &'static str,
    /// The sentence for the sender.
    pub(crate) detail: &'static str,
    /// The status of the answer, as the provider expects it.
    pub(crate) status: u16,
    /// The mistake that explains it, for the developer and not for the sender.
    pub(crate) diagnosis: Option<Diagnosis>,
}

/// The provider is to send the delivery again.
const UNFETCHED: NotVerified = NotVerified {
    reason: "key_unavailable",
    detail: "The key that the signature names could not be fetched from the provider.",
    status: 503,
    diagnosis: None,
};

impl Source {
    /// Verifies a delivery, with a key that is fetched if need be, and says what its events mean.
    pub(crate) async fn examine(
        &self,
        headers: &HeaderMap,
        query: &str,
        body: &[u8],
        received_at: Time,
        peer: Option<IpAddr>,
        json_depth: usize,
    ) -> Result<Vec<Examined>, NotVerified> {
        let parts = self.request_parts(headers, query);
        let request = UnverifiedRequest { parts, body, received_at, key: None };
        let mut opened = self.open(request, json_depth);
        if opened.as_ref().err() == Some(&Rejection::UntrustedKey)
            && let Some(fetched) = self.fetched_key(request, peer).await
        {
            let key = fetched.map_err(|why| match why {
                NoKey::Refused(rejection) => self.refused(rejection),
                NoKey::Unavailable | NoKey::TooMany => UNFETCHED,
            })?;
            opened = self.open(UnverifiedRequest { key: Some(&key.public), ..request }, json_depth);
        }
        let ProvenDelivery { payload, .. } = opened.map_err(|rejection| {
            let sample = Sample {
                headers: headers.clone(),
                query: query.to_owned(),
                body: body.to_vec(),
                received_at,
            };
            let is_due = self.examiner.is_due(body.len(), Instant::now());
            let diagnosis = is_due.then(|| self.examiner.examine(&sample, rejection, &self.beside)).flatten();
            NotVerified { diagnosis, ..self.refused(rejection) }
        })?;
        let payload = match payload {
            Ok(payload) => payload,
            Err(unclear) => return Ok(vec![Examined::quarantined(unclear.code, unclear.at)]),
        };
        let events = match self.events(&payload) {
            Ok(events) => events,
            Err(unclear) => return Ok(vec![Examined::quarantined(unclear.code, unclear.at)]),
        };
        let examine = |event| {
            let mut summary = EventSummary::default();
            let fate = match self.read(received_at, parts, event, &mut summary) {
                Ok(Some(_)) => Fate::Appended,
                Ok(None) => Fate::Ignored,
                Err(unclear) => Fate::Quarantined(unclear.code, unclear.at),
            };
            let payment = summary.payment.or(summary.part).map(|payment| payment.to_string());
            Examined { kind: summary.kind, id: summary.id, payment, fate }
        };
        Ok(events.iter().map(examine).collect())
    }

    /// Returns whether a delivery that was signed here is verified. It is not if the key of the signer is not the source's.
    #[must_use]
    pub fn verifies(&self, delivery: &SignedDelivery, received_at: Time) -> bool {
        let headers = delivery.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        });
        let headers: HeaderMap = headers.collect();
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&delivery.query).finish();
        let parts = self.request_parts(&headers, &query);
        let request = UnverifiedRequest { parts, body: &delivery.body, received_at, key: None };
        self.open(request, usize::from(u8::MAX)).is_ok()
    }

    fn refused(&self, rejection: Rejection) -> NotVerified {
        let status = match rejection {
            Rejection::ContentEncoding => 415,
            _ => self.reply_rule.refused.unwrap_or(401),
        };
        NotVerified { reason: rejection.code(), detail: rejection.detail(), status, diagnosis: None }
    }
}

impl Examined {
    fn quarantined(code: &'static str, at: String) -> Self {
        Self { kind: "".into(), id: None, payment: None, fate: Fate::Quarantined(code, at) }
    }
}

/// Returns whether a body has a coding, so that the signed bytes are not visible.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
