//! Lets only operators reach the tools under `/admin`: the request has to carry the token of one of them as a bearer token, and only one
//! who may change things can send a request that does. The tools learn who asks: [`By`] is an extension of every request.

use super::{
    audit::{Audit, By, read_only},
    guesses::{Guess, Guesses},
};
use crate::{
    access::{Operator, OperatorRole, Operators},
    http::{problem::Problem, service::Arrival},
    limits::LimitHit,
    metrics::{AdminRefusal, Metrics},
};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::sleep;

/// When to try again after too many wrong tokens at once.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The operators, whom a reload may replace, and who guessed at their tokens. Without operators nobody is let in.
#[derive(Clone)]
pub(super) struct Entry {
    operators: Arc<RwLock<Operators>>,
    audit: Audit,
    guesses: Arc<Guesses>,
    metrics: Arc<Metrics>,
}

impl Entry {
    pub(super) fn new(operators: Arc<RwLock<Operators>>, audit: Audit, metrics: Arc<Metrics>) -> Self {
        Self { operators, audit, guesses: Arc::default(), metrics }
    }

    /// The same routes, for operators. All others get a problem, whether the route exists or not.
    pub(super) fn only(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, check))
    }

    /// Finds out by the request's token which operator asks. A method that changes things is for those alone who may.
    fn authorize(&self, method: &Method, headers: &HeaderMap) -> Result<Operator, AdminRefusal> {
        let operators = self.operators.read().unwrap_or_else(PoisonError::into_inner).clone();
        if operators.is_empty() {
            return Err(AdminRefusal::Closed);
        }
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let given = given.ok_or(AdminRefusal::MissingToken)?;
        let operator = operators.who_has(given).ok_or(AdminRefusal::WrongToken)?;
        let is_look = matches!(*method, Method::GET | Method::HEAD);
        if is_look || operator.role == OperatorRole::Write {
            Ok(operator)
        } else {
            Err(AdminRefusal::ReadOnly)
        }
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
    match why {
        AdminRefusal::Closed => {
            let detail = "the operators' routes are closed; set `token` under [admin] to open them";
            Problem::new(StatusCode::FORBIDDEN, "admin_closed", detail)
        }
        AdminRefusal::ReadOnly => read_only(),
        AdminRefusal::Host | AdminRefusal::MissingToken | AdminRefusal::WrongToken => {
            let detail = "send the admin token as a bearer token";
            Problem::new(StatusCode::UNAUTHORIZED, "bad_admin_token", detail)
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
    }
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

async fn check(State(entry): State<Entry>, mut request: Request, next: Next) -> Response {
    let why = match entry.authorize(request.method(), request.headers()) {
        Ok(operator) => {
            request.extensions_mut().insert(By::new(operator, entry.audit, entry.metrics));
            return next.run(request).await;
        }
        Err(why) => why,
    };
    let peer = request.extensions().get::<Arrival>().map(|arrival| arrival.peer.network());
    entry.refuse(why, peer, request.version()).await
}
