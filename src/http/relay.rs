//! `POST /webhooks/{source}` where there is no gateway: reads a provider's request within the same bounds of size and time, and hands
//! it to a [`Relay`], which answers it.

use super::{
    ingest::hang_up,
    problem::{self, Problem},
    service::Arrival,
};
use crate::limits::Limits;
use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::{net::IpAddr, sync::Arc};
use tokio::time::timeout;

/// What takes the deliveries of one source in place of a gateway.
#[async_trait::async_trait]
pub trait Relay: Send + Sync + 'static {
    /// Returns the name of the source.
    fn source(&self) -> &str;

    /// Returns the answer to a provider's challenge, which comes by GET, if there is one.
    fn challenged(&self, query: &str) -> Option<String>;

    /// Takes a delivery, and returns the answer to it.
    async fn take(&self, delivery: WholeRequest) -> RelayAnswer;
}

/// A request that was read to its end.
#[derive(Clone, Debug)]
pub struct WholeRequest {
    /// The headers of the request.
    pub headers: HeaderMap,
    /// The query of the request's address, without the question mark.
    pub query: String,
    /// The body of the request, as it came.
    pub body: Bytes,
    /// The address of the sender.
    pub peer: Option<IpAddr>,
}

/// The answer to a delivery.
#[derive(Clone, Debug)]
pub struct RelayAnswer {
    /// The status of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The body of the answer.
    pub body: Bytes,
}

/// The relay, and the bounds of a delivery.
#[derive(Clone)]
struct RelayRoutes {
    relay: Arc<dyn Relay>,
    limits: Limits,
}

/// The routes of a relay.
pub fn routes(relay: Arc<dyn Relay>, limits: Limits) -> Router {
    Router::new()
        .route("/webhooks/{source}", post(receive).get(probe))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(RelayRoutes { relay, limits })
}

async fn receive(
    State(receiver): State<RelayRoutes>,
    Path(source): Path<String>,
    request: Request,
) -> Response {
    if source != receiver.relay.source() {
        return problem::unknown_source().into_response();
    }
    let (head, body) = request.into_parts();
    let body = match read(body, &receiver.limits).await {
        Ok(body) => body,
        Err(problem) => return hang_up(head.version, problem.into_response()),
    };
    let peer = head.extensions.get::<Arrival>().map(|arrival| arrival.peer.address());
    let query = head.uri.query().unwrap_or_default().to_owned();
    let delivery = WholeRequest { headers: head.headers, query, body, peer };
    let RelayAnswer { status, headers, body } = receiver.relay.take(delivery).await;
    (status, headers, body).into_response()
}

/// Reads a body within the limits of size and time.
async fn read(body: Body, limits: &Limits) -> Result<Bytes, Problem> {
    let Limits { body_bytes, body_timeout, .. } = *limits;
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("A webhook has at most {body_bytes} bytes."),
        )
    };
    if body.size_hint().lower() > body_bytes as u64 {
        return Err(too_large());
    }
    match timeout(body_timeout, Limited::new(body, body_bytes).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "broken_body", "The body broke off or is malformed."))
        }
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("The body took over {body_timeout:?}."),
        )),
    }
}

/// Answers a GET: some providers check that the address exists, and some expect an answer to a challenge in the query.
async fn probe(
    State(receiver): State<RelayRoutes>,
    Path(source): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if source != receiver.relay.source() {
        return problem::unknown_source().into_response();
    }
    let answer = receiver.relay.challenged(&query.unwrap_or_default());
    let answer = answer.unwrap_or_else(|| "This address takes webhooks by POST.\n".to_owned());
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], answer).into_response()
}
