//! `paystream watch`: follows a payment in the terminal. Like a browser, it reconnects after any interruption.

mod message;

use super::{
    argument, client,
    exit::Refused,
    output,
    sse::{EventParser, ServerSentEvent},
};
use crate::{backoff::Backoff, payment::Name};
use clap::Args;
use futures_util::StreamExt;
use message::Message;
use reqwest::{Client, Response, StatusCode, Url, header};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Follows the status of a payment
///
/// Prints the current status and every change. After an interruption, it reconnects and continues where it stopped. It ends with
/// Ctrl-C or, with --until-finished, when the gateway says that the payment is finished.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream watch --url http://127.0.0.1:8080 --payment pay_abc --token \"$(paystream token --payment pay_abc)\"
  PAYSTREAM_TOKEN=… paystream watch --url https://pay.shop.example --payment pay_abc --until-finished
  paystream watch --url http://127.0.0.1:8080 --payment pay_abc --json | jq .status")]
pub(super) struct WatchArgs {
    /// The URL of the gateway's public listener
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = argument::url)]
    url: Url,
    /// The id of the payment
    #[arg(long, short, value_name = "ID", value_parser = argument::payment)]
    payment: Name,
    /// The token, which has to name the payment
    #[arg(long, env = "PAYSTREAM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// End when the payment is finished
    #[arg(long)]
    until_finished: bool,
    /// Print the events as they are received, one JSON object per line
    #[arg(long)]
    json: bool,
}

/// After this long without data, the connection is considered dead. Heartbeats come every 15 s by default. If they are configured to
/// be rarer than this, the command reconnects needlessly, but loses nothing because it keeps its cursor.
const SILENCE: Duration = Duration::from_secs(60);

/// The first delay before a reconnect, until the gateway sends one of its own.
const FIRST_RETRY_MS: u64 = 1_000;

/// The longest delay before a reconnect, unless the gateway asks for a longer one.
const MAX_RETRY_MS: u64 = 30_000;

/// How a connection ended.
enum ConnectionEnd {
    /// The payment is finished and nothing more will come.
    Finished,
    /// The connection was lost for this reason; the command reconnects.
    Broken(String),
}

/// The state that is kept from one connection to the next.
struct Follower<'a> {
    watch: &'a WatchArgs,
    client: Client,
    url: Url,
    last_id: Option<String>,
    retry_ms: u64,
    /// The number of attempts in a row that brought no event.
    failures: u32,
}

impl WatchArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut url = client::below(&self.url, &["v1", "payments", self.payment.as_str(), "events"]);
        if self.until_finished {
            url.query_pairs_mut().append_pair("until", "finished");
        }
        let client = client::for_url(&url)?;
        let retry_ms = FIRST_RETRY_MS;
        let mut follower = Follower { watch: &self, client, url, last_id: None, retry_ms, failures: 0 };
        follower.follow().await
    }
}

impl Follower<'_> {
    async fn follow(&mut self) -> anyhow::Result<()> {
        loop {
            let why = match self.connect().await? {
                ConnectionEnd::Finished => return Ok(()),
                ConnectionEnd::Broken(why) => why,
            };
            let wait = pause(self.retry_ms, self.failures);
            output::complain(&format!("{why}; reconnecting in {:.1} s", wait.as_secs_f32()));
            sleep(wait).await;
        }
    }

    /// Runs one connection from the request to its end. Returns an error only if a reconnect would fail as well.
    async fn connect(&mut self) -> anyhow::Result<ConnectionEnd> {
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
            Ok(Err(error)) => {
                return Ok(ConnectionEnd::Broken(format!(
                    "the connection failed ({})",
                    client::root(&error)
                )));
            }
            Err(_) => return Ok(ConnectionEnd::Broken("the gateway did not answer".to_owned())),
        };
        match response.status() {
            StatusCode::OK => self.read(response).await,
            StatusCode::NO_CONTENT => Ok(ConnectionEnd::Finished),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Ok(ConnectionEnd::Broken(format!("the gateway answered {status}")))
            }
            status => {
                let body = response.text().await.unwrap_or_default();
                output::complain(&refusal(status, &body));
                Err(Refused.into())
            }
        }
    }

    /// Reads the events of a stream until it ends or breaks.
    async fn read(&mut self, response: Response) -> anyhow::Result<ConnectionEnd> {
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        anyhow::ensure!(
            kind.starts_with("text/event-stream"),
            "{} does not send an event stream but {kind:?}",
            self.url
        );
        let mut chunks = response.bytes_stream();
        let mut parser = EventParser::after(self.last_id.take());
        let mut finished = false;
        let why = loop {
            let chunk = match timeout(SILENCE, chunks.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => break format!("the connection broke ({})", client::root(&error)),
                Ok(None) => break "the stream ended".to_owned(),
                Err(_) => break "the gateway sent nothing for too long".to_owned(),
            };
            for event in parser.feed(&chunk)? {
                self.failures = 0;
                finished |= self.show(&event)?;
            }
        };
        self.last_id = parser.last_id;
        self.retry_ms = parser.retry_ms.unwrap_or(self.retry_ms);
        Ok(if finished { ConnectionEnd::Finished } else { ConnectionEnd::Broken(why) })
    }

    /// Prints an event. Returns true if it says that the payment is finished.
    fn show(&self, event: &ServerSentEvent) -> anyhow::Result<bool> {
        if !event.name.is_empty() {
            return Ok(false);
        }
        if self.watch.json {
            output::say(&event.data)?;
        }
        let Ok(message) = serde_json::from_str::<Message>(&event.data) else { return Ok(false) };
        if !self.watch.json
            && let Some(line) = message.describe()
        {
            output::say(&line)?;
        }
        Ok(message.is_finished())
    }
}

/// The text at a place of a JSON object, or nothing.
fn text<'d>(data: &'d Value, pointer: &str) -> &'d str {
    data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The message for a refused request: the gateway's own words, and a remedy where one is known.
fn refusal(status: StatusCode, body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let words = [text(&problem, "/detail"), text(&problem, "/title")];
    let detail =
        words.iter().find(|words| !words.is_empty()).map(|words| format!(": {words}")).unwrap_or_default();
    let remedy = match status {
        StatusCode::UNAUTHORIZED => {
            "; pass a valid token with --token or PAYSTREAM_TOKEN; `paystream token` signs one"
        }
        StatusCode::FORBIDDEN => "; use a token that names this payment",
        _ => "",
    };
    format!("the gateway answered {status}{detail}{remedy}")
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
