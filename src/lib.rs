//! Paystream: payment webhooks in, payment status out.
//!
//! The path of one event, room by room:
//!
//! 1. `http` takes the request off the socket, bounded in size and time.
//! 2. `ingest` verifies the raw bytes, then parses, maps to facts and masks.
//! 3. [`store`] appends once, durably; only then does the provider get its 2xx.
//! 4. `hub` hears the notice, checks that none is missing, folds the event into the payment's topic, encodes one frame.
//! 5. `stream` pulls the frames after each stream's cursor into its socket.
//!
//! Where a webhook only hints, `confirm` asks the provider and appends what it says. `ingest` never knows who watches, `stream` never knows who posted. The invariants I1 to I8 are those of the README.

pub mod access;
pub mod app;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confirm;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod hub;
pub mod ingest;
pub mod jwt;
pub mod limits;
pub mod live;
pub mod metrics;
pub mod outbound;
pub mod payment;
pub mod redact;
pub mod scenario;
pub mod secret;
pub mod shutdown;
pub mod source;
pub mod store;
pub mod stream;
pub mod telemetry;
