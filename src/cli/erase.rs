//! `paystream erase`: removes all that the gateway holds about one payment.

use super::{
    argument,
    client::{AdminArgs, ReasonArgs},
    output,
};
use crate::{config::DEFAULT_REALM, payment::Name};
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// Removes all that the gateway holds about a payment, and says what it removed
///
/// Sends the request to the admin listener of the running gateway. It removes the payment's events, its records in the delivery logs and
/// quarantines of its realm, its pending confirmations, its receipt and every reference to it, and tells open streams. It cannot be undone. A webhook
/// that comes later begins the payment anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream erase --payment pay_abc
  paystream erase --payment order-7 --realm live --reason \"the customer asked, ticket 4711\" --json")]
pub(super) struct EraseArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The id of the payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment)]
    payment: Name,
    /// The realm of the payment
    #[arg(long, default_value = DEFAULT_REALM, value_parser = argument::name)]
    realm: Name,
    #[command(flatten)]
    why: ReasonArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How long the command waits for the gateway, which searches thousands of records of each source.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl EraseArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let mut url = listener.url(&["admin", "payments", self.payment.as_str()]);
        url.query_pairs_mut().append_pair("realm", self.realm.as_str());
        self.why.add_to(&mut url);
        let request = listener.request(Method::DELETE, url).timeout(ANSWER_TIMEOUT);
        let report = listener.answer_of(request).await?;
        output::say(&if self.json { report.to_string() } else { as_text(&report) })?;
        Ok(())
    }
}

/// The report for people.
fn as_text(report: &Value) -> String {
    let text = |key: &str| report.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (payment, realm) = (text("payment"), text("realm"));
    if report.get("known").and_then(Value::as_bool) != Some(true) {
        return format!("nothing is known of payment {payment} in realm {realm}, so nothing was removed");
    }
    let removed = |key: &str| report.pointer(&format!("/removed/{key}")).and_then(Value::as_u64).unwrap_or(0);
    let kinds = [
        ("events", "events"),
        ("references", "references in the feed"),
        ("deliveries", "records of deliveries"),
        ("quarantined", "records in quarantine"),
        ("confirmations", "pending confirmations"),
        ("receipts", "streams and nodes of its receipt"),
    ];
    let lines = kinds.map(|(key, what)| format!("  {:>6} {what}", removed(key)));
    format!("payment {payment} of realm {realm} is erased; removed:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_says_what_was_removed_or_that_there_was_nothing() {
        let mut report = json!({
            "payment": "pay_1", "realm": "default", "known": true,
            "removed": { "events": 3, "references": 3, "deliveries": 4, "quarantined": 0, "confirmations": 1, "receipts": 2 },
        });
        let expected = "payment pay_1 of realm default is erased; removed:\n       3 events\n       3 references in the feed\n       \
                        4 records of deliveries\n       0 records in quarantine\n       1 pending confirmations\n       2 streams and nodes of its receipt";
        assert_eq!(as_text(&report), expected);
        report["known"] = false.into();
        assert_eq!(
            as_text(&report),
            "nothing is known of payment pay_1 in realm default, so nothing was removed"
        );
    }
}
