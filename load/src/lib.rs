//! A small client of Paystream over plain TCP, for tests and measurements.
//!
//! It shares no code with the gateway and uses no HTTP client, so that neither can hide what really went over the wire:
//! a heartbeat with a stray blank line, a frame in two halves, an end that was clean where it should not be. Only the heads of
//! responses are parsed by a library, `httparse`.
//!
//! | file | noun |
//! |---|---|
//! | `http`   | one connection, requests on it, and how a body ended |
//! | `sse`    | the parser of the WHATWG standard, which keeps the raw lines |
//! | `stream` | one open event stream |
//! | `follow` | a client that resumes and checks that nothing is lost, repeated or out of order |
//! | `sign`   | signatures as providers make them, tokens as merchants mint them |

pub mod follow;
pub mod http;
pub mod sign;
pub mod sse;
pub mod stream;
