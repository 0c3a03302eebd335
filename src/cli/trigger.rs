//! `paystream trigger`: signs webhooks as a provider would and posts them to a gateway.

use super::{
    argument, client,
    config_file::ConfigFile,
    exit::{Refused, Usage},
    output,
};
use crate::{
    clock,
    config::{Config, DEV_SECRET, Environment, Listen, Posting, environment},
    payment::{Currency, Name, Time},
    scenario::{self, Life, SimulatedProvider, UnknownProvider, Unsupported, Webhook},
    source::Source,
};
use anyhow::Context;
use clap::Args;
use reqwest::{Client, Url};
use serde_json::json;
use std::time::{Duration, Instant};

/// Signs webhooks as a provider would and posts them
///
/// Posts all webhooks of a payment's life, or a single event, to a source of the configuration, signed with the secret of that
/// source. The exit code is 1 if the gateway refuses a webhook.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream trigger --source acme --payment pay_abc                  a payment that succeeds
  paystream trigger --source acme --payment pay_abc refund --fast    a refund, without pauses
  paystream trigger --source acme --payment pay_abc charge.refunded  a single event
  paystream trigger --list                                           all scenarios and event types")]
pub(super) struct TriggerArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Use the configuration of `serve --dev`, whose secret has to be in PAYSTREAM_DEV_SECRET
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// The source to post to
    #[arg(long, short, value_name = "NAME", required_unless_present = "list")]
    source: Option<String>,
    /// The id of the payment that the webhooks are about
    #[arg(long, short, value_name = "ID", required_unless_present = "list", value_parser = argument::payment)]
    payment: Option<Name>,
    /// A scenario or one of the provider's event types
    #[arg(default_value = "happy")]
    scenario: String,
    /// The URL of the gateway's ingest listener [default: http://<listen.ingest>]
    #[arg(long, value_parser = argument::url)]
    url: Option<Url>,
    /// The amount in the currency's minor unit: 4200 is 42.00 EUR
    #[arg(long, default_value_t = 4200, value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// The currency, as an ISO 4217 code
    #[arg(long, default_value = "EUR", value_parser = |text: &str| text.parse::<Currency>().map_err(|e| e.to_string()))]
    currency: Currency,
    /// Post the webhooks without pauses
    #[arg(long)]
    fast: bool,
    /// List the scenarios and event types of all providers
    #[arg(long)]
    list: bool,
    /// Print one JSON object per webhook
    #[arg(long)]
    json: bool,
}

/// How long the command waits for an answer. Providers give up earlier, so no gateway may take this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl TriggerArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.list {
            return list(self.json);
        }
        let (Some(name), Some(payment)) = (&self.source, &self.payment) else {
            return Err(Usage("give both --source and --payment".to_owned()).into());
        };
        let Posting { listen, has_tls, source, names } = self.posting(name, &environment())?;
        let unknown = || {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Usage(format!("there is no source {name:?}; the configured sources are: {known}"))
        };
        let source = source.ok_or_else(unknown)?;
        let provider: SimulatedProvider =
            source.provider().parse().map_err(|error: UnknownProvider| Usage(error.to_string()))?;
        let webhooks = self.webhooks(provider, payment.as_str()).map_err(|error| Usage(error.to_string()))?;
        let base = client::base_of(self.url.as_ref(), listen.ingest, has_tls)?;
        let url = client::below(&base, &["webhooks", name]);
        let http = client::for_url(&url)?;
        let mut refused = false;
        for webhook in webhooks {
            if !self.fast {
                tokio::time::sleep(webhook.delay).await;
            }
            refused |= !self.post(&http, &url, &source, webhook).await?;
        }
        if refused { Err(Refused.into()) } else { Ok(()) }
    }

    /// Reads what is needed to post to the source `name`. Of the secrets, only those of this source are resolved.
    fn posting(&self, name: &str, environment: &Environment) -> anyhow::Result<Posting> {
        if !self.dev {
            return Ok(Posting::load(&self.config.path, environment, name)?);
        }
        let secret = environment.get(DEV_SECRET).cloned();
        let secret = secret.ok_or_else(|| {
            Usage(format!(
                "{DEV_SECRET} is not set; set it to the secret that `paystream serve --dev` prints"
            ))
        })?;
        let sources = Config::dev("unused".into(), &secret.into())?.sources;
        let names = sources.iter().map(|source| source.name().to_owned()).collect();
        let source = sources.into_iter().find(|source| source.name() == name);
        Ok(Posting { listen: Listen::dev(None, environment)?, has_tls: false, source, names })
    }

    /// The webhooks to post. If they are posted without pauses, the life starts in the past, so that no event has a time in the
    /// future.
    fn webhooks(&self, provider: SimulatedProvider, payment: &str) -> Result<Vec<Webhook>, Unsupported> {
        let now = clock::now();
        let Ok(life) = self.scenario.parse::<Life>() else {
            let webhook =
                scenario::event(provider, &self.scenario, payment, self.amount, self.currency, now)?;
            return Ok(vec![webhook]);
        };
        let play = |start| scenario::webhooks(provider, life, payment, self.amount, self.currency, start);
        let webhooks = play(now)?;
        if !self.fast {
            return Ok(webhooks);
        }
        let length: Duration = webhooks.iter().map(|webhook| webhook.delay).sum();
        let length_ms = i64::try_from(length.as_millis()).unwrap_or_default();
        play(Time::from_unix_ms(now.unix_ms() - length_ms).unwrap_or(now))
    }

    /// Posts one webhook and prints the answer. Returns false if the gateway refused it.
    async fn post(
        &self,
        http: &Client,
        url: &Url,
        source: &Source,
        webhook: Webhook,
    ) -> anyhow::Result<bool> {
        let headers = source.sign(&webhook.body, clock::now(), &webhook.event_id);
        let begun = Instant::now();
        let mut request =
            http.post(url.clone()).timeout(ANSWER_TIMEOUT).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request
            .body(webhook.body)
            .send()
            .await
            .with_context(|| format!("{url} does not answer; check that the gateway is running"))?;
        let status = answer.status();
        let body = answer.text().await.context("the connection broke during the answer")?;
        let took_ms = begun.elapsed().as_millis();
        if self.json {
            let (status, kind, id) = (status.as_u16(), &webhook.event_type, &webhook.event_id);
            output::say(
                &json!({"event": kind, "id": id, "status": status, "ms": took_ms, "body": body.trim()})
                    .to_string(),
            )?;
        } else {
            let (kind, id) = (webhook.event_type, webhook.event_id);
            output::say(&format!("{} {kind:<42} {id}  {took_ms:>4} ms  {}", status.as_u16(), body.trim()))?;
        }
        Ok(status.is_success())
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    for provider in SimulatedProvider::ALL {
        let (lives, types) = (provider.lives(), provider.event_types());
        if json {
            let lives: Vec<_> = lives.iter().map(|life| life.name()).collect();
            output::say(
                &json!({"provider": provider.name(), "scenarios": lives, "event_types": types}).to_string(),
            )?;
            continue;
        }
        output::say(&format!("{provider}\n  scenarios"))?;
        for life in lives {
            output::say(&format!("    {:<20} {}", life.name(), life.about()))?;
        }
        output::say("  event types")?;
        for name in types {
            output::say(&format!("    {name}"))?;
        }
    }
    Ok(())
}
