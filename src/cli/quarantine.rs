//! `paystream quarantine`: lists and shows what was not understood, replays it after the cause was mended, or discards it.

use super::{
    argument,
    client::{AdminArgs, AdminListener, ReasonArgs},
    output,
    table::word,
};
use crate::payment::Name;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;
use std::{cmp::Reverse, process::ExitCode, time::Duration};

/// Lists, shows, replays and discards events that were verified but not understood
///
/// Sends its requests to the admin listener of the running gateway. A replayed event goes the way of its webhook again, by the preset and
/// the configuration that the gateway has now; replaying it twice changes nothing. The exit code of replay is 0 if all events were taken, and 1
/// if some stay in quarantine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream quarantine list --source acme --class structural
  paystream quarantine show acme~0000019a1b2c3d4e5f60718293a4b5c6
  paystream quarantine replay acme~0000019a1b2c3d4e5f60718293a4b5c6
  paystream quarantine replay --source acme --code unknown_state --reason \"the preset is mended\"
  paystream quarantine discard --source acme --payment pay_abc")]
pub(super) struct QuarantineArgs {
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List the records of a source, newest first
    List {
        #[command(flatten)]
        gateway: GatewayArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// The most records
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one record with its masked body
    Show {
        #[command(flatten)]
        gateway: GatewayArgs,
        /// The id of the record, as `list` shows it
        id: String,
    },
    /// Replay records, by their ids or by a filter
    Replay(ActArgs),
    /// Discard records, by their ids or by a filter
    Discard(ActArgs),
}

#[derive(Debug, Args)]
struct GatewayArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// The source whose quarantine it is
    #[arg(long, short, value_name = "NAME")]
    source: Option<String>,
    /// Only records of this class: structural, conflict or configuration
    #[arg(long, requires = "source")]
    class: Option<String>,
    /// Only records with this reason code, such as bad_amount
    #[arg(long, requires = "source")]
    code: Option<String>,
    /// Only records of this payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment, requires = "source")]
    payment: Option<Name>,
    /// Only records received at or after this time, such as 2026-11-30T10:00:00Z
    #[arg(long, value_name = "TIME", requires = "source")]
    since: Option<String>,
    /// Only records received before this time
    #[arg(long, value_name = "TIME", requires = "source")]
    until: Option<String>,
}

#[derive(Debug, Args)]
struct ActArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    why: ReasonArgs,
    /// The ids of records, as `list` shows them
    #[arg(required_unless_present = "source", conflicts_with = "source", value_name = "ID")]
    ids: Vec<String>,
}

/// How long the command waits for an answer: the gateway appends up to some hundred events meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How many records the gateway replays or discards in one request.
const AT_ONCE: &str = "100";

impl QuarantineArgs {
    /// Returns the exit code.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            QuarantineCommand::List { gateway, filter, limit } => list(&gateway, &filter, limit).await,
            QuarantineCommand::Show { gateway, id } => {
                let shown = ask(&gateway.admin.listener()?, Method::GET, &[&id], &[], None).await?;
                output::say(&if gateway.json { shown.to_string() } else { format!("{shown:#}") })?;
                Ok(ExitCode::SUCCESS)
            }
            QuarantineCommand::Replay(arguments) => act("replay", &arguments).await,
            QuarantineCommand::Discard(arguments) => act("discard", &arguments).await,
        }
    }
}

async fn ask(
    listener: &AdminListener,
    method: Method,
    path: &[&str],
    query: &[(&str, String)],
    why: Option<&ReasonArgs>,
) -> anyhow::Result<Value> {
    let mut url = listener.url(&[&["admin", "quarantine"], path].concat());
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    if let Some(why) = why {
        why.add_to(&mut url);
    }
    listener.answer_of(listener.request(method, url).timeout(ANSWER_TIMEOUT)).await
}

async fn sources(listener: &AdminListener) -> anyhow::Result<Vec<String>> {
    let request = listener.request(Method::GET, listener.url(&["admin", "sources"]));
    let answer = listener.answer_of(request.timeout(ANSWER_TIMEOUT)).await?;
    let sources = answer.get("sources").and_then(Value::as_array);
    Ok(sources.into_iter().flatten().map(|source| word(source, "name")).collect())
}

impl FilterArgs {
    fn query(&self, source: &str) -> Vec<(&'static str, String)> {
        let payment = self.payment.as_ref().map(Name::to_string);
        let given = [
            ("source", Some(source.to_owned())),
            ("class", self.class.clone()),
            ("code", self.code.clone()),
            ("payment", payment),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

async fn list(arguments: &GatewayArgs, filter: &FilterArgs, limit: usize) -> anyhow::Result<ExitCode> {
    let listener = arguments.admin.listener()?;
    let sources = match &filter.source {
        Some(source) => vec![source.clone()],
        None => sources(&listener).await?,
    };
    let mut records = Vec::new();
    for source in &sources {
        let (mut next, already) = (None, records.len());
        loop {
            let mut query = filter.query(source);
            query.push(("limit", limit.clamp(1, 1024).to_string()));
            query.extend(next.take().map(|next| ("before", next)));
            let page = ask(&listener, Method::GET, &[], &query, None).await?;
            records.extend(page.get("records").and_then(Value::as_array).into_iter().flatten().cloned());
            next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || records.len() - already >= limit {
                break;
            }
        }
    }
    // The newest of all sources first. All times have the same form.
    records.sort_by_key(|record| Reverse(word(record, "at")));
    records.truncate(limit);
    let lines: Vec<String> = match arguments.json {
        true => records.iter().map(Value::to_string).collect(),
        false => records.iter().map(line).collect(),
    };
    let nothing = || if arguments.json { String::new() } else { "nothing is in quarantine".to_owned() };
    let said = if lines.is_empty() { nothing() } else { lines.join("\n") };
    if !said.is_empty() {
        output::say(&said)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn act(
    what: &str,
    ActArgs { gateway: arguments, filter, why, ids }: &ActArgs,
) -> anyhow::Result<ExitCode> {
    let listener = arguments.admin.listener()?;
    let mut tally = Tally { json: arguments.json, settled: 0, left: 0 };
    for id in ids {
        tally.tell(&[ask(&listener, Method::POST, &[id, what], &[], Some(why)).await?])?;
    }
    if let Some(source) = &filter.source {
        let mut next: Option<String> = None;
        loop {
            let mut query = filter.query(source);
            query.push(("limit", AT_ONCE.to_owned()));
            query.extend(next.take().map(|next| ("before", next)));
            let page = ask(&listener, Method::POST, &[what], &query, Some(why)).await?;
            tally.tell(page.get("results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice))?;
            next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
    }
    if !arguments.json {
        output::say(&format!("{} settled, {} left in quarantine", tally.settled, tally.left))?;
    }
    Ok(if tally.left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of the records so far. Each is told as soon as it is known, since an error may follow.
struct Tally {
    json: bool,
    settled: usize,
    left: usize,
}

impl Tally {
    fn tell(&mut self, results: &[Value]) -> anyhow::Result<()> {
        for said in results {
            match said.get("settled") == Some(&Value::Bool(true)) {
                true => self.settled += 1,
                false => self.left += 1,
            }
            output::say(&if self.json { said.to_string() } else { result(said) })?;
        }
        Ok(())
    }
}

/// A record for people.
fn line(record: &Value) -> String {
    let id = record.get("id").and_then(Value::as_str).unwrap_or("(not held)");
    let known = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!(
        "{}  {id}  {}  {}  {}  {}  {}",
        known("at"),
        known("class"),
        known("reason"),
        known("type"),
        known("payment"),
        known("because")
    )
}

/// What became of a record, for people: each event with its outcome and what changed.
fn result(said: &Value) -> String {
    let id = word(said, "id");
    if let Some(detail) = said.get("detail").and_then(Value::as_str) {
        return format!("{id}  not replayed: {detail}");
    }
    let Some(events) = said.get("events").and_then(Value::as_array) else {
        return format!("{id}  {}", word(said, "action"));
    };
    let events: Vec<String> = events.iter().map(event).collect();
    format!("{id}  {}", events.join("; "))
}

fn event(event: &Value) -> String {
    let outcome = word(event, "outcome");
    let status = |side: &str| event.pointer(&format!("/{side}/status")).and_then(Value::as_str);
    match (status("before"), status("after"), event.get("reason").and_then(Value::as_str)) {
        (_, _, Some(reason)) => format!("{outcome} ({reason} at {})", word(event, "where")),
        (Some(before), Some(after), None) if before != after => format!("{outcome}: {before} -> {after}"),
        (_, Some(after), None) => format!("{outcome}: {after} as before"),
        _ => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_says_what_changed_or_why_nothing_did() {
        for (said, expected) in [
            (
                json!({ "id": "a~1", "settled": true, "action": "replayed", "events": [
                    { "outcome": "accepted", "seq": 2, "before": { "status": "authorized" }, "after": { "status": "captured" } },
                    { "outcome": "duplicate", "seq": 1, "before": { "status": "captured" }, "after": { "status": "captured" } },
                    { "outcome": "ignored" },
                ] }),
                "a~1  accepted: authorized -> captured; duplicate: captured as before; ignored",
            ),
            (
                json!({ "id": "a~1", "settled": false, "events": [{ "outcome": "quarantined", "reason": "bad_amount", "where": "/amount" }] }),
                "a~1  quarantined (bad_amount at /amount)",
            ),
            (
                json!({ "id": "a~1", "settled": false, "reason": "not_replayable", "detail": "its body is not kept" }),
                "a~1  not replayed: its body is not kept",
            ),
            (json!({ "id": "a~1", "settled": true, "action": "discarded" }), "a~1  discarded"),
        ] {
            assert_eq!(result(&said), expected);
        }
    }
}
