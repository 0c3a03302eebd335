//! Signing and posting one webhook.

use super::{
    super::{exit::Usage, output},
    play::Scene,
};
use crate::{
    clock,
    payment::Time,
    scenario::{Life, Treatment, Webhook},
    source::{PrivateKey, SignedDelivery, Signer, Source, UnsignedDelivery},
};
use anyhow::Context as _;
use reqwest::{Client, Url};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the command waits for an answer. Providers give up earlier, so no gateway may take this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Who posts the webhooks.
pub(super) struct Poster {
    pub(super) http: Client,
    /// The address of the source's webhooks.
    pub(super) url: Url,
    pub(super) source: Source,
    /// The private half of the source's key, if the source has only the public one.
    pub(super) key: Option<PrivateKey>,
    /// Whether to leave out the pauses.
    pub(super) fast: bool,
    pub(super) json: bool,
}

impl Poster {
    /// Posts the webhooks of a scene. Returns whether the gateway took and refused what it should.
    pub(super) async fn post_all(&self, scene: Scene) -> anyhow::Result<bool> {
        let Scene { life, payment, webhooks, signed_before, .. } = scene;
        let mut as_expected = true;
        for webhook in webhooks {
            if !self.fast {
                tokio::time::sleep(webhook.delay).await;
            }
            let ago_ms = i64::try_from(signed_before.as_millis()).unwrap_or_default();
            let at = Time::from_unix_ms(clock::now().unix_ms() - ago_ms).unwrap_or_default();
            as_expected &= self.post(life, &payment, &webhook, at).await?;
        }
        Ok(as_expected)
    }

    /// Posts one webhook and prints the answer. Returns whether that is the expected one.
    async fn post(
        &self,
        life: Option<Life>,
        payment: &str,
        webhook: &Webhook,
        at: Time,
    ) -> anyhow::Result<bool> {
        let treatment = life.map_or(Treatment::None, Life::treatment);
        let SignedDelivery { headers, query, body } = self.sign(treatment, webhook, at)?;
        let mut url = self.url.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let begun = Instant::now();
        let mut request = self.http.post(url).timeout(ANSWER_TIMEOUT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer =
            request.body(body).send().await.map_err(reqwest::Error::without_url).with_context(|| {
                format!("{} does not answer; check that the gateway is running", self.url)
            })?;
        let status = answer.status();
        let body = answer.text().await.context("the connection broke during the answer")?;
        let took_ms = begun.elapsed().as_millis();
        let (status_code, kind, id) = (status.as_u16(), &webhook.event_type, &webhook.event_id);
        let as_expected = status.is_success() != treatment.is_refused();
        if self.json {
            let scenario = life.map(Life::name);
            let line = json!({
                "event": kind, "id": id, "status": status_code, "ms": took_ms, "body": body.trim(),
                "payment": payment, "scenario": scenario, "as_expected": as_expected,
            });
            output::say(&line.to_string())?;
        } else {
            output::say(&format!("{status_code} {kind:<42} {id}  {took_ms:>4} ms  {}", body.trim()))?;
        }
        if !as_expected && treatment.is_refused() {
            output::complain(&format!("the gateway took {id}, which it should have refused"));
        }
        Ok(as_expected)
    }

    /// Signs a webhook, and checks the signature where a private key made it that may not belong to the source.
    fn sign(&self, treatment: Treatment, webhook: &Webhook, at: Time) -> anyhow::Result<SignedDelivery> {
        let signer = match (treatment, &self.key) {
            (Treatment::Forged, _) => Signer::Forger,
            (_, Some(key)) => Signer::Key(key),
            (_, None) => Signer::Secret,
        };
        let mut headers = webhook.headers.clone();
        headers.extend(webhook.content_type().map(|kind| ("content-type".to_owned(), kind.to_owned())));
        let Webhook { query, body, event_id, .. } = webhook;
        let delivery = UnsignedDelivery { headers: &headers, query, body, id: event_id, at };
        let name = self.source.name();
        let signed = self.source.sign(&delivery, signer);
        let signed = signed.map_err(|why| Usage(format!("source {name:?} cannot be triggered: {why}")))?;
        if matches!(signer, Signer::Key(_)) && !self.source.verifies(&signed, at) {
            return Err(Usage(format!(
                "the signing key is not the private half of the first key of source {name:?}, so the gateway would refuse what it signs"
            ))
            .into());
        }
        Ok(signed)
    }
}
