//! Requests of ours to providers: for a payment that a webhook only hinted at, for the keys that it was signed with.
//!
//! Each is bounded in time and size, none is redirected: what is asked stands in a preset or the configuration, and an
//! answer comes from there or not at all. It knows neither providers nor payments.

use bytes::{Bytes, BytesMut};
use reqwest::{Client, header::RETRY_AFTER, redirect::Policy};
use std::time::Duration;

/// How long connecting may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long all of a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer. A payment with all its parts has a few kilobytes, a chain of certificates ten.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// Sends requests over connections that it keeps for the next ones. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: Client,
}

/// What a provider answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status, whichever.
    pub status: u16,
    /// `Retry-After`, where it is told in seconds.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer. No text of it holds a header, and so no credential.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The request could not be made, or its answer did not come, or not in time.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// The answer has more bytes than any of use has.
    #[error("the answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
}

impl Outbound {
    /// Ready to ask. It trusts the roots that the machine has now; an error says what the machine lacks, such as these. Nothing
    /// of either is remembered: who would have a change of them noticed makes another one.
    pub fn new() -> Result<Self, OutboundError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .user_agent(concat!("paystream/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }

    /// Sends one request and reads its whole answer.
    pub async fn ask(&self, request: http::Request<Bytes>) -> Result<Answer, OutboundError> {
        let mut response = self.client.execute(request.try_into()?).await?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(OutboundError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body: body.freeze() })
    }
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold what only the provider and we should know.
        let error = error.without_url();
        let mut told = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            told.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self::Unanswered(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::StatusCode, response::Redirect, routing::get};

    #[expect(clippy::disallowed_methods, reason = "its only client is this test")]
    async fn asked(path: &str) -> Result<Answer, OutboundError> {
        let router = Router::new()
            .route("/busy", get(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "wait") }))
            .route("/moved", get(|| async { Redirect::temporary("/busy") }))
            .route("/long", get(|| async { "x".repeat(MAX_ANSWER_BYTES + 1) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let request = http::Request::get(format!("http://{address}{path}")).body(Bytes::new()).unwrap();
        let answer = Outbound::new().unwrap().ask(request).await;
        server.abort();
        answer
    }

    #[tokio::test]
    async fn any_status_is_an_answer_and_none_is_followed() {
        let busy = asked("/busy").await.unwrap();
        assert_eq!(
            (busy.status, busy.retry_after, &busy.body[..]),
            (429, Some(Duration::from_secs(7)), &b"wait"[..])
        );
        assert_eq!(asked("/moved").await.unwrap().status, 307);
    }

    #[tokio::test]
    async fn an_answer_is_bounded() {
        assert!(matches!(asked("/long").await, Err(OutboundError::TooLong)));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_without_its_address() {
        let request = http::Request::get("http://127.0.0.1:1/secret-path").body(Bytes::new()).unwrap();
        let error = Outbound::new().unwrap().ask(request).await.unwrap_err().to_string();
        assert!(error.starts_with("no answer: ") && !error.contains("secret-path"), "{error}");
    }
}
