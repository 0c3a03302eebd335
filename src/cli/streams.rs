//! `paystream streams`: the open streams of a node, listed and closed.

use super::{
    argument,
    client::{AdminArgs, AdminListener, ReasonArgs},
    exit::Usage,
    output,
    table::{Table, word},
};
use crate::{config::DEFAULT_REALM, payment::Name};
use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use serde_json::Value;
use std::time::Duration;

/// Lists or closes the open streams of a node
///
/// Asks the admin listener of one running gateway, and tells of its own streams alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream streams list --payment order-7
  paystream streams list --min-lag 1 --json
  paystream streams close --id r0-17-93021 --reason \"a test\"
  paystream streams close --subject customer-42 --reason \"the account is locked\"")]
pub(super) struct StreamsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(ListArgs),
    Close(CloseArgs),
}

/// Which streams are meant: those that fit everything that is given.
#[derive(Debug, Args)]
struct Which {
    /// Only streams of this realm [default for closing by --payment: default]
    #[arg(long, value_parser = argument::name)]
    realm: Option<Name>,
    /// Only streams of this payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment)]
    payment: Option<Name>,
    /// Only streams whose token has this `sub`
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// Only streams of this client, by its IP address
    #[arg(long, value_name = "IP")]
    client: Option<String>,
    /// Only streams that are at least as old, such as 10m
    #[arg(long, value_name = "AGE", value_parser = argument::duration)]
    min_age: Option<Duration>,
    /// Only streams that are at least so many events behind
    #[arg(long, value_name = "EVENTS")]
    min_lag: Option<u64>,
}

/// Counts the streams, and lists the oldest
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    which: Which,
    /// The most streams to list
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print each stream as JSON on a line of its own
    #[arg(long)]
    json: bool,
}

/// Closes one stream, or all that fit; each client is told the reason, and may come back after half a minute
#[derive(Debug, Args)]
struct CloseArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The stream with this id
    #[arg(long, conflicts_with_all = ["realm", "payment", "subject", "client", "min_age", "min_lag"])]
    id: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    why: ReasonArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How long the command waits for the gateway.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl StreamsArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::List(list) => list.run().await,
            What::Close(close) => close.run().await,
        }
    }
}

impl Which {
    /// Adds the filter to the query of a URL. Returns whether there is any.
    fn add_to(&self, url: &mut Url) -> bool {
        let all = [
            ("realm", self.realm.as_ref().map(ToString::to_string)),
            ("payment", self.payment.as_ref().map(ToString::to_string)),
            ("subject", self.subject.clone()),
            ("client", self.client.clone()),
            ("min_age_s", self.min_age.map(|age| age.as_secs().to_string())),
            ("min_lag", self.min_lag.map(|lag| lag.to_string())),
        ];
        let mut is_any = false;
        for (key, value) in all {
            if let Some(value) = value {
                is_any = true;
                url.query_pairs_mut().append_pair(key, &value);
            }
        }
        is_any
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let mut url = listener.url(&["admin", "streams"]);
        url.query_pairs_mut().append_pair("limit", &self.limit.to_string());
        self.which.add_to(&mut url);
        let page = answer(&listener, Method::GET, url).await?;
        let streams = page.get("streams").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if self.json {
            streams.iter().try_for_each(|stream| output::say(&stream.to_string()))?;
        } else {
            let mut table = Table::new(&["ID", "REALM", "PAYMENTS", "SUBJECT", "CLIENT", "AGE", "LAG"]);
            streams.iter().for_each(|stream| table.row(cells(stream)));
            table.print()?;
        }
        output::complain(&format!("{} of {} streams", streams.len(), word(&page, "count")));
        Ok(())
    }
}

fn cells(stream: &Value) -> [String; 7] {
    let payments = stream.get("payments").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let payments: Vec<&str> = payments.iter().filter_map(Value::as_str).collect();
    let payments = if payments.is_empty() { "all".to_owned() } else { payments.join(",") };
    let word = |key| word(stream, key);
    [
        word("id"),
        word("realm"),
        payments,
        word("subject"),
        word("client"),
        format!("{}s", word("age_s")),
        word("lag"),
    ]
}

impl CloseArgs {
    async fn run(self) -> anyhow::Result<()> {
        let listener = self.admin.listener()?;
        let mut url = match &self.id {
            Some(id) => listener.url(&["admin", "streams", id]),
            None => listener.url(&["admin", "streams"]),
        };
        if self.which.payment.is_some() && self.which.realm.is_none() {
            url.query_pairs_mut().append_pair("realm", DEFAULT_REALM);
        }
        if !self.which.add_to(&mut url) && self.id.is_none() {
            let missing = "say which streams are to be closed: --id, --subject, --payment, --realm, --client, --min-age or --min-lag";
            return Err(Usage(missing.to_owned()).into());
        }
        self.why.add_to(&mut url);
        let report = answer(&listener, Method::DELETE, url).await?;
        output::say(&if self.json {
            report.to_string()
        } else {
            format!("closed: {}", word(&report, "closed"))
        })?;
        Ok(())
    }
}

async fn answer(listener: &AdminListener, method: Method, url: Url) -> anyhow::Result<Value> {
    listener.answer_of(listener.request(method, url).timeout(ANSWER_TIMEOUT)).await
}
