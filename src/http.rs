//! Takes requests off the sockets and hands out answers, bounded in size and time.
//!
//! The routes of the three listeners, each a thin layer over the room that does the work: they read what was asked, check
//! it in a fixed order, and put the answer into HTTP's words. What a webhook means, what a token opens and what a stream
//! says is decided elsewhere. No other room but the stream's byte sink knows hyper or axum.
//!
//! | file | noun |
//! |---|---|
//! | `accept`  | the accept loop, its timers and bounds |
//! | `guarded` | a socket whose writes do not wait for ever |
//! | `ingest`  | `POST /webhooks/{source}` |
//! | `public`  | `/v1`: streams and snapshots |
//! | `asked`   | what a request for a stream or snapshot asks for |
//! | `demo`    | the demo's page and its buttons |
//! | `pages`   | static pages |
//! | `admin`   | health, metrics and the operators' routes |
//! | `problem` | errors as `application/problem+json` |

mod accept;
mod admin;
mod asked;
pub mod demo;
mod guarded;
mod ingest;
mod pages;
mod problem;
mod public;

pub use accept::{bind, serve};
pub use admin::Admin;
pub use ingest::Webhooks;
pub use public::Public;

use axum::Router;

/// The routes of one listener, completed by answers for what is not routed.
pub fn finish(routes: Router) -> Router {
    routes.fallback(problem::not_found)
}
