//! `paystream audit`: what operators changed.

use super::{
    argument,
    client::AdminArgs,
    output,
    table::{Table, word},
};
use crate::{config::DEFAULT_REALM, payment::Name};
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// Lists what operators changed: when, who, what and why
///
/// Asks the admin listener of the running gateway for its audit trail, newest first. An entry is written before a change is made; a change
/// that then failed has a second entry, which says so. Payments are shown as digests, because an erased payment's id must not be
/// kept; --payment finds the entries of one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream audit
  paystream audit --operator ann --action erase
  paystream audit --payment order-7 --json")]
pub(super) struct AuditArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Only changes by this operator
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Only changes of this kind: replay, discard, close, reconcile, backfill, erase, reload or backup
    #[arg(long)]
    action: Option<String>,
    /// Only changes that concern this payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment)]
    payment: Option<Name>,
    /// The realm of the payment
    #[arg(long, default_value = DEFAULT_REALM, value_parser = argument::name)]
    realm: Name,
    /// The most entries to list
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on with the entries before this one: the cursor at the end of an earlier list
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// Print each entry as JSON on a line of its own
    #[arg(long)]
    json: bool,
}

/// How long the command waits for the gateway.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl AuditArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let mut url = listener.url(&["admin", "audit"]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("limit", &self.limit.to_string());
            let texts = [("operator", &self.operator), ("action", &self.action), ("before", &self.before)];
            for (key, value) in texts {
                value.iter().for_each(|value| {
                    query.append_pair(key, value);
                });
            }
            if let Some(payment) = &self.payment {
                query.append_pair("payment", payment.as_str()).append_pair("realm", self.realm.as_str());
            }
        }
        let page = listener.answer_of(listener.request(Method::GET, url).timeout(ANSWER_TIMEOUT)).await?;
        let entries = page.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if self.json {
            entries.iter().try_for_each(|entry| output::say(&entry.to_string()))?;
        } else {
            as_table(entries).print()?;
        }
        if let Some(next) = page.get("next").and_then(Value::as_str) {
            output::complain(&format!("there are older entries: add --before {next}"));
        }
        Ok(())
    }
}

/// The entries for people.
fn as_table(entries: &[Value]) -> Table {
    let mut table = Table::new(&["TIME", "OPERATOR", "ACTION", "CONCERNS", "REASON"]);
    for entry in entries {
        let action = match entry.get("failed") {
            Some(_) => format!("{} failed: {}", word(entry, "action"), word(entry, "failed")),
            None => word(entry, "action"),
        };
        let concerns = ["source", "realm", "payment", "target"].map(|key| word(entry, key));
        let concerns: Vec<_> = concerns.into_iter().filter(|word| !word.is_empty()).collect();
        table.row([
            word(entry, "at"),
            word(entry, "operator"),
            action,
            concerns.join(" "),
            word(entry, "reason"),
        ]);
    }
    table
}
