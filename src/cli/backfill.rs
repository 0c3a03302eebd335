//! `paystream backfill`: has the gateway ask a provider for its events since a time, and take those that got lost.

use super::{
    argument,
    client::{AdminArgs, ReasonArgs},
    output,
};
use crate::payment::Time;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Asks a provider for its events since a time, and takes those that got lost
///
/// The running gateway asks the provider's API for its events, page by page, and takes them as if webhooks had brought them. What it has
/// already is a duplicate, so nothing is counted twice, and the command may be repeated. An interrupted one goes on with --cursor.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream backfill --source stripe-live --since 2h
  paystream backfill --source stripe-live --since 2026-11-30T12:00:00Z --reason 'outage of the load balancer'")]
pub(super) struct BackfillArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The source whose provider is asked; it needs [source.api]
    #[arg(long, short, value_name = "NAME")]
    source: String,
    /// Since when: a time, or how long ago that is, such as 2h
    #[arg(long, value_name = "TIME", value_parser = argument::moment)]
    since: Time,
    /// Where an interrupted backfill goes on
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    why: ReasonArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How long the command waits for one answer, which has several pages.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

impl BackfillArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let (mut events, mut pages) = (0, 0);
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        let mut cursor = self.cursor.clone();
        loop {
            let mut url = listener.url(&["admin", "sources", &self.source, "backfill"]);
            self.why.add_to(&mut url);
            url.query_pairs_mut().append_pair("since", &self.since.to_string());
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let request = listener.request(Method::POST, url).timeout(ANSWER_TIMEOUT);
            let page = match listener.answer_of(request).await {
                Ok(page) => page,
                Err(why) => {
                    if let Some(cursor) = &cursor {
                        output::complain(&format!(
                            "{events} events were taken; go on with --cursor {cursor}"
                        ));
                    }
                    return Err(why);
                }
            };
            let number = |key: &str| page.get(key).and_then(Value::as_u64).unwrap_or_default();
            events += number("events");
            pages += number("pages");
            for (word, count) in page.get("outcomes").and_then(Value::as_object).into_iter().flatten() {
                *outcomes.entry(word.clone()).or_default() += count.as_u64().unwrap_or_default();
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
            if !self.json {
                output::complain(&format!("{events} events so far, back to {}", text(&page, "oldest")));
            }
        }
        output::say(&if self.json {
            json!({ "source": self.source, "since": self.since, "pages": pages, "events": events, "outcomes": outcomes })
                .to_string()
        } else {
            let told = outcomes.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>();
            let told = if told.is_empty() { "none".to_owned() } else { told.join(", ") };
            format!("{events} events of {} since {}: {told}", self.source, self.since)
        })?;
        Ok(())
    }
}

fn text<'a>(page: &'a Value, key: &str) -> &'a str {
    page.get(key).and_then(Value::as_str).unwrap_or("-")
}
