//! Lets only operators reach the tools under `/admin`: the request has to carry the configured token as a bearer token.

use crate::http::problem::Problem;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq;

/// The token of the operators, which a reload may replace. Without a token nobody is let in.
#[derive(Clone)]
pub(super) struct Operators {
    token: Arc<RwLock<Option<SecretString>>>,
}

impl Operators {
    pub(super) const fn new(token: Arc<RwLock<Option<SecretString>>>) -> Self {
        Self { token }
    }

    /// The same routes, for requests with the token. All others get a problem, whether the route exists or not.
    pub(super) fn only(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, check))
    }

    /// Compares the request's token with the configured one.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = token.as_ref() else {
            let detail = "the operators' routes are closed; set `token` under [admin] to open them";
            return Err(Problem::new(StatusCode::FORBIDDEN, "admin_closed", detail));
        };
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| given.ct_eq(token.expose_secret().as_bytes()).into()) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "bad_admin_token",
            "send the admin token as a bearer token",
        )
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    }
}

async fn check(State(operators): State<Operators>, request: Request, next: Next) -> Response {
    match operators.authorize(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
