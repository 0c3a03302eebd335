//! A payment as its page sees it, live: the handlers of `/v1`, with the authority of an operator in place of a token.
//!
//! The paths below the realm are those of the public listener, so that the client package follows a payment here as it does there.

use super::{audit::By, streams::other_role};
use crate::{
    access::Grant,
    http::{
        problem::Problem,
        public::{self, Public},
        standings::Authority,
    },
    payment::Name,
    stream::Stands,
};
use axum::{
    Router,
    extract::{Path, Request, rejection::PathRejection},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{any, get},
};
use serde::Deserialize;
use std::sync::Arc;

/// The part of the path that says the realm.
#[derive(Deserialize)]
struct OfRealm {
    realm: String,
}

/// The routes. `None` if the node does not stream.
pub(super) fn routes(public: Option<Public>) -> Router {
    let Some(public) = public else {
        return Router::new().route("/realms/{realm}/v1/{*path}", any(async || other_role()));
    };
    Router::new()
        .route("/realms/{realm}/v1/events", get(public::events_of_several))
        .route("/realms/{realm}/v1/payments/{payment}", get(public::snapshot))
        .layer(middleware::from_fn(as_operator))
        .with_state(public)
}

/// Lets the operator see all payments of the realm, for as long as the token or the session stands.
async fn as_operator(
    realm: Result<Path<OfRealm>, PathRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let realm = realm.ok().and_then(|Path(OfRealm { realm })| realm.parse::<Name>().ok());
    let realm = realm.ok_or_else(|| Problem::bad_request("bad_parameter", "the realm is not valid"))?;
    if let Some(by) = request.extensions().get::<By>().cloned() {
        let expires_at = by.session().map(|session| session.ends_at);
        let grant = Grant::of_operator(realm, &by.operator().name, expires_at);
        let stands: Stands = Arc::new(Box::new(move || by.stands()));
        request.extensions_mut().insert(Authority { grant, stands });
    }
    let mut answer = next.run(request).await;
    // A browser of the shop may keep its own payment, and one of an operator keeps none.
    let cached = answer.headers_mut().get_mut(header::CACHE_CONTROL);
    if let Some(cached) = cached.filter(|cached| cached.as_bytes().starts_with(b"private")) {
        *cached = HeaderValue::from_static("no-store");
    }
    Ok(answer)
}
