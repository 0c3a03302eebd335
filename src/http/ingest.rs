//! `POST /webhooks/{source}`: reads a provider's request, within bounds of size and time, and hands it to [`Ingest`].
//!
//! It promises that a provider gets a 4xx only for its own mistakes: a fault of the gateway, a panic included, is a 503 with
//! `Retry-After`. An incomplete body reserves memory only for the bytes that have arrived, and no sender can take the memory of
//! the others (`buffers`). A delivery that could not be read is reported to [`Ingest`] too, which accounts for it. A delivery that was read is
//! processed to its end even if the provider hangs up, so that it always has an outcome.

use super::{
    buffers::{Buffers, Held, NoRoom},
    problem::{self, Problem},
    service::Arrival,
};
use crate::{
    clock,
    ingest::{Delivery, Ingest, Refusal, Reply, ReplyBody},
    limits::Limits,
    live::Live,
    peer::Peer,
    source::{Source, Sources},
};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
    routing::post,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The routes that take webhooks. A clone shares everything.
#[derive(Clone)]
pub struct Webhooks {
    sources: Arc<Sources>,
    ingest: Arc<Ingest>,
    limits: Live<Limits>,
    /// The memory for bodies.
    buffers: Arc<Buffers>,
    /// The deliveries that are being processed.
    tasks: TaskTracker,
}

impl Webhooks {
    /// Hands deliveries to `sources` over to `ingest`.
    #[must_use]
    pub fn new(sources: Arc<Sources>, ingest: Arc<Ingest>, limits: Live<Limits>) -> Self {
        let buffers = Buffers::new(limits.get().buffered_bytes);
        Self { sources, ingest, limits, buffers, tasks: TaskTracker::new() }
    }

    /// The routes.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/webhooks/{source}", post(receive).get(probe))
            .method_not_allowed_fallback(problem::method_not_allowed)
            .with_state(self.clone())
    }

    /// Returns once no delivery is being processed. Called at shutdown, when no new delivery can arrive.
    pub async fn done(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Reads a body of `peer` within the limits of size, time and memory. Its memory is taken until the result is dropped.
    async fn read(&self, body: Body, peer: Option<Peer>) -> Result<Held, Refusal> {
        let Limits { body_bytes, body_timeout, .. } = self.limits.get();
        // `Content-Length` is over the limit already, so nothing is read.
        if body.size_hint().lower() > body_bytes as u64 {
            return Err(Refusal::TooLarge(body_bytes));
        }
        let read = async {
            let mut body = Limited::new(body, body_bytes);
            let mut held = self.buffers.hold(peer);
            loop {
                let frame = tokio::select! {
                    frame = body.frame() => frame,
                    () = held.given_up() => return Err(Refusal::Overload),
                };
                let Some(frame) = frame else { break };
                let frame = frame.map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        Refusal::TooLarge(body_bytes)
                    } else {
                        Refusal::Broken
                    }
                })?;
                let Ok(data) = frame.into_data() else { continue };
                held.push(&data).map_err(|NoRoom| Refusal::Overload)?;
            }
            held.finish().map_err(|NoRoom| Refusal::Overload)?;
            Ok(held)
        };
        timeout(body_timeout, read).await.unwrap_or(Err(Refusal::Slow(body_timeout)))
    }
}

/// The name of a source in the path. An error if the path does not decode to UTF-8, which names no source.
type SourceName = Result<Path<String>, PathRejection>;

fn known(webhooks: &Webhooks, source: SourceName) -> Result<Arc<Source>, Problem> {
    let source = source.ok().and_then(|Path(source)| webhooks.sources.get(&source));
    source.ok_or_else(problem::unknown_source)
}

async fn receive(State(webhooks): State<Webhooks>, source: SourceName, request: Request) -> Response {
    match known(&webhooks, source) {
        Ok(source) => deliver(&webhooks, source, request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn deliver(webhooks: &Webhooks, source: Arc<Source>, request: Request) -> Response {
    let received_at = clock::now();
    let (head, body) = request.into_parts();
    let version = head.version;
    let peer = head.extensions.get::<Arrival>().map(|arrival| arrival.peer);
    let read = webhooks.read(body, peer).await;
    let peer = peer.map(|peer| peer.address());
    let body = match read {
        Ok(body) => body,
        Err(refusal) => {
            return hang_up(version, answer(webhooks.ingest.refused(&source, refusal, received_at, peer)));
        }
    };
    let ingest = Arc::clone(&webhooks.ingest);
    let receiver = Arc::clone(&source);
    let work = webhooks.tasks.spawn(async move {
        let query = head.uri.query().unwrap_or_default();
        let delivery = Delivery { headers: &head.headers, query, body: body.bytes(), received_at, peer };
        ingest.deliver(&receiver, delivery).await
    });
    answer(work.await.unwrap_or_else(|error| {
        tracing::error!(source = source.name(), %error, "a panic of the gateway ended a delivery");
        webhooks.ingest.refused(&source, Refusal::Defect, received_at, peer)
    }))
}

/// Answers a GET: some providers check that the address exists before they save it, and some expect an answer to a challenge
/// in the query.
async fn probe(State(webhooks): State<Webhooks>, source: SourceName, RawQuery(query): RawQuery) -> Response {
    match known(&webhooks, source).map(|source| source.answer(&query.unwrap_or_default(), clock::now())) {
        Ok(Some(answer)) => answer.into_response(),
        Ok(None) => "This address takes webhooks by POST.\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn answer(Reply { status, body }: Reply) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        ReplyBody::Json(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        ReplyBody::Text(body) => (status, [(header::CONTENT_TYPE, "text/plain")], body).into_response(),
        ReplyBody::Problem { reason, detail, retry_after } => {
            let problem = Problem::new(status, reason, detail);
            match retry_after {
                Some(after) => problem.with_retry_after(after),
                None => problem,
            }
            .into_response()
        }
    }
}

/// Answers a request whose body was not read to its end. HTTP/1 has to close the connection for that; HTTP/2 resets only the
/// stream of the request.
pub(super) fn hang_up(version: Version, mut response: Response) -> Response {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    /// GoCardless wants 498 for a bad signature. The body used to say 401 all the same.
    #[tokio::test]
    async fn an_error_of_ingest_is_a_problem_that_says_the_status_of_its_answer() {
        for (status, title) in [(401, "Unauthorized"), (498, "Error"), (503, "Service Unavailable")] {
            let retry_after = (status == 503).then_some(Duration::from_secs(5));
            let detail = "The timestamp is missing.".into();
            let body = ReplyBody::Problem { reason: "missing_timestamp", detail, retry_after };
            let (head, body) = answer(Reply { status, body }).into_parts();
            assert_eq!(head.status, status);
            assert_eq!(head.headers["content-type"], "application/problem+json");
            assert_eq!(head.headers.get("retry-after").is_some_and(|after| after == "5"), status == 503);
            let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
            let expected = json!({ "type": "/problems/missing_timestamp", "title": title, "status": status,
                "detail": "The timestamp is missing.", "reason": "missing_timestamp" });
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn what_was_taken_is_answered_in_the_form_that_the_provider_expects() {
        for (body, content_type) in [
            (ReplyBody::Json("{}".to_owned()), "application/json"),
            (ReplyBody::Text("[OK]".to_owned()), "text/plain"),
        ] {
            let answer = answer(Reply { status: 200, body });
            assert_eq!(
                (answer.status(), answer.headers().get_all("content-type").iter().count()),
                (StatusCode::OK, 1)
            );
            assert_eq!(answer.headers()["content-type"], content_type);
        }
    }
}
