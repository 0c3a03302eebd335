//! `paystream receipts`: which page was told what of a payment, and when.

use super::{
    argument,
    client::AdminArgs,
    output,
    table::{Table, word},
};
use crate::payment::Name;
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// Shows what became of a payment's events, and which page was told what and when
///
/// Asks the admin listener of the running gateway for the receipt of a payment: what the provider sent, by which key it was verified, when it
/// was appended, which node heard of it, and when each stream opened, was told of it, came back and ended. A stream is shown by the `sub` of its
/// token, or by a digest of the token. "shown" is what the page itself says. Of each payment, at most 100 streams are kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream receipts order-7
  paystream receipts pay_abc --realm live
  paystream receipts order-7 --json | jq '.timeline[] | select(.what == \"written\")'")]
pub(super) struct ReceiptsArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The id of the payment, or another id of it that pages ask for
    #[arg(value_name = "PAYMENT", value_parser = argument::payment)]
    payment: Name,
    /// The realm of the payment, if several realms know one of this id
    #[arg(long, value_parser = argument::name)]
    realm: Option<Name>,
    /// Only a payment with real money (true), or of the provider's test mode (false)
    #[arg(long, value_name = "BOOL")]
    live: Option<bool>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// How long the command waits for the gateway, which reads the records of all sources of the realm.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl ReceiptsArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let mut url = listener.url(&["admin", "receipts"]);
        url.query_pairs_mut().append_pair("payment", self.payment.as_str());
        if let Some(realm) = &self.realm {
            url.query_pairs_mut().append_pair("realm", realm.as_str());
        }
        if let Some(live) = self.live {
            url.query_pairs_mut().append_pair("live", &live.to_string());
        }
        let request = listener.request(Method::GET, url).timeout(ANSWER_TIMEOUT);
        let receipt = listener.answer_of(request).await?;
        if self.json {
            output::say(&receipt.to_string())?;
            return Ok(());
        }
        let mut table = Table::new(&["TIME", "WHAT", "SEQ", "WHO", "DETAIL"]);
        for moment in list(&receipt, "timeline") {
            table.row([
                word(moment, "at"),
                word(moment, "what"),
                word(moment, "seq"),
                who(moment),
                detail(moment),
            ]);
        }
        table.print()?;
        for stream in list(&receipt, "streams") {
            output::say(&summary(stream))?;
        }
        if receipt.get("sampled").and_then(Value::as_bool) == Some(true) {
            let left_out = word(&receipt, "left_out");
            output::complain(&format!(
                "there was more than is kept of one payment: {left_out} moments or more are left out"
            ));
        }
        Ok(())
    }
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Who it was: a source, a node or a stream.
fn who(moment: &Value) -> String {
    let known = ["source", "node", "stream"].map(|key| word(moment, key));
    known.into_iter().find(|who| !who.is_empty()).unwrap_or_default()
}

/// What else there is to say of a moment.
fn detail(moment: &Value) -> String {
    let text = |key: &str| Some(word(moment, key)).filter(|text| !text.is_empty());
    let details = match word(moment, "what").as_str() {
        "received" => vec![text("outcome"), text("reason"), text("type"), text("event")],
        "verified" => vec![text("key")],
        "appended" => vec![text("took_us").map(|us| format!("{us} µs after its receipt"))],
        "fanned_out" => vec![text("streams").map(|streams| format!("to {streams} streams"))],
        "written" => vec![text("as")],
        _ => vec![text("reason")],
    };
    details.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One stream in a line.
fn summary(stream: &Value) -> String {
    let last =
        |key: &str| list(stream, key).last().map_or_else(|| "nothing".to_owned(), |last| word(last, "seq"));
    let is = |key: &str| stream.get(key).and_then(Value::as_bool) == Some(true);
    format!(
        "{}: opened {}, resumed {}, closed {}; {}; last written {}, last shown {}{}",
        word(stream, "stream"),
        word(stream, "opened"),
        word(stream, "resumed"),
        word(stream, "closed"),
        if is("open") { "open" } else { "not open" },
        last("written"),
        last("shown"),
        if is("truncated") { "; more than is kept" } else { "" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_moment_is_told_in_a_line() {
        for (moment, told) in [
            (
                json!({ "what": "received", "source": "acme", "outcome": "quarantined", "reason": "bad_amount", "type": "paid" }),
                "acme quarantined bad_amount paid",
            ),
            (json!({ "what": "verified", "source": "acme", "key": "secret 2" }), "acme secret 2"),
            (
                json!({ "what": "appended", "source": "acme", "took_us": 900 }),
                "acme 900 µs after its receipt",
            ),
            (json!({ "what": "fanned_out", "node": "web-1", "streams": 3 }), "web-1 to 3 streams"),
            (json!({ "what": "closed", "stream": "sub:ann", "reason": "gone" }), "sub:ann gone"),
        ] {
            assert_eq!(format!("{} {}", who(&moment), detail(&moment)), told);
        }
        let stream = json!({ "stream": "sub:ann", "opened": 1, "resumed": 2, "closed": 2, "open": true,
                             "written": [{ "seq": 4 }], "shown": [], "truncated": false });
        assert_eq!(
            summary(&stream),
            "sub:ann: opened 1, resumed 2, closed 2; open; last written 4, last shown nothing"
        );
    }
}
