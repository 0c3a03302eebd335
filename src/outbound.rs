//! The gateway's own requests to providers: for a payment that a webhook only hinted at, and for keys to verify signatures with.
//!
//! Each request is bounded in time and its answer in size. Redirections are not followed, because only a preset or the configuration
//! says which address is asked. This file knows neither providers nor payments.

use crate::clock;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::RETRY_AFTER};
use reqwest::{Client, redirect::Policy};
use std::time::{Duration, UNIX_EPOCH};

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request may take in all, from connecting to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer. A payment with all its parts has a few kilobytes, a chain of certificates ten.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// Sends requests, and keeps its connections open for the next ones. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: Client,
}

/// A provider's answer, of any status.
#[derive(Clone, Debug)]
pub struct ProviderAnswer {
    /// The HTTP status.
    pub status: u16,
    /// How long the provider asks us to wait, from now on, by `Retry-After`. Zero if it names a time in the past; `None` if the header
    /// is missing or malformed.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer. The message holds no header and no address, and so no credential.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The request could not be sent, or its answer did not come in time.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// The answer is longer than so many bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Outbound {
    /// Builds a client that trusts the root certificates which the machine has now. A later change of them needs a new client.
    ///
    /// # Errors
    /// If the machine lacks something, such as root certificates. A later attempt may succeed.
    pub fn new() -> Result<Self, OutboundError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("paystream/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }

    /// Sends one request and reads its whole answer, of at most 256 KiB.
    pub async fn ask(&self, request: http::Request<Bytes>) -> Result<ProviderAnswer, OutboundError> {
        self.ask_for(request, MAX_ANSWER_BYTES).await
    }

    /// Sends one request and reads its whole answer, of at most `most` bytes.
    pub async fn ask_for(
        &self,
        request: http::Request<Bytes>,
        most: usize,
    ) -> Result<ProviderAnswer, OutboundError> {
        let mut response = self.client.execute(request.try_into()?).await?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > most {
                return Err(OutboundError::TooLong(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(ProviderAnswer { status, retry_after, body: body.freeze() })
    }
}

/// The time to wait by `Retry-After`, which is a number of seconds or an HTTP date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number beyond 64 bits is a very long time; whoever waits has a bound of their own.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now_ms = u64::try_from(clock::now().unix_ms()).unwrap_or_default();
    Some(date.saturating_sub(Duration::from_millis(now_ms)))
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold a secret that only the provider and the gateway share.
        let error = error.without_url();
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self::Unanswered(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::StatusCode, response::Redirect, routing::get};

    #[expect(clippy::disallowed_methods, reason = "its only client is this test")]
    async fn asked(path: &str) -> Result<ProviderAnswer, OutboundError> {
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
    async fn any_status_is_an_answer_and_no_redirection_is_followed() {
        let busy = asked("/busy").await.unwrap();
        assert_eq!(
            (busy.status, busy.retry_after, &busy.body[..]),
            (429, Some(Duration::from_secs(7)), &b"wait"[..])
        );
        assert_eq!(asked("/moved").await.unwrap().status, 307);
    }

    fn retry_after_of(value: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]))
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_an_http_date() {
        assert_eq!(retry_after(&HeaderMap::new()), None);
        for (value, seconds) in [("0", 0), ("7", 7), (" 120 ", 120), ("99999999999999999999", u64::MAX)] {
            assert_eq!(retry_after_of(value).map(|wait| wait.as_secs()), Some(seconds), "{value}");
        }
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(90));
        let wait = retry_after_of(&date).unwrap();
        // The date has whole seconds, and the test may have to wait for a processor.
        assert!((30..=90).contains(&wait.as_secs()), "{date} is {wait:?} away");
        // The three formats of RFC 9110, section 5.6.7.
        for past in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(retry_after_of(past), Some(Duration::ZERO), "{past}");
        }
        for malformed in ["", "-1", "+5", "1.5", "soon", "Sun, 06 Nov 1994"] {
            assert_eq!(retry_after_of(malformed), None, "{malformed}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_bounded() {
        assert!(matches!(asked("/long").await, Err(OutboundError::TooLong(_))));
    }

    #[tokio::test]
    async fn the_error_of_an_unreachable_server_does_not_show_its_address() {
        let request = http::Request::get("http://127.0.0.1:1/secret-path").body(Bytes::new()).unwrap();
        let error = Outbound::new().unwrap().ask(request).await.unwrap_err().to_string();
        assert!(error.starts_with("no answer: ") && !error.contains("secret-path"), "{error}");
    }
}
