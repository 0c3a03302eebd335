//! Paystream receives payment webhooks from providers and streams payment status to browsers.
//!
//! The path of one event, room by room:
//!
//! 1. `http` reads the request from the socket, with limits of size and time.
//! 2. `ingest` verifies the raw bytes, parses them, maps them to facts and masks card data. What a provider signs and means is
//!    described by its [`source`].
//! 3. [`store`] appends the event durably and at most once. Only then does the provider get its 2xx.
//! 4. `hub` receives the store's notice, checks that none is missing, folds the event into the payment's topic and encodes one
//!    frame.
//! 5. `stream` writes the frames after each stream's cursor to its socket.
//!
//! If a webhook only hints at a change, `confirm` asks the provider and appends the answer. `ingest` does not know who watches a
//! payment, and `stream` does not know who posted it. The invariants I1 to I8, after which tests are named, are in ARCHITECTURE.md.

pub mod access;
pub mod app;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confirm;
pub mod descriptors;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod hub;
pub mod ingest;
pub mod jwt;
pub mod limits;
pub mod live;
mod loopback;
pub mod metrics;
pub mod outbound;
pub mod payment;
pub mod peer;
pub mod redact;
pub mod scenario;
pub mod secret;
pub mod shutdown;
pub mod source;
pub mod store;
pub mod stream;
pub mod systemd;
pub mod tally;
pub mod telemetry;
pub mod tls;
