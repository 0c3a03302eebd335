//! Takes requests from sockets and writes answers, within bounds of size and time.
//!
//! Here are the routes of the three listeners. Each is a thin layer over the room that does the work: it reads the request,
//! checks it in a fixed order, and translates the answer into HTTP. What a webhook means, what a token allows and what a
//! stream says is decided elsewhere. Apart from the byte sink of `stream`, no other room uses hyper or axum.
//!
//! | file | noun |
//! |---|---|
//! | `accept`     | the accept loop: limits, timeouts, drain |
//! | `h1`, `h2`   | how a connection of each HTTP version is served |
//! | `read_ahead` | a connection some of whose bytes were read already |
//! | `guarded`    | a socket whose writes do not wait for ever |
//! | `service`    | the router as a service for hyper, with the client's address |
//! | `refusal`    | why a request head is refused before it is routed |
//! | `ingest`     | `POST /webhooks/{source}` |
//! | `public`     | `/v1`: streams and snapshots |
//! | `asked`      | what a request for a stream or snapshot asks for |
//! | `demo`       | the demo's page and its buttons |
//! | `pages`      | static pages |
//! | `admin`      | health, metrics and the operators' routes |
//! | `problem`    | errors as `application/problem+json` |

mod accept;
mod admin;
mod asked;
pub mod demo;
mod guarded;
mod h1;
mod h2;
mod ingest;
mod pages;
mod problem;
mod public;
mod read_ahead;
mod refusal;
mod service;

pub use accept::{bind, serve};
pub use admin::Admin;
pub use ingest::Webhooks;
pub use public::Public;

use axum::Router;

/// Adds to the routes of one listener the answer for all other paths.
pub fn finish(routes: Router) -> Router {
    routes.fallback(problem::not_found)
}
