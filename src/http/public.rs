//! `/v1`: what browsers and backends read, as a stream or as one snapshot in JSON.
//!
//! The checks have a fixed order, and nothing is said about a payment before all have passed: the token (401), the form of the
//! request (400), the payments that the token grants (403). Every answer under `/v1`, errors included, carries the CORS headers
//! that let pages of allowed origins read it.

use super::{
    asked::{self, Asked},
    pace::Pace,
    problem::{self, Problem},
    service::Arrival,
    standings::{Authority, Standings},
};
use crate::{
    access::{Access, Denied, Grant},
    clock,
    limits::Limits,
    live::Live,
    metrics::{Metrics, RefusalReason},
    payment::{Name, Subject},
    stream::{Holders, LongPoll, Open, Opened, Snapshot, Stands, Streams},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// When a backend should ask again for a snapshot after the store did not answer.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The parts of the gateway that the public routes use. A clone shares everything.
#[derive(Clone)]
pub struct Public {
    /// Opens streams and takes snapshots.
    pub(super) streams: Arc<Streams>,
    /// Decides what a request may see.
    pub(super) access: Arc<Access>,
    /// Limits the payments of a stream and the wait of a long poll.
    limits: Live<Limits>,
    /// Counts refusals.
    pub(super) metrics: Arc<Metrics>,
    pub(super) standings: Arc<Standings>,
    /// Limits how often each token says what was shown.
    pub(super) pace: Arc<Pace>,
}

impl Public {
    /// The routes' share of a gateway.
    #[must_use]
    pub fn new(
        streams: Arc<Streams>,
        access: Arc<Access>,
        limits: Live<Limits>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { streams, access, limits, metrics, standings: Arc::default(), pace: Arc::default() }
    }

    /// The routes below `/v1`, with these besides.
    pub(super) fn routes(self, more: Router<Self>) -> Router {
        let access = Arc::clone(&self.access);
        let v1 = Router::new()
            .route("/payments/{payment}", get(snapshot))
            .route("/payments/{payment}/events", get(events_of_one))
            .route("/events", get(events_of_several))
            .merge(more)
            .method_not_allowed_fallback(problem::method_not_allowed)
            .fallback(problem::not_found)
            .layer(middleware::from_fn_with_state(access, cors))
            .with_state(self);
        Router::new().nest("/v1", v1)
    }

    /// What the request may see: by its token, or by the authority of the operator who asks.
    pub(super) fn admit(&self, asked: &Asked) -> Result<Grant, Problem> {
        if let Some(Authority { grant, stands }) = &asked.authority {
            return if stands() { Ok(grant.clone()) } else { Err(unauthorized(Denied::Expired)) };
        }
        self.access.admit(&asked.headers, asked.query(), clock::now()).map_err(|denied| {
            self.metrics.refusals.count(denied.counted());
            unauthorized(denied)
        })
    }

    /// What an open stream asks whether its grant still stands.
    pub(super) fn stands(&self, asked: &Asked, grant: &Grant) -> Stands {
        let of_token = || self.standings.of(grant, &self.access);
        asked.authority.as_ref().map_or_else(of_token, |Authority { stands, .. }| Arc::clone(stands))
    }

    /// The log of `payment`, if the grant allows it.
    pub(super) fn subject(&self, grant: &Grant, payment: Name) -> Result<Subject, Problem> {
        if grant.allows(&payment) {
            return Ok(Subject::payment(grant.realm.clone(), payment));
        }
        self.metrics.refusals.count(RefusalReason::Forbidden);
        Err(Problem::new(StatusCode::FORBIDDEN, "foreign_payment", "the token does not open this payment"))
    }
}

/// A payment id in the path. A path that does not decode to UTF-8 is refused like an empty id, after the token was checked.
pub(super) type PaymentId = Result<Path<OfPayment>, PathRejection>;

/// The part of the path that names the payment. There may be others.
#[derive(Deserialize)]
pub(super) struct OfPayment {
    payment: String,
}

pub(super) fn text(payment: PaymentId) -> String {
    payment.map(|Path(OfPayment { payment })| payment).unwrap_or_default()
}

async fn events_of_one(State(api): State<Public>, payment: PaymentId, request: Request) -> Response {
    let asked = Asked::from(request.into_parts().0);
    events(&api, &asked, std::iter::once(text(payment).as_str())).await.into_response()
}

pub(super) async fn events_of_several(State(api): State<Public>, request: Request) -> Response {
    let asked = Asked::from(request.into_parts().0);
    events(&api, &asked, asked.parameters("payment")).await.into_response()
}

async fn events<'a>(
    api: &Public,
    asked: &Asked,
    payments: impl Iterator<Item = &'a str>,
) -> Result<Response, Problem> {
    let grant = api.admit(asked)?;
    let payments = asked::payments(payments, api.limits.get().payments_per_stream)?;
    let heartbeat_events = asked.flag("heartbeat", "event")?;
    let until_finished = asked.flag("until", "finished")?;
    let subjects: Vec<_> =
        payments.into_iter().map(|payment| api.subject(&grant, payment)).collect::<Result<_, _>>()?;
    if !asked.takes_events() {
        return Err(not_acceptable("/v1/payments/{payment} is the same as JSON"));
    }
    if asked.method == Method::HEAD {
        return Ok(event_stream(Body::empty()));
    }

    let (holders, has_room) = counted(asked, &grant);
    let open = Open {
        subjects,
        holders,
        has_room,
        cursor: asked.cursor(),
        heartbeat_events,
        until_finished,
        expires_at: grant.expires_at,
        stands: Some(api.stands(asked, &grant)),
        subject: grant.subject.clone(),
    };
    Ok(match api.streams.open(open).await {
        Opened::Stream(body) => {
            let detachable = body.detachable();
            let mut response = event_stream(Body::new(body));
            if let Some(detachable) = detachable {
                response.extensions_mut().insert(detachable);
            }
            response
        }
        // An `EventSource` does not reconnect after a 204.
        Opened::Finished => (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response(),
    })
}

/// The refusal of a client that does not accept events.
pub(super) fn not_acceptable(instead: &str) -> Problem {
    let detail = format!("this is a stream of text/event-stream; {instead}");
    Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
}

/// Whom a stream or a long poll is counted for, and whether the node has room for it.
pub(super) fn counted(asked: &Asked, grant: &Grant) -> (Holders, bool) {
    let peer = asked.arrival.and_then(|Arrival { peer, .. }| peer.holder());
    let has_room = asked.arrival.is_none_or(|arrival| arrival.has_room);
    (Holders { peer, token: grant.holder }, has_room)
}

pub(super) fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-store, no-transform"),
        // Turns off the response buffer of nginx, which would delay frames.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

pub(super) async fn snapshot(State(api): State<Public>, payment: PaymentId, request: Request) -> Response {
    let asked = Asked::from(request.into_parts().0);
    snapshot_of(&api, &asked, &text(payment)).await.into_response()
}

async fn snapshot_of(api: &Public, asked: &Asked, payment: &str) -> Result<Response, Problem> {
    let grant = api.admit(asked)?;
    let subject = api.subject(&grant, asked::payment(payment)?)?;
    let known = asked.if_none_match();
    let known = known.as_ref();
    // Without `If-None-Match` there is nothing to wait for: the client has to get the snapshot at once.
    let wait = known.and(asked.wait()).map(|wait| wait.min(api.limits.get().wait));

    let (holders, has_room) = counted(asked, &grant);
    let poll = wait.map(|wait| LongPoll { wait, holders, has_room });
    let taken = api.streams.snapshot(&subject, known, poll).await;
    if wait.is_some() {
        // The token may have expired during the wait.
        api.admit(asked)?;
    }
    let mut response = match taken {
        Snapshot::Fresh { etag, body } => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            tagged(response, &etag)
        }
        Snapshot::NotModified { etag } => tagged(StatusCode::NOT_MODIFIED.into_response(), &etag),
        Snapshot::Unavailable => {
            let detail = "the store does not answer; try again";
            return Err(Problem::unavailable("store_unavailable", detail, RETRY_AFTER));
        }
        Snapshot::Overload => {
            let detail = "too many streams and long polls are open; try again later, or ask without a wait";
            return Err(Problem::unavailable("overload", detail, RETRY_AFTER));
        }
    };
    if let Some(Ok(applied)) = wait.map(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs()))) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// Adds the headers by which a browser may keep a copy if it asks each time whether the copy is current.
fn tagged(mut response: Response, etag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn unauthorized(denied: Denied) -> Problem {
    let challenge = match denied {
        Denied::MissingToken => "Bearer",
        _ => r#"Bearer error="invalid_token""#,
    };
    Problem::new(StatusCode::UNAUTHORIZED, denied.code(), denied.to_string())
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// Answers CORS preflights, and adds to every other answer the headers that let pages of allowed origins read it.
async fn cors(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    if request.method() == Method::OPTIONS {
        let is_shown = request.uri().path().ends_with("/shown");
        let allowed = if is_shown { "POST, OPTIONS" } else { "GET, HEAD, OPTIONS" };
        let mut response = (StatusCode::NO_CONTENT, [(header::ALLOW, allowed)]).into_response();
        response.headers_mut().extend(access.cors_preflight(origin.as_ref()));
        return response;
    }
    let mut response = next.run(request).await;
    access.cors_answer(origin.as_ref(), response.headers_mut());
    response
}
