//! `paystream reconcile`: what does the provider say of a payment, and what did the gateway know?

use super::{ConfigFile, Undone, Usage, a_payment, output, post};
use crate::{config::Operating, payment::Name};
use anyhow::Context;
use clap::Args;
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

/// Asks a payment's provider what has become of it, and compares
///
/// The running gateway asks, over the admin listener, and appends what is news to it, as it does by itself after a webhook that only
/// hints. Exit code 0 if the gateway knew what the provider says, 1 if they differed, 2 if it could not be found out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream reconcile --source mollie --payment tr_7UhSN1zuXS
  paystream reconcile --source mollie --payment tr_7UhSN1zuXS --json")]
pub(super) struct Reconcile {
    #[command(flatten)]
    config: ConfigFile,
    /// The source that the payment came through; it needs [source.api]
    #[arg(long, short, value_name = "NAME")]
    source: String,
    /// The payment, by the provider's id
    #[arg(long, short, value_name = "ID", value_parser = a_payment)]
    payment: Name,
    /// Where the gateway's admin listener is [default: http://<listen.admin>]
    #[arg(long, value_parser = post::a_url)]
    url: Option<Url>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Longer than the gateway gives the provider and its store.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl Reconcile {
    /// What the exit code is to be, if it could be found out.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Operating { listen, token } = self.config.read(Operating::load)?;
        let token =
            token.ok_or_else(|| Usage("the configuration has no `token` under [admin]".to_owned()))?;
        let base = match &self.url {
            Some(url) => url.clone(),
            None => post::url_of(listen.admin).parse()?,
        };
        let path = ["admin", "sources", &self.source, "payments", self.payment.as_str(), "reconcile"];
        let answer = self.ask(&post::below(&base, &path), token.expose_secret()).await;
        let told = answer.map_err(|error| Undone(format!("{error:#}")))?;
        output::say(&if self.json { told.to_string() } else { as_text(&told) })?;
        let same = told.get("same").and_then(Value::as_bool).unwrap_or(false);
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn ask(&self, url: &Url, token: &str) -> anyhow::Result<Value> {
        let request = post::client(url)?.post(url.clone()).timeout(ANSWER_TIMEOUT).bearer_auth(token);
        let unanswered = || format!("no answer from {url}; is the gateway running?");
        let answer = request.send().await.with_context(unanswered)?;
        let status = answer.status();
        let body: Value =
            answer.json().await.with_context(|| format!("{url} does not answer as a gateway"))?;
        if status.is_success() {
            return Ok(body);
        }
        let said = |key| body.get(key).and_then(Value::as_str).unwrap_or_default();
        anyhow::bail!("{} ({})", said("detail"), said("reason"))
    }
}

fn as_text(told: &Value) -> String {
    let word = |at: &str| told.pointer(at).map_or_else(String::new, plain);
    let differences = told.get("differences").and_then(Value::as_array);
    let differences: Vec<String> = differences.into_iter().flatten().map(plain).collect();
    let verdict = if differences.is_empty() {
        "the gateway knew what the provider says".to_owned()
    } else {
        format!("they differ in {}", differences.join(", "))
    };
    let appended = match told.pointer("/appended/seq") {
        Some(seq) => {
            format!("appended {} as event {seq}; now {}", word("/appended/type"), standing(told, "now"))
        }
        None => "nothing was appended".to_owned(),
    };
    format!(
        "{} of {}\n  gateway   {}\n  provider  {}\n{verdict}; {appended}",
        word("/payment"),
        word("/source"),
        standing(told, "gateway"),
        standing(told, "provider"),
    )
}

/// `captured, 10.00 EUR (captured 10.00, refunded 0.00)`
fn standing(told: &Value, whose: &str) -> String {
    let at = |key: &str| told.pointer(&format!("/{whose}/{key}")).filter(|value| !value.is_null());
    let digits = at("exponent").and_then(Value::as_u64).and_then(|digits| usize::try_from(digits).ok());
    let money = |key: &str| at(key).and_then(Value::as_i64).map(|minor| decimal(minor, digits.unwrap_or(0)));
    let status = at("status").map_or_else(String::new, plain);
    let (captured, refunded) = (money("captured").unwrap_or_default(), money("refunded").unwrap_or_default());
    match (money("amount"), at("currency").map(plain)) {
        (Some(amount), Some(currency)) => {
            format!("{status}, {amount} {currency} (captured {captured}, refunded {refunded})")
        }
        _ => status,
    }
}

/// An amount in minor units, written in major ones.
fn decimal(minor: i64, digits: usize) -> String {
    let text = format!("{:0width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    let sign = if minor < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_written_as_people_do() {
        for (minor, digits, expected) in [
            (1000, 2, "10.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (1000, 0, "1000"),
            (14844, 8, "0.00014844"),
        ] {
            assert_eq!(decimal(minor, digits), expected);
        }
    }

    #[test]
    fn people_are_told_what_differs_and_what_was_done() {
        let none = json!({ "status": "unknown", "amount": null, "currency": null, "exponent": null, "captured": 0, "refunded": 0 });
        let paid = json!({ "status": "captured", "amount": 1000, "currency": "EUR", "exponent": 2, "captured": 1000, "refunded": 0 });
        let told = json!({
            "source": "mollie", "payment": "tr_1", "same": false, "differences": ["status", "amount"],
            "gateway": none, "provider": paid, "appended": { "seq": 2, "id": "confirmed:0", "type": "paid" }, "now": paid,
        });
        let paid_in_words = "captured, 10.00 EUR (captured 10.00, refunded 0.00)";
        let expected = format!(
            "tr_1 of mollie\n  gateway   unknown\n  provider  {paid_in_words}\n\
             they differ in status, amount; appended paid as event 2; now {paid_in_words}"
        );
        assert_eq!(as_text(&told), expected);
    }
}
