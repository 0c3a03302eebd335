//! The pretended Stripe: posts a life's webhooks over HTTP, signed, and tries again until each is taken.

use crate::{backoff::Backoff, clock, scenario::Step, source::Source};
use reqwest::{Client, StatusCode};
use std::{net::SocketAddr, time::Duration};
use tokio::time::sleep;

/// The source's name, which is its preset's too.
pub(super) const SOURCE: &str = "stripe";

/// Stripe waits for minutes and tries for three days; a demo's restart takes seconds.
const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));
const TRIES: u32 = 40;

/// Far more than a gateway on the same machine takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Provider {
    source: Source,
    client: Client,
}

impl Provider {
    pub(super) fn new(source: Source) -> anyhow::Result<Self> {
        // Loopback is reached directly, whatever proxy the environment names.
        let client = Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
        Ok(Self { source, client })
    }

    /// Posts the webhooks one after the other, at the pace of the life.
    pub(super) async fn tell(&self, steps: Vec<Step>, gateway: SocketAddr) {
        for step in steps {
            sleep(step.delay).await;
            self.deliver(&step, gateway).await;
        }
    }

    async fn deliver(&self, step: &Step, gateway: SocketAddr) {
        for failures in 0..TRIES {
            match self.post(step, gateway).await {
                Ok(status) if status.is_success() => return,
                Ok(status) => {
                    tracing::warn!(event = %step.event_id, %status, "webhook refused; trying again");
                }
                Err(error) => {
                    tracing::info!(event = %step.event_id, %error, "webhook not taken; trying again");
                }
            }
            sleep(RETRY.random(failures)).await;
        }
        tracing::error!(event = %step.event_id, "webhook given up");
    }

    /// Signed anew at each try, as Stripe does: the signature's time is that of the try.
    async fn post(&self, step: &Step, gateway: SocketAddr) -> reqwest::Result<StatusCode> {
        let url = format!("http://{gateway}/webhooks/{SOURCE}");
        let request = self.client.post(url).header("content-type", "application/json");
        let signature = self.source.sign(&step.body, clock::now(), &step.event_id);
        let request =
            signature.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        Ok(request.body(step.body.clone()).send().await?.status())
    }
}
