//! Takes requests from sockets and writes answers, within bounds of size and time.
//!
//! Here are the routes of the three listeners. Each is a thin layer over the room that does the work: it reads the request,
//! checks it in a fixed order, and translates the answer into HTTP. What a webhook means, what a token allows and what a
//! stream says is decided elsewhere. Apart from the byte sink of `stream`, no other room uses hyper or axum.
//!
//! | file | noun |
//! |---|---|
//! | `accept`     | the accept loop: timeouts, drain |
//! | `admission`  | which connections are let in, and how long they may be silent |
//! | `idle`       | the connections that make room for others |
//! | `preamble`   | the header of the PROXY protocol before the first request |
//! | `h1`, `h2`   | how a connection of each HTTP version is served |
//! | `leave`      | how a stream leaves HTTP/1 with its socket |
//! | `read_ahead` | a connection some of whose bytes were read already |
//! | `guarded`    | a socket whose writes do not wait for ever |
//! | `tls`        | the handshake, and what is said to a client that speaks HTTP without TLS |
//! | `secured`    | a socket with TLS |
//! | `wire`       | a connection with or without TLS |
//! | `redirect`   | the listener without TLS that leads browsers to the one with it |
//! | `service`    | the router as a service for hyper, which knows the client of each request |
//! | `refusal`    | why a request head is refused before it is routed |
//! | `ingest`     | `POST /webhooks/{source}` |
//! | `relay`      | the same where there is no gateway |
//! | `buffers`    | the memory that bodies of webhooks take, shared fairly |
//! | `public`     | `/v1`: streams and snapshots |
//! | `realm`      | `/v1/payments`: all payments of a realm |
//! | `standings`  | whether the keys of open streams' tokens are still accepted |
//! | `asked`      | what a request for a stream or snapshot asks for |
//! | `parameters` | the parameters of queries that filter |
//! | `browser_client` | the modules of the client package that pages use |
//! | `dashboard`  | the page with all payments of a realm |
//! | `demo`       | the demo's page and its buttons |
//! | `pages`      | static pages |
//! | `admin`      | health, metrics and the operators' routes |
//! | `hosts`      | the hosts that a request may be for, where that matters |
//! | `problem`    | errors as `application/problem+json` |
//! | `problems`   | the pages that explain each type of problem |

mod accept;
mod admin;
mod admission;
mod asked;
mod browser_client;
mod buffers;
pub mod dashboard;
pub mod demo;
mod guarded;
mod h1;
mod h2;
mod hosts;
mod idle;
mod ingest;
mod leave;
mod pages;
mod parameters;
mod preamble;
mod problem;
mod problems;
mod public;
mod read_ahead;
mod realm;
mod redirect;
mod refusal;
pub mod relay;
mod secured;
mod service;
mod standings;
mod tls;
mod wire;

pub use accept::{adopt, bind, serve};
pub use admin::Admin;
pub use admission::{Entrance, Places};
pub use hosts::HostNames;
pub use ingest::Webhooks;
pub use public::Public;
pub use redirect::to_tls;
pub use tls::with_strict_transport;

use axum::Router;
use hosts::Hosts;

/// The routes for browsers and backends.
pub fn public_routes(public: Public) -> Router {
    public.routes(realm::routes())
}

/// Adds to the routes of one listener the pages that explain its problems, and the answer for all other paths.
pub fn finish(routes: Router) -> Router {
    routes.merge(problems::routes()).fallback(problem::not_found)
}

/// The same routes, for requests to this machine's own names and addresses only.
pub fn only_for_this_machine(routes: Router) -> Router {
    Hosts::of_this_machine().only(routes)
}
