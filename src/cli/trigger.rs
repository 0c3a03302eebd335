//! `paystream trigger`: signs webhooks as a provider would and posts them to a gateway.
//!
//! | file | for |
//! |---|---|
//! | `play` | which webhooks are posted, for which payment, and what is expected of them |
//! | `post` | signing and posting one webhook |
//! | `list` | the list of all scenarios |

mod list;
mod play;
mod post;

use super::{
    argument, client,
    exit::{Refused, Usage},
    one_source::{OneSource, OneSourceArgs},
    output,
};
use crate::{
    config::{environment, referred},
    payment::{Currency, Name},
    source::PrivateKey,
};
use clap::Args;
use play::{Play, WhatToPlay, simulated};
use post::Poster;
use reqwest::Url;
use secrecy::ExposeSecret as _;
use std::path::PathBuf;

/// Signs webhooks as a provider would and posts them
///
/// Posts all webhooks of a payment's life, or a single event, to a source of the configuration, signed with the secret of that
/// source. The exit code is 1 if the gateway refuses a webhook that it should take, or takes one that it should refuse.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream trigger --source acme --payment pay_abc                  a payment that succeeds
  paystream trigger --source acme --payment pay_abc refund --fast    a refund, without pauses
  paystream trigger --source acme --payment pay_abc charge.refunded  a single event
  paystream trigger --source acme --payment try all --fast           every scenario, with payments try-happy, try-refund, …
  paystream trigger --list                                           all scenarios and event types, by preset")]
pub(super) struct TriggerArgs {
    #[command(flatten)]
    from: OneSourceArgs,
    /// The source to post to
    #[arg(long, short, value_name = "NAME", required_unless_present = "list")]
    source: Option<String>,
    /// The id of the payment that the webhooks are about
    #[arg(long, short, value_name = "ID", required_unless_present = "list", value_parser = argument::payment)]
    payment: Option<Name>,
    /// A scenario, `all` of them, or one of the provider's event types
    #[arg(default_value = "happy")]
    scenario: String,
    /// The URL of the gateway's ingest listener, or of `paystream listen` [default: http://<listen.ingest>]
    #[arg(long, value_parser = argument::url)]
    url: Option<Url>,
    /// The amount in the currency's minor unit: 4200 is 42.00 EUR
    #[arg(long, default_value_t = 4200, value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// The currency, as an ISO 4217 code
    #[arg(long, default_value = "EUR", value_parser = |text: &str| text.parse::<Currency>().map_err(|e| e.to_string()))]
    currency: Currency,
    /// A private key in PEM, for a source that has only its public half: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE")]
    signing_key: Option<String>,
    /// A file with the webhooks of a preset of your own
    #[arg(long, value_name = "FILE")]
    webhooks: Option<PathBuf>,
    /// Post the webhooks without pauses
    #[arg(long)]
    fast: bool,
    /// List the scenarios and event types of all presets
    #[arg(long)]
    list: bool,
    /// Print one JSON object per webhook
    #[arg(long)]
    json: bool,
}

impl TriggerArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.list {
            return list::print(self.json);
        }
        let (Some(name), Some(payment)) = (&self.source, &self.payment) else {
            return Err(Usage("give both --source and --payment".to_owned()).into());
        };
        let OneSource { listen, has_tls, source, limits } = self.from.find(name)?;
        let provider = simulated(&source, self.webhooks.as_deref()).map_err(|why| Usage(why.to_string()))?;
        let key = self.signing_key.as_deref().map(private_key).transpose()?;
        let base = client::base_of(self.url.as_ref(), listen.ingest, has_tls)?;
        let url = client::below(&base, &["webhooks", name]);
        let http = client::for_url(&url)?;
        let poster = Poster { http, url, source, key, fast: self.fast, json: self.json };
        let play = Play {
            provider: &provider,
            source: &poster.source,
            amount: self.amount,
            currency: self.currency,
            is_fast: self.fast,
            body_bytes: limits.body_bytes,
        };
        let mut as_expected = true;
        for scene in play.scenes(&WhatToPlay::read(&self.scenario), payment.as_str())? {
            if let Some(line) = scene.heading.as_deref().filter(|_| !self.json) {
                output::say(line)?;
            }
            as_expected &= poster.post_all(scene).await?;
        }
        if as_expected { Ok(()) } else { Err(Refused.into()) }
    }
}

/// Reads the private key that a reference names.
fn private_key(reference: &str) -> anyhow::Result<PrivateKey> {
    let text = referred(reference, &environment()).map_err(|why| Usage(format!("--signing-key: {why}")))?;
    let key = PrivateKey::read(text.expose_secret());
    Ok(key.map_err(|why| Usage(format!("--signing-key: {why}")))?)
}
