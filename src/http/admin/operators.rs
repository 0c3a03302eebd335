//! Lets only operators reach the tools under `/admin`: the request has to carry the token of one of them as a bearer token, or the cookie
//! of a session of the console, which was begun with such a token. Only one who may change things can send a request that does, and by a
//! session only the console's own page can. The tools learn who asks: [`By`] is an extension of every request.

use super::{
    audit::{Audit, By, cross_site, read_only},
    guesses::{Guess, Guesses},
    same_origin, session,
    sessions::{self, Sessions, SignedIn},
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
    http::{HeaderValue, Method, StatusCode, Version, header, request::Parts},
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
    sessions: Arc<Sessions>,
    metrics: Arc<Metrics>,
}

/// Who asks, and by which session, unless by the token itself.
struct Asking {
    operator: Operator,
    session: Option<SignedIn>,
}

impl Entry {
    pub(super) fn new(
        operators: Arc<RwLock<Operators>>,
        audit: Audit,
        sessions: Arc<Sessions>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { operators, audit, guesses: Arc::default(), sessions, metrics }
    }

    /// The same routes, for operators. All others get a problem, whether the route exists or not.
    pub(super) fn only(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, check))
    }

    /// Finds out by the request's token, or by its session, which operator asks. A method that changes things is for those alone who may,
    /// and signing in and out is for all.
    fn authorize(&self, head: &Parts) -> Result<Asking, AdminRefusal> {
        let operators = self.operators.read().unwrap_or_else(PoisonError::into_inner).clone();
        if operators.is_empty() {
            return Err(AdminRefusal::Closed);
        }
        let asking = match head.headers.get(header::AUTHORIZATION) {
            Some(given) => {
                let token = given.as_bytes().strip_prefix(b"Bearer ").ok_or(AdminRefusal::MissingToken)?;
                let operator = operators.who_has(token).ok_or(AdminRefusal::WrongToken)?;
                Asking { operator, session: None }
            }
            None => self.by_session(head, &operators)?,
        };
        let may_all = is_look(&head.method) || head.uri.path() == session::PATH;
        if may_all || asking.operator.role == OperatorRole::Write {
            Ok(asking)
        } else {
            Err(AdminRefusal::ReadOnly)
        }
    }

    /// Finds out by the console's cookie which operator asks. Whether another page made the browser ask is checked before the session is
    /// looked at.
    fn by_session(&self, head: &Parts, operators: &Operators) -> Result<Asking, AdminRefusal> {
        let port = same_origin::port(&head.uri, &head.headers);
        if !sessions::has_cookie(&head.headers, &port) {
            return Err(AdminRefusal::MissingToken);
        }
        let is_own = same_origin::may_be(&head.uri, &head.headers);
        if !is_own || !(is_look(&head.method) || same_origin::is_deliberate(&head.headers)) {
            return Err(AdminRefusal::CrossSite);
        }
        let (operator, session) =
            self.sessions.of((&head.headers, &port), operators).ok_or(AdminRefusal::SessionOver)?;
        Ok(Asking { operator, session: Some(session) })
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
        AdminRefusal::CrossSite => cross_site(),
        AdminRefusal::SessionOver => {
            let detail = "the session of the console has ended; sign in again with the admin token";
            Problem::new(StatusCode::UNAUTHORIZED, "session_over", detail)
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
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

const fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

async fn check(State(entry): State<Entry>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let why = match entry.authorize(&head) {
        Ok(Asking { operator, session }) => {
            let may_change = session.is_none() || same_origin::is_deliberate(&head.headers);
            let by = By::new(operator, entry.operators, entry.audit, entry.metrics);
            head.extensions.insert(by.within(session, may_change));
            return next.run(Request::from_parts(head, body)).await;
        }
        Err(why) => why,
    };
    let peer = head.extensions.get::<Arrival>().map(|arrival| arrival.peer.network());
    entry.refuse(why, peer, head.version).await
}
