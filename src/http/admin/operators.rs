//! Lets only operators reach the tools under `/admin`: the request has to carry the configured token as a bearer token.

use super::guesses::{Guess, Guesses};
use crate::{
    http::{problem::Problem, service::Arrival},
    limits::LimitHit,
    metrics::{AdminRefusal, Metrics},
};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Version, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use subtle::ConstantTimeEq;
use tokio::time::sleep;

/// When to try again after too many wrong tokens at once.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The token of the operators, which a reload may replace, and who guessed at it. Without a token nobody is let in.
#[derive(Clone)]
pub(super) struct Operators {
    token: Arc<RwLock<Option<SecretString>>>,
    guesses: Arc<Guesses>,
    metrics: Arc<Metrics>,
}

impl Operators {
    pub(super) fn new(token: Arc<RwLock<Option<SecretString>>>, metrics: Arc<Metrics>) -> Self {
        Self { token, guesses: Arc::default(), metrics }
    }

    /// The same routes, for requests with the token. All others get a problem, whether the route exists or not.
    pub(super) fn only(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, check))
    }

    /// Compares the request's token with the configured one.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), AdminRefusal> {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        let token = token.as_ref().ok_or(AdminRefusal::Closed)?;
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let given = given.ok_or(AdminRefusal::MissingToken)?;
        let is_right = given.ct_eq(token.expose_secret().as_bytes()).into();
        if is_right { Ok(()) } else { Err(AdminRefusal::WrongToken) }
    }

    /// Counts a refusal and answers it; a wrong token after a delay, which grows with the peer's wrong tokens.
    async fn refuse(&self, why: AdminRefusal, peer: Option<IpAddr>, version: Version) -> Response {
        self.metrics.admin_refusals.count(why);
        if why == AdminRefusal::WrongToken {
            let Guess { wrong, is_logged, wait } = self.guesses.wrong(peer);
            if is_logged {
                let peer = peer.map(tracing::field::display);
                tracing::warn!(peer, wrong, "a wrong admin token");
            }
            let Some(wait) = wait else {
                self.metrics.limit_hits.count(LimitHit::AdminTokens);
                return too_many(version);
            };
            sleep(wait.delay).await;
        }
        problem(why).into_response()
    }
}

fn problem(why: AdminRefusal) -> Problem {
    if why == AdminRefusal::Closed {
        let detail = "the operators' routes are closed; set `token` under [admin] to open them";
        return Problem::new(StatusCode::FORBIDDEN, "admin_closed", detail);
    }
    Problem::new(StatusCode::UNAUTHORIZED, "bad_admin_token", "send the admin token as a bearer token")
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// The answer to a wrong token while as many others of its peer wait as may. It ends the connection, so that each further guess
/// costs a new one; HTTP/2 has no such header.
fn too_many(version: Version) -> Response {
    let detail = "too many wrong admin tokens came from this address; the right one is accepted at any time";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_tokens", detail)
        .with_retry_after(RETRY_AFTER);
    if version == Version::HTTP_2 {
        return problem.into_response();
    }
    problem.with(header::CONNECTION, HeaderValue::from_static("close")).into_response()
}

async fn check(State(operators): State<Operators>, request: Request, next: Next) -> Response {
    let Err(why) = operators.authorize(request.headers()) else { return next.run(request).await };
    let peer = request.extensions().get::<Arrival>().map(|arrival| arrival.peer.network());
    operators.refuse(why, peer, request.version()).await
}
