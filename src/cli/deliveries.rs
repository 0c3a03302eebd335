//! `paystream deliveries`: what providers sent, and what came of it; listed, or followed live.

use super::{
    argument,
    client::{AdminArgs, AdminListener},
    output,
    sse::{EventParser, ServerSentEvent},
    table::{Table, word},
};
use crate::payment::{Name, Time};
use clap::Args;
use futures_util::StreamExt as _;
use reqwest::{Method, Url, header};
use serde_json::Value;
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// Lists what providers sent, and what came of it
///
/// Asks the admin listener of the running gateway for the newest deliveries of all sources, or of some. With --follow, it goes on with what
/// comes, and reconnects after an interruption, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream deliveries --since 15m
  paystream deliveries --source stripe-live --outcome rejected --outcome quarantined
  paystream deliveries --payment order-7
  paystream deliveries --follow --json | jq .reason")]
pub(super) struct DeliveriesArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Only deliveries to this source; may be repeated
    #[arg(long, short, value_name = "NAME")]
    source: Vec<String>,
    /// Only events that ended so: accepted, duplicate, ignored, waiting, quarantined, rejected or deferred; may be repeated
    #[arg(long)]
    outcome: Vec<String>,
    /// Only events with this reason, such as bad_signature; may be repeated
    #[arg(long, value_name = "CODE")]
    reason: Vec<String>,
    /// Only events about this payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment)]
    payment: Option<Name>,
    /// Only the event with this id; may be repeated
    #[arg(long, value_name = "ID")]
    event: Vec<String>,
    /// Only events of this type, in the provider's word; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<String>,
    /// Only what this secret verified, by its name, such as env:ACME_SECRET; may be repeated
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// Only what was received since: a time, or how long ago that is, such as 15m
    #[arg(long, value_name = "TIME", value_parser = argument::moment)]
    since: Option<Time>,
    /// Only what was received before: a time, or how long ago that is
    #[arg(long, value_name = "TIME", value_parser = argument::moment)]
    until: Option<Time>,
    /// The most deliveries to list; with --follow, to begin with
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on with the deliveries before this place: the one at the end of an earlier list
    #[arg(long, value_name = "PLACE", conflicts_with = "follow")]
    before: Option<String>,
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
    /// Print each delivery as JSON on a line of its own
    #[arg(long)]
    json: bool,
}

/// How long the command waits for the gateway.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// After this long without data, the connection is considered dead. There is a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// The pause before a reconnect.
const PAUSE: Duration = Duration::from_secs(1);

/// Ids of deliveries that are remembered, so that those that come again after a reconnect are shown once.
const REMEMBERED: usize = 4096;

const COLUMNS: [(&str, &str, usize); 7] = [
    ("TIME", "at", 24),
    ("SOURCE", "source", 16),
    ("OUTCOME", "outcome", 11),
    ("REASON", "reason", 20),
    ("PAYMENT", "payment", 28),
    ("TYPE", "type", 28),
    ("EVENT", "event", 0),
];

impl DeliveriesArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let url = self.url(&listener);
        if self.follow {
            return Following { args: &self, listener, url, last_id: None, shown: Shown::default() }
                .run()
                .await;
        }
        let request = listener.request(Method::GET, url).timeout(ANSWER_TIMEOUT);
        let page = listener.answer_of(request).await?;
        let records = page.get("records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if self.json {
            records.iter().try_for_each(|record| output::say(&record.to_string()))?;
        } else {
            let mut table = Table::new(&COLUMNS.map(|(title, _, _)| title));
            records.iter().for_each(|record| table.row(COLUMNS.map(|(_, key, _)| cell(record, key))));
            table.print()?;
        }
        if let Some(next) = page.get("next").and_then(Value::as_str) {
            output::complain(&format!("there are older deliveries: add --before {next}"));
        }
        Ok(())
    }

    fn url(&self, listener: &AdminListener) -> Url {
        let mut url = listener.url(&["admin", "deliveries"]);
        let mut query = url.query_pairs_mut();
        query.append_pair("limit", &self.limit.to_string());
        let lists = [
            ("source", &self.source),
            ("outcome", &self.outcome),
            ("reason", &self.reason),
            ("event", &self.event),
            ("type", &self.kinds),
            ("secret", &self.secret),
        ];
        for (key, values) in lists {
            values.iter().for_each(|value| {
                query.append_pair(key, value);
            });
        }
        let texts = [
            ("payment", self.payment.as_ref().map(ToString::to_string)),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
            ("before", self.before.clone()),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                query.append_pair(key, &value);
            }
        }
        drop(query);
        url
    }
}

/// What is kept from one connection to the next.
struct Following<'a> {
    args: &'a DeliveriesArgs,
    listener: AdminListener,
    url: Url,
    last_id: Option<String>,
    shown: Shown,
}

/// The ids of the deliveries that were shown last.
#[derive(Default)]
struct Shown {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Following<'_> {
    async fn run(mut self) -> anyhow::Result<()> {
        if !self.args.json {
            let titles = COLUMNS.map(|(title, _, width)| format!("{title:<width$}"));
            output::say(titles.join("  ").trim_end())?;
        }
        // The first refusal is final; later ones may be those of a gateway that restarts.
        let mut has_begun = false;
        loop {
            let why = self.connect(&mut has_begun).await?;
            output::complain(&format!("{why}; reconnecting"));
            sleep(PAUSE).await;
        }
    }

    /// Shows what comes over one connection, and says how it ended. An error is final.
    async fn connect(&mut self, has_begun: &mut bool) -> anyhow::Result<String> {
        let request = self.listener.request(Method::GET, self.url.clone());
        let mut request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        let answer = match self.listener.success_of(request).await {
            Err(why) if *has_begun => return Ok(format!("{why:#}")),
            answer => answer?,
        };
        *has_begun = true;
        let mut chunks = answer.bytes_stream();
        let mut parser = EventParser::after(self.last_id.clone());
        loop {
            let chunk = match timeout(SILENCE, chunks.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(_))) => return Ok("the connection broke".to_owned()),
                Ok(None) => return Ok("the stream ended".to_owned()),
                Err(_) => return Ok("the gateway sent nothing for too long".to_owned()),
            };
            for event in parser.feed(&chunk)? {
                self.show(&event)?;
            }
            self.last_id.clone_from(&parser.last_id);
        }
    }

    fn show(&mut self, event: &ServerSentEvent) -> anyhow::Result<()> {
        match event.name.as_str() {
            "" => {}
            "gap" => {
                output::complain("some deliveries were removed before they could be shown");
                return Ok(());
            }
            "stale" if event.data.contains("true") => {
                output::complain("the gateway's store does not answer; waiting");
                return Ok(());
            }
            _ => return Ok(()),
        }
        let record: Value = serde_json::from_str(&event.data)?;
        if !self.shown.is_new(word(&record, "id")) {
            return Ok(());
        }
        if self.args.json {
            return Ok(output::say(&event.data)?);
        }
        let cells = COLUMNS.map(|(_, key, width)| format!("{:<width$}", cell(&record, key)));
        Ok(output::say(cells.join("  ").trim_end())?)
    }
}

/// What stands in a column. Why a webhook was not verified stands behind the reason.
fn cell(record: &Value, key: &str) -> String {
    let text = word(record, key);
    match record.pointer("/diagnosis/cause").and_then(Value::as_str) {
        Some(cause) if key == "reason" => format!("{text} ({cause})"),
        _ => text,
    }
}

impl Shown {
    fn is_new(&mut self, id: String) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
