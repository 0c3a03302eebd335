//! `paystream trigger`: signs webhooks as a provider would, and posts them.

use super::{ConfigFile, Refused, Usage, a_payment, output, post};
use crate::{
    clock,
    config::{Config, DEV_SECRET, Environment, Listen, Posting, environment},
    ingest::Source,
    payment::{Currency, Name, Time},
    scenario::{self, Life, PROVIDERS, Step},
};
use anyhow::Context;
use clap::Args;
use reqwest::{Client, Url};
use serde_json::json;
use std::time::{Duration, Instant};

/// Signs webhooks as the provider would, and posts them
///
/// Plays a whole payment's life, or posts a single event, to a source of the configuration, with its secret. Exit code 1
/// if any webhook was not accepted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream trigger --source acme --payment pay_abc                       created, processed, paid
  paystream trigger --source acme --payment pay_abc refund --fast         without pauses
  paystream trigger --source acme --payment pay_abc charge.refunded       a single event
  paystream trigger --list                                                what can be played")]
pub(super) struct Trigger {
    #[command(flatten)]
    config: ConfigFile,
    /// The configuration of `serve --dev`, with its secret in PAYSTREAM_DEV_SECRET
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// The source to post to
    #[arg(long, short, value_name = "NAME", required_unless_present = "list")]
    source: Option<String>,
    /// The payment that the webhooks are about
    #[arg(long, short, value_name = "ID", required_unless_present = "list", value_parser = a_payment)]
    payment: Option<Name>,
    /// A scenario, or one of the provider's event types
    #[arg(default_value = "happy")]
    scenario: String,
    /// Where the gateway takes webhooks [default: http://<listen.ingest>]
    #[arg(long, value_parser = post::a_url)]
    url: Option<Url>,
    /// In the currency's minor unit: 4200 is 42.00 EUR
    #[arg(long, default_value_t = 4200, value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// ISO 4217
    #[arg(long, default_value = "EUR", value_parser = |text: &str| text.parse::<Currency>().map_err(|e| e.to_string()))]
    currency: Currency,
    /// Post without pauses
    #[arg(long)]
    fast: bool,
    /// List the scenarios and event types
    #[arg(long)]
    list: bool,
    /// Answer in JSON, one object per webhook
    #[arg(long)]
    json: bool,
}

/// Longer than any gateway may take: providers give up earlier.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl Trigger {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.list {
            return list(self.json);
        }
        let (Some(name), Some(payment)) = (&self.source, &self.payment) else {
            return Err(Usage("--source and --payment are needed".to_owned()).into());
        };
        let Posting { listen, source, names } = self.posting(name, &environment())?;
        let unknown = || {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Usage(format!("there is no source {name:?}; configured are: {known}"))
        };
        let source = source.ok_or_else(unknown)?;
        let steps =
            self.steps(source.provider(), payment.as_str()).map_err(|error| Usage(error.to_string()))?;
        let base = match &self.url {
            Some(url) => url.clone(),
            None => post::url_of(listen.ingest).parse()?,
        };
        let url = post::below(&base, &["webhooks", name]);
        let client = post::client(&url)?;
        let mut refused = false;
        for step in steps {
            if !self.fast {
                tokio::time::sleep(step.delay).await;
            }
            refused |= !self.post(&client, &url, &source, step).await?;
        }
        if refused { Err(Refused.into()) } else { Ok(()) }
    }

    /// What it takes to post to the source `name`; of the secrets, only that source's.
    fn posting(&self, name: &str, environment: &Environment) -> anyhow::Result<Posting> {
        if !self.dev {
            return Ok(Posting::load(&self.config.config, environment, name)?);
        }
        let secret = environment.get(DEV_SECRET).cloned();
        let secret = secret
            .ok_or_else(|| Usage(format!("{DEV_SECRET} is not set; `paystream serve --dev` prints it")))?;
        let sources = Config::dev("unused".into(), &secret.into())?.sources;
        let names = sources.iter().map(|source| source.name().to_owned()).collect();
        let source = sources.into_iter().find(|source| source.name() == name);
        Ok(Posting { listen: Listen::dev(None, environment)?, source, names })
    }

    /// A life played without pauses began earlier, so that none of its events lies in the future.
    fn steps(&self, provider: &str, payment: &str) -> Result<Vec<Step>, scenario::Unsupported> {
        let now = clock::now();
        let Ok(life) = self.scenario.parse::<Life>() else {
            let step = scenario::event(provider, &self.scenario, payment, self.amount, self.currency, now)?;
            return Ok(vec![step]);
        };
        let play = |start| scenario::steps(provider, life, payment, self.amount, self.currency, start);
        let steps = play(now)?;
        if !self.fast {
            return Ok(steps);
        }
        let length: Duration = steps.iter().map(|step| step.delay).sum();
        let length_ms = i64::try_from(length.as_millis()).unwrap_or_default();
        play(Time::from_unix_ms(now.unix_ms() - length_ms).unwrap_or(now))
    }

    /// Posts one webhook and shows the answer. False if it was refused.
    async fn post(&self, client: &Client, url: &Url, source: &Source, step: Step) -> anyhow::Result<bool> {
        let headers = source.sign(&step.body, clock::now(), &step.event_id);
        let begun = Instant::now();
        let mut request =
            client.post(url.clone()).timeout(ANSWER_TIMEOUT).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request
            .body(step.body)
            .send()
            .await
            .with_context(|| format!("no answer from {url}; is the gateway running?"))?;
        let status = answer.status();
        let body = answer.text().await.context("the answer broke off")?;
        let took_ms = begun.elapsed().as_millis();
        if self.json {
            let (status, kind, id) = (status.as_u16(), &step.event_type, &step.event_id);
            output::say(
                &json!({"event": kind, "id": id, "status": status, "ms": took_ms, "body": body.trim()})
                    .to_string(),
            )?;
        } else {
            let (kind, id) = (step.event_type, step.event_id);
            output::say(&format!("{} {kind:<42} {id}  {took_ms:>4} ms  {}", status.as_u16(), body.trim()))?;
        }
        Ok(status.is_success())
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    for provider in PROVIDERS {
        let (lives, types) = (Life::of_provider(provider), scenario::event_types(provider));
        if json {
            let lives: Vec<_> = lives.iter().map(|life| life.name()).collect();
            output::say(
                &json!({"provider": provider, "scenarios": lives, "event_types": types}).to_string(),
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
