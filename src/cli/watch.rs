//! `paystream watch`: follows a payment in the terminal, over any interruption, the way a browser does.

mod sse;

use super::{Refused, a_payment, output, post};
use crate::{
    backoff::Backoff,
    payment::{Currency, Name},
    scenario::major,
};
use clap::Args;
use futures_util::StreamExt;
use reqwest::{Client, Response, StatusCode, Url, header};
use serde_json::Value;
use sse::{Event, Parser};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Follows a payment's status
///
/// Prints the status now and every change. Comes back by itself after any interruption, at the place where it was. Ends
/// when the gateway says that the payment is finished (--until-finished), or with Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream watch --url http://127.0.0.1:8080 --payment pay_abc --token \"$(paystream token --payment pay_abc)\"
  PAYSTREAM_TOKEN=… paystream watch --url https://pay.shop.example --payment pay_abc --until-finished
  paystream watch --url http://127.0.0.1:8080 --payment pay_abc --json | jq .status")]
pub(super) struct Watch {
    /// Where the gateway serves streams
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = post::a_url)]
    url: Url,
    /// The payment
    #[arg(long, short, value_name = "ID", value_parser = a_payment)]
    payment: Name,
    /// The token that lets us watch
    #[arg(long, env = "PAYSTREAM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// End when the payment has come to its end
    #[arg(long)]
    until_finished: bool,
    /// Print the events as they come, one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Without a word from the gateway for so long, the connection is dead: heartbeats come every 15 s unless configured
/// otherwise, and streams behind a slow one are no loss, since the cursor is kept.
const SILENCE: Duration = Duration::from_secs(60);

/// Until the gateway has said when to come back.
const FIRST_RETRY_MS: u64 = 1_000;

/// The longest wait between attempts.
const MAX_RETRY_MS: u64 = 30_000;

/// How a connection ended.
enum End {
    /// There is nothing more to come.
    Finished,
    /// Come back.
    Broken(String),
}

/// What outlives a connection.
struct Follower<'a> {
    watch: &'a Watch,
    client: Client,
    url: Url,
    last_id: Option<String>,
    retry_ms: u64,
    /// Attempts in a row that brought nothing.
    failures: u32,
}

impl Watch {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut url = post::below(&self.url, &["v1", "payments", self.payment.as_str(), "events"]);
        if self.until_finished {
            url.query_pairs_mut().append_pair("until", "finished");
        }
        let client = post::client(&url)?;
        let retry_ms = FIRST_RETRY_MS;
        let mut follower = Follower { watch: &self, client, url, last_id: None, retry_ms, failures: 0 };
        follower.follow().await
    }
}

impl Follower<'_> {
    async fn follow(&mut self) -> anyhow::Result<()> {
        loop {
            let why = match self.connect().await? {
                End::Finished => return Ok(()),
                End::Broken(why) => why,
            };
            let wait = pause(self.retry_ms, self.failures);
            output::complain(&format!("{why}; coming back in {:.1} s", wait.as_secs_f32()));
            sleep(wait).await;
        }
    }

    /// One connection, from request to end. An error is one that coming back would not heal.
    async fn connect(&mut self) -> anyhow::Result<End> {
        let mut request = self.client.get(self.url.clone()).header(header::ACCEPT, "text/event-stream");
        if let Some(token) = &self.watch.token {
            request = request.bearer_auth(token);
        }
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        self.failures += 1;
        let response = match timeout(SILENCE, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_builder() => return Err(error.into()),
            Ok(Err(error)) => return Ok(End::Broken(format!("no connection ({})", root(&error)))),
            Err(_) => return Ok(End::Broken("no answer".to_owned())),
        };
        match response.status() {
            StatusCode::OK => self.read(response).await,
            StatusCode::NO_CONTENT => Ok(End::Finished),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Ok(End::Broken(format!("the gateway answered {status}")))
            }
            status => {
                let body = response.text().await.unwrap_or_default();
                output::complain(&refusal(status, &body));
                Err(Refused.into())
            }
        }
    }

    async fn read(&mut self, response: Response) -> anyhow::Result<End> {
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        anyhow::ensure!(
            kind.starts_with("text/event-stream"),
            "{} is no stream of events but {kind:?}",
            self.url
        );
        let mut chunks = response.bytes_stream();
        let mut parser = Parser::after(self.last_id.take());
        let mut finished = false;
        let why = loop {
            let chunk = match timeout(SILENCE, chunks.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => break format!("the stream broke off ({})", root(&error)),
                Ok(None) => break "the stream ended".to_owned(),
                Err(_) => break "the stream fell silent".to_owned(),
            };
            for event in parser.feed(&chunk)? {
                self.failures = 0;
                finished |= self.show(&event)?;
            }
        };
        self.last_id = parser.last_id;
        self.retry_ms = parser.retry_ms.unwrap_or(self.retry_ms);
        Ok(if finished { End::Finished } else { End::Broken(why) })
    }

    /// Prints an event. True if it says that the payment is finished.
    fn show(&self, event: &Event) -> anyhow::Result<bool> {
        if !event.name.is_empty() {
            return Ok(false);
        }
        if self.watch.json {
            output::say(&event.data)?;
        }
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else { return Ok(false) };
        if !self.watch.json
            && let Some(line) = describe(&data)
        {
            output::say(&line)?;
        }
        Ok(text(&data, "/type") == "closing" && text(&data, "/reason") == "finished")
    }
}

fn text<'d>(data: &'d Value, pointer: &str) -> &'d str {
    data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// One line for people.
fn describe(data: &Value) -> Option<String> {
    let yes = |pointer| data.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
    match text(data, "/type") {
        kind @ ("snapshot" | "update") => {
            let seq = data.pointer("/seq").map(|seq| format!("#{seq}")).unwrap_or_default();
            let money = money(data).unwrap_or_default();
            let about = match (kind, text(data, "/event/type"), text(data, "/reason")) {
                ("update", event, _) => event.to_owned(),
                (_, _, "") => "now".to_owned(),
                (_, _, reason) => format!("now ({reason})"),
            };
            let late = if yes("/late") { "  late" } else { "" };
            Some(format!("{:<20} {money:>14}  {seq:<5} {about}{late}", text(data, "/status")))
        }
        "ready" => Some("(nothing missed)".to_owned()),
        "stale" if yes("/stale") => {
            Some("(the gateway has lost its store; the status may be old)".to_owned())
        }
        "stale" => Some("(the gateway has its store back)".to_owned()),
        "closing" => Some(format!("(closing: {})", text(data, "/reason"))),
        _ => None,
    }
}

fn money(data: &Value) -> Option<String> {
    let currency: Currency = text(data, "/currency").parse().ok()?;
    let amount = data.pointer("/amount")?.as_i64()?;
    Some(format!("{} {}", major(amount, currency.exponent()), currency.code()))
}

/// What the gateway said about a request that it refused.
fn refusal(status: StatusCode, body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let words = [text(&problem, "/detail"), text(&problem, "/title")];
    let detail =
        words.iter().find(|words| !words.is_empty()).map(|words| format!(": {words}")).unwrap_or_default();
    let remedy = match status {
        StatusCode::UNAUTHORIZED => {
            "; give a good token with --token or PAYSTREAM_TOKEN, e.g. one by `paystream token`"
        }
        StatusCode::FORBIDDEN => "; the token has to name this payment",
        _ => "",
    };
    format!("the gateway answered {status}{detail}{remedy}")
}

/// The innermost reason, which is the one that tells: `Connection refused`.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// How long to wait before the next attempt: at least what the gateway asked for, longer after each failure, and random up to twice
/// that, so that clients that were cut off together do not come back together.
fn pause(retry_ms: u64, failures: u32) -> Duration {
    // Jitter takes away up to half, so half of each delay has to be what the gateway asked for.
    let twice = |ms: u64| Duration::from_millis(ms).saturating_mul(2);
    Backoff::new(twice(retry_ms), twice(MAX_RETRY_MS.max(retry_ms))).random(failures.saturating_sub(1))
}

#[cfg(test)]
mod tests;
