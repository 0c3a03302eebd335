//! `paystream reconcile`: compares what the gateway knows about a payment with what its provider says.

use super::{
    argument,
    client::{AdminArgs, ReasonArgs},
    exit::NotCompared,
    output,
};
use crate::{payment::Name, scenario::in_major_units};
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

/// Asks a provider for the state of a payment and compares it with the gateway's
///
/// Sends the request to the admin listener of the running gateway. The gateway asks the provider and appends what is new, as it does
/// by itself after a webhook that only hints at a change. The exit code is 0 if both agree, 1 if they differ, and 2 if they could
/// not be compared.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream reconcile --source mollie --payment tr_7UhSN1zuXS
  paystream reconcile --source mollie --payment tr_7UhSN1zuXS --json")]
pub(super) struct ReconcileArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The source that receives the payment's webhooks; it needs [source.api]
    #[arg(long, short, value_name = "NAME")]
    source: String,
    /// The provider's id of the payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment)]
    payment: Name,
    #[command(flatten)]
    why: ReasonArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How long the command waits for the gateway: longer than the gateway itself waits for the provider and the store.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl ReconcileArgs {
    /// Returns the exit code, or an error if the comparison was not possible.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let listener = self.admin.listener()?;
        let path = ["admin", "sources", &self.source, "payments", self.payment.as_str(), "reconcile"];
        let mut url = listener.url(&path);
        self.why.add_to(&mut url);
        let request = listener.request(Method::POST, url).timeout(ANSWER_TIMEOUT);
        let report = listener.answer_of(request).await.map_err(|error| NotCompared(format!("{error:#}")))?;
        output::say(&if self.json { report.to_string() } else { as_text(&report) })?;
        let same = report.get("same").and_then(Value::as_bool).unwrap_or(false);
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The report for people.
fn as_text(report: &Value) -> String {
    let word = |at: &str| report.pointer(at).map_or_else(String::new, plain);
    let differences = report.get("differences").and_then(Value::as_array);
    let differences: Vec<String> = differences.into_iter().flatten().map(plain).collect();
    let verdict = if differences.is_empty() {
        "the gateway and the provider agree".to_owned()
    } else {
        format!("they differ in {}", differences.join(", "))
    };
    let appended = match report.pointer("/appended/seq") {
        Some(seq) => {
            format!("appended {} as event {seq}; now {}", word("/appended/type"), state(report, "now"))
        }
        None => "nothing was appended".to_owned(),
    };
    format!(
        "payment {} of source {}\n  gateway   {}\n  provider  {}\n{verdict}; {appended}",
        word("/payment"),
        word("/source"),
        state(report, "gateway"),
        state(report, "provider"),
    )
}

/// One side's state of the payment, such as `captured, 10.00 EUR (captured 10.00, refunded 0.00)`.
fn state(report: &Value, side: &str) -> String {
    let at = |key: &str| report.pointer(&format!("/{side}/{key}")).filter(|value| !value.is_null());
    let digits = at("exponent").and_then(Value::as_u64).and_then(|digits| u8::try_from(digits).ok());
    let money =
        |key: &str| at(key).and_then(Value::as_i64).map(|minor| in_major_units(minor, digits.unwrap_or(0)));
    let status = at("status").map_or_else(String::new, plain);
    let (captured, refunded) = (money("captured").unwrap_or_default(), money("refunded").unwrap_or_default());
    match (money("amount"), at("currency").map(plain)) {
        (Some(amount), Some(currency)) => {
            format!("{status}, {amount} {currency} (captured {captured}, refunded {refunded})")
        }
        _ => status,
    }
}

/// The value without quotes if it is a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_says_what_differs_and_what_was_appended() {
        let none = json!({ "status": "unknown", "amount": null, "currency": null, "exponent": null, "captured": 0, "refunded": 0 });
        let paid = json!({ "status": "captured", "amount": 1000, "currency": "EUR", "exponent": 2, "captured": 1000, "refunded": 0 });
        let report = json!({
            "source": "mollie", "payment": "tr_1", "same": false, "differences": ["status", "amount"],
            "gateway": none, "provider": paid, "appended": { "seq": 2, "id": "confirmed:0", "type": "paid" }, "now": paid,
        });
        let paid_in_words = "captured, 10.00 EUR (captured 10.00, refunded 0.00)";
        let expected = format!(
            "payment tr_1 of source mollie\n  gateway   unknown\n  provider  {paid_in_words}\n\
             they differ in status, amount; appended paid as event 2; now {paid_in_words}"
        );
        assert_eq!(as_text(&report), expected);
    }
}
