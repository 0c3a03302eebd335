//! `POST /webhooks/{source}`: a provider's request, read whole and in time, then given to [`Ingest`].
//!
//! It promises that a provider gets a 4xx only for what the provider did: what is our own fault, a panic included, is a 503
//! with `Retry-After`. A delivery that was read is worked through to its end, whether the provider still listens or not,
//! so that it ends in one outcome.

use super::{
    accept::Peer,
    problem::{self, Problem},
};
use crate::{
    clock,
    ingest::{Delivery, Ingest, Reply},
    limits::Limits,
    live::Live,
    metrics::{CountReason, Metrics},
    payment::Time,
};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, Version, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

/// When a provider should try again, unless ingest knows better. Most wait longer of their own accord.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the webhook routes need.
#[derive(Clone)]
pub struct Webhooks {
    ingest: Arc<Ingest>,
    limits: Live<Limits>,
    metrics: Arc<Metrics>,
    /// Bounds the bodies in memory.
    room: Arc<Semaphore>,
    /// Deliveries that are being worked through.
    tasks: TaskTracker,
}

impl Webhooks {
    /// Routes to `ingest`.
    #[must_use]
    pub fn new(ingest: Arc<Ingest>, limits: Live<Limits>, metrics: Arc<Metrics>) -> Self {
        let room = Arc::new(Semaphore::new(limits.get().deliveries.min(Semaphore::MAX_PERMITS)));
        Self { ingest, limits, metrics, room, tasks: TaskTracker::new() }
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

    /// Reads a body within its bounds. The error counts as the delivery's outcome.
    async fn read(&self, source: &str, head: &Parts, body: Body) -> Result<Bytes, Problem> {
        let Limits { body_bytes: limit, body_timeout, .. } = self.limits.get();
        // Told in advance, so not a byte of it is read.
        if body.size_hint().lower() > limit as u64 {
            return Err(self.too_large(source, head, limit));
        }
        match timeout(body_timeout, Limited::new(body, limit).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(self.too_large(source, head, limit)),
            Ok(Err(error)) => {
                tracing::debug!(source, %error, "a webhook broke off");
                self.metrics.event(source, "rejected", "broken_body");
                Err(Problem::bad_request("broken_body", "the body broke off or is malformed"))
            }
            Err(_) => {
                self.metrics.limit_hits.count("body_timeout");
                self.metrics.event(source, "rejected", "body_timeout");
                let detail = format!("the body took over {body_timeout:?}");
                Err(hang_up(head, Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)))
            }
        }
    }

    fn too_large(&self, source: &str, head: &Parts, limit: usize) -> Problem {
        self.metrics.limit_hits.count("body_bytes");
        self.metrics.event(source, "rejected", "body_too_large");
        let detail = format!("a webhook has at most {limit} bytes");
        hang_up(head, Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))
    }

    /// Our own fault: the provider shall come again.
    fn deferred(&self, source: &str, reason: &'static str, detail: &'static str) -> Problem {
        self.metrics.event(source, "deferred", reason);
        self.metrics.delivery(true);
        Problem::unavailable(reason, detail, RETRY_AFTER)
    }
}

async fn receive(State(webhooks): State<Webhooks>, Path(source): Path<String>, request: Request) -> Response {
    let received_at = clock::now();
    match deliver(&webhooks, source, received_at, request).await {
        Ok(reply) => answer(reply),
        Err(problem) => problem.into_response(),
    }
}

async fn deliver(
    webhooks: &Webhooks,
    source: String,
    received_at: Time,
    request: Request,
) -> Result<Reply, Problem> {
    if !webhooks.ingest.knows(&source) {
        return Err(unknown_source());
    }
    let Ok(permit) = Arc::clone(&webhooks.room).try_acquire_owned() else {
        webhooks.metrics.limit_hits.count("deliveries");
        return Err(webhooks.deferred(&source, "overload", "too many deliveries at once"));
    };
    let (head, body) = request.into_parts();
    let body = webhooks.read(&source, &head, body).await?;

    let ingest = Arc::clone(&webhooks.ingest);
    let name = source.clone();
    let work = webhooks.tasks.spawn(async move {
        let _permit = permit;
        let reply = ingest.deliver(Delivery {
            source: &name,
            headers: &head.headers,
            query: head.uri.query(),
            body: &body,
            received_at,
            peer: head.extensions.get::<Peer>().map(|peer| peer.0.ip()),
        });
        reply.await
    });
    work.await.map_err(|error| {
        tracing::error!(source, %error, "a delivery failed by a defect of the gateway");
        webhooks.deferred(&source, "defect", "the gateway failed; try again")
    })
}

/// Some providers look at the address before they save it.
async fn probe(State(webhooks): State<Webhooks>, Path(source): Path<String>) -> Response {
    if webhooks.ingest.knows(&source) {
        "This address takes webhooks by POST.\n".into_response()
    } else {
        unknown_source().into_response()
    }
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, reply.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(seconds) = reply.retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn unknown_source() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_source", "no source of this name is configured")
}

/// What is left of the request is not read, so HTTP/1 has to close the connection; HTTP/2 resets the one stream.
fn hang_up(head: &Parts, problem: Problem) -> Problem {
    if head.version >= Version::HTTP_2 {
        return problem;
    }
    problem.with(header::CONNECTION, HeaderValue::from_static("close"))
}
