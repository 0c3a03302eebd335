//! The census: how many streams and long polls are open on this node, how many of them each peer and each token has, and how many
//! clients to expect back after a drain.

use super::reason::Closing;
use crate::{
    limits::{LimitHit, Limits},
    metrics::{CloseReason, Metrics},
    receipts::Receipts,
    tally::{Holder, Tally},
};
use dashmap::{DashMap, Entry};
use prometheus_client::metrics::gauge::Gauge;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Counts the open streams and long polls of a node. Shared by all of them.
pub(super) struct Census {
    metrics: Arc<Metrics>,
    open: AtomicUsize,
    by_peer: Tally,
    by_token: Tally,
    /// The `sub` of each token that has one and a seat, and how many seats it has. By token and not by stream, so that a stream takes no
    /// memory for it.
    subjects: DashMap<Holder, (Arc<str>, usize)>,
    /// How many were open when the drain began: their clients will all reconnect, here or elsewhere.
    leaving: AtomicUsize,
    /// Notified when the last one has ended.
    empty: Notify,
    /// Where it is noted what streams are told, if receipts are kept.
    receipts: OnceLock<Receipts>,
}

/// Whom a stream or a long poll is counted for. What is `None` is not limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holders {
    /// The peer that asks.
    pub peer: Option<Holder>,
    /// The token that it asks with.
    pub token: Option<Holder>,
}

/// What takes a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SeatKind {
    Stream,
    LongPoll,
}

/// The place of one open stream or long poll in the census; dropping it counts the stream as ended. A request takes its seat
/// before anything is awaited, so that neither a limit nor a drain overlooks a stream that is about to open.
pub(super) struct Seat {
    census: Arc<Census>,
    holders: Holders,
    kind: SeatKind,
    /// Whether its token's `sub` is known.
    is_named: bool,
    /// Whether it is noted what the stream is told.
    pub(super) is_noted: bool,
    /// Whether the stream began. What ends before that is counted as a refusal, not as a close.
    pub(super) began: bool,
    /// Why the server closed the stream, once it has.
    pub(super) closed: Option<Closing>,
}

impl Census {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let (open, leaving, empty) = (AtomicUsize::new(0), AtomicUsize::new(0), Notify::new());
        let (by_peer, by_token, subjects, receipts) = Default::default();
        Arc::new(Self { metrics, open, by_peer, by_token, subjects, leaving, empty, receipts })
    }

    /// Has it noted what streams are told. A second call changes nothing.
    pub(super) fn keep_receipts(&self, receipts: Receipts) {
        let _ = self.receipts.set(receipts);
    }

    /// Where it is noted, if it is.
    pub(super) fn receipts(&self) -> Option<&Receipts> {
        self.receipts.get()
    }

    /// The number of seats taken.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Remembers how many streams a drain is going to close.
    pub(super) fn begin_drain(&self) {
        self.leaving.store(self.open(), Ordering::Release);
    }

    /// How many clients would come back if every stream ended now: those of the open streams or, during a drain, all that
    /// were there when it began.
    pub(super) fn returning(&self) -> usize {
        self.open.load(Ordering::Relaxed).max(self.leaving.load(Ordering::Relaxed))
    }

    fn gauge(&self, kind: SeatKind) -> &Gauge {
        match kind {
            SeatKind::Stream => &self.metrics.streams_open,
            SeatKind::LongPoll => &self.metrics.long_polls_open,
        }
    }

    /// Returns once no seat is taken.
    pub(super) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            if self.open() == 0 {
                return;
            }
            empty.await;
        }
    }
}

impl Seat {
    /// Takes a seat within the limits, or returns the one that does not allow it.
    pub(super) fn take(
        census: &Arc<Census>,
        kind: SeatKind,
        holders: Holders,
        limits: &Limits,
    ) -> Result<Self, LimitHit> {
        let Limits { streams, streams_per_peer, streams_per_token, .. } = *limits;
        if !census.by_peer.take(holders.peer, 1, streams_per_peer) {
            return Err(LimitHit::StreamsPerPeer);
        }
        if !census.by_token.take(holders.token, 1, streams_per_token) {
            census.by_peer.give_back(holders.peer, 1);
            return Err(LimitHit::StreamsPerToken);
        }
        let taken = census.open.fetch_add(1, Ordering::AcqRel);
        census.gauge(kind).inc();
        // Made before the check, so that its drop takes everything back.
        let seat = Self {
            census: Arc::clone(census),
            holders,
            kind,
            is_named: false,
            is_noted: false,
            began: false,
            closed: None,
        };
        if taken < streams { Ok(seat) } else { Err(LimitHit::Streams) }
    }

    /// Tells the `sub` of the token, if it has one.
    pub(super) fn name(&mut self, subject: Option<&Arc<str>>) {
        if let (Some(token), Some(subject), false) = (self.holders.token, subject, self.is_named) {
            self.census.subjects.entry(token).or_insert_with(|| (Arc::clone(subject), 0)).1 += 1;
            self.is_named = true;
        }
    }

    /// The `sub` of the token.
    pub(super) fn subject(&self) -> Option<Arc<str>> {
        let token = self.holders.token.filter(|_| self.is_named)?;
        self.census.subjects.get(&token).map(|subject| Arc::clone(&subject.0))
    }

    /// Where it is noted what streams are told, if it is.
    pub(super) fn receipts(&self) -> Option<&Receipts> {
        self.census.receipts()
    }

    /// Whom the stream is counted for.
    pub(super) const fn holders(&self) -> Holders {
        self.holders
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { census, holders, kind, is_named, began, closed, .. } = self;
        if *is_named
            && let Some(Entry::Occupied(mut entry)) = holders.token.map(|token| census.subjects.entry(token))
        {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                entry.remove();
            }
        }
        if *began {
            census.metrics.closes.count(closed.map_or(CloseReason::Gone, Closing::counted));
        }
        census.by_peer.give_back(holders.peer, 1);
        census.by_token.give_back(holders.token, 1);
        census.gauge(*kind).dec();
        if census.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            census.empty.notify_waiters();
        }
    }
}
