//! The limits of the gateway: those that can be set, all under `[limits]`, and the names by which metrics count the hits of limits.
//!
//! Limits can change while the process runs, except for the few whose documentation says that they are read once.

use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

/// A limit whose hits `paystream_limit_hits_total` counts, by the variant's name in snake case if no other is given. Limits that are missing here are not
/// counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum LimitHit {
    /// A wrong admin token was refused at once, because as many answers to its peer as may were waiting for their delay.
    AdminTokens,
    /// A webhook's body was longer than [`Limits::body_bytes`].
    BodyBytes,
    /// A webhook's body took longer than [`Limits::body_timeout`].
    BodyTimeout,
    /// A webhook's body found no room in [`Limits::buffered_bytes`].
    BufferedBytes,
    /// A connection waited, because [`Limits::connections`] were open, or as many as the process has descriptors for.
    Connections,
    /// A connection was closed, because its peer had [`Limits::connections_per_peer`].
    ConnectionsPerPeer,
    /// An HTTP/2 connection was ended, because its client flooded it with control frames.
    ControlFrames,
    /// A webhook was refused, because [`Limits::deliveries`] were in work.
    Deliveries,
    /// A delivery was left out of its source's delivery log, because too many lines were on their way to the store.
    DeliveryRecords,
    /// A request to follow the deliveries was refused, because as many as may were followed already.
    DeliveryFollowers,
    /// A peer sent a source more than [`Limits::failed_signatures_per_peer`].
    FailedSignaturesPerPeer,
    /// A source had more than [`Limits::failed_signatures_per_second`].
    FailedSignaturesPerSecond,
    /// A connection did not send its first head within [`Limits::first_head_timeout`].
    FirstHeadTimeout,
    /// A connection was closed, because no request ran on it while others waited for its place.
    IdleConnections,
    /// A delivery named an unknown key, and too many such keys were being fetched, or too many deliveries waited for them.
    KeyFetches,
    /// A connection could not be accepted, or a stream not opened, because the process has as many open files as it may have.
    OpenFiles,
    /// A webhook was refused, because its source had as many pending confirmations as it may have.
    #[strum(serialize = "owed")]
    PendingConfirmations,
    /// A webhook was refused, because its event belongs into its source's quarantine and the share of its reason was full.
    QuarantineFull,
    /// The oldest record of a share of a source's quarantine was removed, because the share had as many as it may have.
    QuarantineRecords,
    /// A connection was closed, because its peer had [`Limits::silent_connections_per_peer`].
    SilentConnectionsPerPeer,
    /// A reader did not read within [`Limits::stall`].
    Stall,
    /// A write was refused, because the embedded store's tree was as far behind its journal as it may be.
    StoreJournal,
    /// A stream was cut, because its client sent too many bytes after its request.
    StrayBytes,
    /// A write was refused, because the store's queue was full.
    StoreQueue,
    /// A stream or long poll was refused, because [`Limits::streams`] were open.
    Streams,
    /// A stream or long poll was refused, because its payment had [`Limits::streams_per_payment`].
    StreamsPerPayment,
    /// A stream or long poll was refused, because its peer had [`Limits::streams_per_peer`].
    StreamsPerPeer,
    /// A stream of all payments was refused, because its realm had [`Limits::streams_per_realm`].
    StreamsPerRealm,
    /// A stream or long poll was refused, because its token had [`Limits::streams_per_token`].
    StreamsPerToken,
    /// An event that names only a part of a payment was quarantined, because as many wait as may.
    WaitingEvents,
}

/// The limits that can be set. [`Default`] gives those that apply if `[limits]` does not say otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest webhook body, in bytes. Standard Webhooks asks for 20 kB; orders with many lines reach hundreds of kilobytes.
    pub body_bytes: usize,
    /// The most bytes of webhook bodies in memory at once; beyond that, webhooks get 503, those of the peers that hold the most
    /// first. Read once, at start.
    pub buffered_bytes: usize,
    /// The deepest nesting of a webhook's JSON.
    pub json_depth: usize,
    /// The longest request head, in bytes: request line and headers together.
    pub head_bytes: usize,
    /// The most headers of a request.
    pub headers: usize,
    /// How long the first head of a connection may take to arrive, from the moment the connection is accepted.
    pub first_head_timeout: Duration,
    /// How long a request's head may take to arrive; also how long an idle connection is kept. It is longer than balancers keep theirs
    /// (60 s on nginx and AWS); otherwise they send a request into a connection that is closing, and answer 502.
    pub head_timeout: Duration,
    /// How long a webhook's body may take to arrive.
    pub body_timeout: Duration,
    /// The most open connections of one listener; beyond that, new ones wait in the kernel's backlog. Read once, at start.
    pub connections: usize,
    /// The most open connections of one peer; beyond that, new ones are closed.
    pub connections_per_peer: usize,
    /// The most connections of one peer that have not sent a whole head yet; beyond that, new ones are closed.
    pub silent_connections_per_peer: usize,
    /// The most connections that the kernel holds until they are accepted, so that a burst loses no SYN. Read once, at start.
    pub backlog: u32,
    /// The most webhooks in work at once; beyond that, webhooks get 503. Read once, at start.
    pub deliveries: usize,
    /// The most payments on one stream. Eight joined cursors fit into the 128 bytes that a browser sends without a preflight request.
    pub payments_per_stream: usize,
    /// The most open streams and long polls; beyond that, a stream is refused in the way that an `EventSource` survives, and
    /// a long poll gets 503.
    pub streams: usize,
    /// The most streams and long polls of one peer; beyond that, they are refused in the same way, as with the next two limits.
    pub streams_per_peer: usize,
    /// The most streams and long polls that one token opens.
    pub streams_per_token: usize,
    /// The most streams and long polls that watch one payment.
    pub streams_per_payment: usize,
    /// The most streams of all payments of one realm.
    pub streams_per_realm: usize,
    /// The most logs that are read at once for streams that open. Read once, at start.
    pub log_reads: usize,
    /// How long written bytes may wait for a reader that takes none. A reader that takes them later gets the closing reason `stalled`;
    /// one that takes none for twice as long is cut off. Over HTTP/2, an answer that is no stream is reset after this time already.
    pub stall: Duration,
    /// How many clients this node can take back per second. The `retry:` times of a drain are spread by it.
    pub accepts_per_second: usize,
    /// The most failed signatures of one source per second; beyond that, those that fail get 429.
    pub failed_signatures_per_second: u32,
    /// The most failed signatures of one source and peer per second; beyond that, those that fail get 429.
    pub failed_signatures_per_peer: u32,
    /// The longest wait of a long poll.
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
            first_head_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(10),
            connections: 100_000,
            connections_per_peer: 4096,
            silent_connections_per_peer: 128,
            backlog: 16_384,
            deliveries: 4096,
            payments_per_stream: 8,
            streams: 100_000,
            streams_per_peer: 2_000,
            streams_per_token: 1_000,
            streams_per_payment: 20_000,
            streams_per_realm: 100,
            log_reads: 64,
            stall: Duration::from_secs(30),
            accepts_per_second: 2_000,
            failed_signatures_per_second: 100,
            failed_signatures_per_peer: 20,
            wait: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_manual_names_exactly_the_limits_whose_hits_are_counted() {
        let manual = include_str!("config/default.toml");
        let (before, _) = manual.split_once("\n[limits]").unwrap();
        let (_, comment) = before.rsplit_once("paystream_limit_hits_total").unwrap();
        // The comment names each limit once, in plain words otherwise: what has an underscore, or is a counted word, is a name.
        let words = comment.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        let all: BTreeSet<&str> = LimitHit::VARIANTS.iter().map(Into::into).collect();
        let named: BTreeSet<&str> = words.filter(|word| word.contains('_') || all.contains(word)).collect();
        assert_eq!(named, all);
    }
}
