//! A simulation of Stripe: posts the signed webhooks of a life over HTTP and retries each until the gateway accepts it.

use crate::{
    backoff::Backoff,
    clock,
    scenario::{SimulatedProvider, Webhook},
    source::{SignedDelivery, Signer, Source, UnsignedDelivery},
};
use reqwest::{Client, StatusCode};
use std::{net::SocketAddr, time::Duration};
use tokio::time::sleep;

/// The name of the source, which is also the name of its preset.
pub(super) const SOURCE: &str = "stripe";

/// The pauses between two attempts. Stripe itself waits for minutes and retries for three days, but the restart in a demo takes seconds.
const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));

/// The number of attempts before a webhook is given up: 40 attempts take about a minute.
const ATTEMPTS: u32 = 40;

/// How long to wait for an answer: far longer than a gateway on the same machine needs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Posts webhooks to the gateway of the demo.
pub(super) struct StripeSimulator {
    /// The provider that is simulated.
    pub(super) provider: SimulatedProvider,
    source: Source,
    client: Client,
}

impl StripeSimulator {
    /// A simulation that signs its webhooks with the secret of `source`.
    pub(super) fn new(source: Source) -> anyhow::Result<Self> {
        // The gateway is on loopback, which a proxy of the environment cannot reach.
        let client = Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
        Ok(Self { provider: SimulatedProvider::named(SOURCE)?, source, client })
    }

    /// Posts the webhooks one after the other, each after its delay.
    pub(super) async fn post_all(&self, webhooks: Vec<Webhook>, gateway: SocketAddr) {
        for webhook in webhooks {
            sleep(webhook.delay).await;
            self.deliver(&webhook, gateway).await;
        }
    }

    /// Posts one webhook, with retries.
    async fn deliver(&self, webhook: &Webhook, gateway: SocketAddr) {
        for failures in 0..ATTEMPTS {
            match self.post(webhook, gateway).await {
                Ok(status) if status.is_success() => return,
                Ok(status) => {
                    tracing::warn!(event = %webhook.event_id, status = status.as_u16(), "the gateway refused the webhook; it is retried");
                }
                Err(error) => {
                    tracing::info!(event = %webhook.event_id, %error, "the gateway could not be reached; the webhook is retried");
                }
            }
            sleep(RETRY.random(failures)).await;
        }
        tracing::error!(event = %webhook.event_id, "the webhook is given up");
    }

    /// Posts one webhook once. Each attempt is signed anew, as Stripe does, so that the signature has the time of the attempt.
    async fn post(&self, webhook: &Webhook, gateway: SocketAddr) -> anyhow::Result<StatusCode> {
        let url = format!("http://{gateway}/webhooks/{SOURCE}");
        let Webhook { headers, query, body, event_id, .. } = webhook;
        let delivery = UnsignedDelivery { headers, query, body, id: event_id, at: clock::now() };
        let SignedDelivery { headers, body, .. } = self.source.sign(&delivery, Signer::Secret)?;
        let request = self.client.post(url).header("content-type", "application/json");
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        Ok(request.body(body).send().await?.status())
    }
}
