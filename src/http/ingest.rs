//! `POST /webhooks/{source}`: a provider's request, read whole and in time, then given to [`Ingest`].
//!
//! It promises that a provider gets a 4xx only for what the provider did: what is our own fault, a panic included, is a 503
//! with `Retry-After`. A body that is not in yet takes room for the bytes that have come and nothing else, so that half a request
//! keeps nobody waiting. What was not read to its end is accounted for by [`Ingest`] too. A delivery that was read is worked through to its end, whether the provider still listens or not,
//! so that it ends in one outcome.

use super::{
    problem::{self, Problem},
    service::Peer,
};
use crate::{
    clock,
    ingest::{Delivery, Ingest, Refusal, Reply, ReplyBody},
    limits::Limits,
    live::Live,
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
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::task::TaskTracker;

/// What the webhook routes need.
#[derive(Clone)]
pub struct Webhooks {
    ingest: Arc<Ingest>,
    limits: Live<Limits>,
    /// Bounds the bodies in memory, in bytes.
    room: Arc<Semaphore>,
    /// Deliveries that are being worked through.
    tasks: TaskTracker,
}

impl Webhooks {
    /// Routes to `ingest`.
    #[must_use]
    pub fn new(ingest: Arc<Ingest>, limits: Live<Limits>) -> Self {
        let room = Arc::new(Semaphore::new(limits.get().buffered_bytes.min(Semaphore::MAX_PERMITS)));
        Self { ingest, limits, room, tasks: TaskTracker::new() }
    }

    /// The routes.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/webhooks/{source}", post(receive).get(probe))
            .method_not_allowed_fallback(problem::method_not_allowed)
            .with_state(self.clone())
    }

    /// Returns once no delivery is in work. For the end, when no new one can come.
    pub async fn done(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Reads a body within its bounds. It holds its room until it is dropped.
    async fn read(&self, body: Body) -> Result<Held, Refusal> {
        let Limits { body_bytes, body_timeout, .. } = self.limits.get();
        // Told in advance, so not a byte of it is read.
        if body.size_hint().lower() > body_bytes as u64 {
            return Err(Refusal::TooLarge(body_bytes));
        }
        let read = async {
            let mut body = Limited::new(body, body_bytes);
            let mut held = Held { bytes: Vec::new(), room: self.room(0)? };
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        Refusal::TooLarge(body_bytes)
                    } else {
                        Refusal::Broken
                    }
                })?;
                let Ok(data) = frame.into_data() else { continue };
                held.room.merge(self.room(data.len())?);
                // A copy, because a few bytes may keep a whole read buffer alive.
                held.bytes.extend_from_slice(&data);
            }
            Ok(held)
        };
        timeout(body_timeout, read).await.unwrap_or(Err(Refusal::Slow(body_timeout)))
    }

    /// Room for so many bytes, if there is any at once.
    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::Overload)?;
        Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| Refusal::Overload)
    }
}

/// A body in memory, and its room.
struct Held {
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

/// The name of a source from the path. What is no text names none.
type SourceName = Result<Path<String>, PathRejection>;

fn known(webhooks: &Webhooks, source: SourceName) -> Result<String, Problem> {
    let source = source.ok().map(|Path(source)| source).filter(|source| webhooks.ingest.knows(source));
    source.ok_or_else(problem::unknown_source)
}

async fn receive(State(webhooks): State<Webhooks>, source: SourceName, request: Request) -> Response {
    match known(&webhooks, source) {
        Ok(source) => deliver(&webhooks, source, request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn deliver(webhooks: &Webhooks, source: String, request: Request) -> Response {
    let received_at = clock::now();
    let (head, body) = request.into_parts();
    let version = head.version;
    let peer = head.extensions.get::<Peer>().map(|peer| peer.0.ip());
    let body = match webhooks.read(body).await {
        Ok(body) => body,
        Err(refusal) => {
            return hang_up(version, answer(webhooks.ingest.refused(&source, refusal, received_at, peer)));
        }
    };
    let ingest = Arc::clone(&webhooks.ingest);
    let name = source.clone();
    let work = webhooks.tasks.spawn(async move {
        let Held { bytes, room } = body;
        let query = head.uri.query().unwrap_or_default();
        let delivery =
            Delivery { source: &name, headers: &head.headers, query, body: &bytes, received_at, peer };
        let reply = ingest.deliver(delivery).await;
        drop(room);
        reply
    });
    answer(work.await.unwrap_or_else(|error| {
        tracing::error!(source, %error, "a delivery failed by a defect of the gateway");
        webhooks.ingest.refused(&source, Refusal::Defect, received_at, peer)
    }))
}

/// Some providers look at the address before they save it, and some ask a question.
async fn probe(State(webhooks): State<Webhooks>, source: SourceName, RawQuery(query): RawQuery) -> Response {
    match known(&webhooks, source).map(|source| webhooks.ingest.answer(&source, &query.unwrap_or_default())) {
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

/// What is left of the request is not read, so HTTP/1 has to close the connection; HTTP/2 resets the one stream.
fn hang_up(version: Version, mut response: Response) -> Response {
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
            let expected = json!({ "type": "about:blank", "title": title, "status": status,
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
