//! The service of an HTTP/2 connection.
//!
//! hyper counts the headers of a request over HTTP/1 only. Here they are counted after they were decoded, and the response's
//! body is given to the progress of its request.

use super::{progress::Watched, requests};
use crate::http::{
    refusal::Refusal,
    service::{Routed, refuse},
};
use axum::http::Response;
use futures_util::future::BoxFuture;
use hyper::{Request, body::Incoming, service::Service};
use std::convert::Infallible;

/// Answers the requests of one connection.
pub(super) struct Counted {
    routed: Routed,
    /// The most headers of a request.
    headers: usize,
}

impl Counted {
    /// Answers by `routed` what has at most so many `headers`.
    pub(super) const fn new(routed: Routed, headers: usize) -> Self {
        Self { routed, headers }
    }
}

impl Service<Request<Incoming>> for Counted {
    type Response = Response<Watched>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Watched>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = (request.headers().len() <= self.headers).then(|| self.routed.call(request));
        Box::pin(async move {
            let response = match answer {
                Some(answer) => answer.await?,
                None => refuse(Refusal::TooManyHeaders),
            };
            Ok(response.map(|body| requests::progress().watch(body)))
        })
    }
}
