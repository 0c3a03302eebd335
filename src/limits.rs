//! The bounds that can be set, all under `[limits]`.
//!
//! `paystream_limit_hits_total` counts, by name, the hits of `body_bytes`, `body_timeout`, `buffered_bytes`, `connections`,
//! `deliveries`, `failed_signatures_per_second`, `stall` and `streams`, and of `head_timeout` those of connections that
//! never said anything. The rest are not counted. Bounds that are no settings are: `delivery_records`, `key_fetches`,
//! `open_files`, `owed` (confirmations of one source), `store_queue`.
//!
//! They can change while the process runs, but for the few that are said to be read once.

use std::time::Duration;

/// The bounds. [`Default`] gives what `[limits]` has unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest webhook body, in bytes. Standard Webhooks asks for 20 kB; orders with many lines reach hundreds.
    pub body_bytes: usize,
    /// Bytes of webhook bodies in memory at once; beyond, 503. Read once, at start.
    pub buffered_bytes: usize,
    /// Deepest nesting of a webhook's JSON.
    pub json_depth: usize,
    /// Longest request head, in bytes: request line and headers together.
    pub head_bytes: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// How long a request's head may take to arrive; also how long an idle connection is kept. Longer than balancers keep
    /// theirs (60 s on nginx and AWS), or they send a request into a connection that is closing, and answer 502.
    pub head_timeout: Duration,
    /// How long a webhook's body may take to arrive.
    pub body_timeout: Duration,
    /// Open connections of one listener; beyond, new ones wait in the kernel's backlog. Read once, at start.
    pub connections: usize,
    /// Connections that the kernel holds until they are accepted, so that a storm loses no SYN. Read once,
    /// at start.
    pub backlog: u32,
    /// Webhooks in work at once; beyond, 503. Read once, at start.
    pub deliveries: usize,
    /// Payments on one stream. Eight joined cursors fit the 128 bytes that a browser sends without asking first.
    pub payments_per_stream: usize,
    /// Open streams; beyond, a stream is refused the way an `EventSource` survives.
    pub streams: usize,
    /// Logs read at once for streams that open. Read once, at start.
    pub log_reads: usize,
    /// How long written bytes may wait for a reader that takes none: one that comes back later is told `stalled`, one that
    /// has not come back after twice as long is cut off.
    pub stall: Duration,
    /// Clients that this node takes back per second, for the spread of `retry:` after a drain.
    pub accepts_per_second: usize,
    /// Failed signatures that one source may have per second; beyond, 429 to what fails.
    pub failed_signatures_per_second: u32,
    /// Longest wait of a long-poll.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            buffered_bytes: 256 << 20,
            json_depth: 64,
            head_bytes: 16 << 10,
            headers: 100,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(10),
            connections: 100_000,
            backlog: 16_384,
            deliveries: 4096,
            payments_per_stream: 8,
            streams: 100_000,
            log_reads: 64,
            stall: Duration::from_secs(30),
            accepts_per_second: 2_000,
            failed_signatures_per_second: 100,
            wait: Duration::from_secs(60),
        }
    }
}
