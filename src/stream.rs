//! Streams: what a browser reads. Snapshots, updates, resumption, heartbeats, and the several ways to end.
//!
//! A stream pulls from its topics by its cursor; there is no queue per stream. This room knows the hub and the payment
//! model; it must not know who posted an event, nor what a token looks like: it is handed what was granted.

mod session;
mod sink;
mod snapshot;
mod wire;

pub use sink::{Body, Cut};
pub use snapshot::Snapshot;
pub use wire::Closing;

use crate::{
    hub::{Bell, History, Hub, Watch},
    limits::{LimitHit, Limits},
    live::Live,
    metrics::{CloseReason, Metrics, RefusalReason},
    payment::{Cursor, Subject, Time},
    shutdown::Shutdown,
};
use bytes::BytesMut;
use session::{Lane, Options, Session};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::MissedTickBehavior};

/// How long a request waits for the store before it is refused.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// How streams behave: `[stream]` of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Silence after which a heartbeat is sent, at the latest.
    pub heartbeat: Duration,
    /// How long a stream lives at the most; each one's end is drawn from the last fifth of it.
    pub max_age: Duration,
    /// How long a finished payment must be silent before a stream that asked for it ends.
    pub linger: Duration,
    /// The window of a drain.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            max_age: Duration::from_secs(30 * 60),
            linger: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(20),
        }
    }
}

/// Whether the grant of a stream still stands, e.g. after keys were reloaded.
pub type Stands = Box<dyn Fn() -> bool + Send + Sync>;

/// A request for a stream, already authorised.
pub struct Open {
    /// The payments, in the order of the request. At least one.
    pub subjects: Vec<Subject>,
    /// What the client sent as its last event id.
    pub cursor: Option<String>,
    /// `heartbeat=event`.
    pub heartbeat_events: bool,
    /// `until=finished`.
    pub until_finished: bool,
    /// When the token expires, leeway included.
    pub expires_at: Option<Time>,
    /// Whether the grant still stands.
    pub stands: Option<Stands>,
}

/// The answer to a request for a stream.
pub enum Opened {
    /// 200 with this body: a stream, or a refusal that an `EventSource` survives.
    Stream(Body),
    /// 204: the client has seen all there is, and asked to be told.
    Finished,
}

/// All streams of this node.
pub struct Streams {
    hub: Arc<Hub>,
    settings: Live<Settings>,
    limits: Live<Limits>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    open: AtomicUsize,
    /// How many streams were open when the drain began: those are the clients to be expected back.
    leaving: AtomicUsize,
    /// Told when the last stream has gone.
    empty: Notify,
}

/// The place of one open stream. Taken before anything is awaited, so that neither the limit nor a drain overlooks a stream
/// that is about to open.
struct Place {
    streams: Arc<Streams>,
    /// Whether the stream began; what is refused before that is counted as a refusal.
    began: bool,
    /// Why the server closed it, once it has.
    closed: Option<Closing>,
}

impl Place {
    fn take(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::AcqRel);
        streams.metrics.streams_open.inc();
        Self { streams: Arc::clone(streams), began: false, closed: None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self { streams, began, closed } = self;
        if *began {
            streams.metrics.closes.count(closed.map_or(CloseReason::Gone, Closing::counted));
        }
        streams.metrics.streams_open.dec();
        if streams.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            streams.empty.notify_waiters();
        }
    }
}

impl Streams {
    /// No stream yet. [`Streams::run`] has to run beside them.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        settings: Live<Settings>,
        limits: Live<Limits>,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let (open, leaving, empty) = (AtomicUsize::new(0), AtomicUsize::new(0), Notify::new());
        Arc::new(Self { hub, settings, limits, metrics, shutdown, open, leaving, empty })
    }

    /// Keeps the account of stream time, and wakes the streams when a drain begins. Ends when everything stops.
    pub async fn run(&self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            tokio::select! {
                () = self.shutdown.stopped() => return,
                () = self.shutdown.draining(), if !told => {
                    told = true;
                    self.leaving.store(self.open.load(Ordering::Acquire), Ordering::Release);
                    self.hub.ring_all();
                }
                _ = tick.tick() => {
                    let open = self.open.load(Ordering::Relaxed) as u64;
                    self.metrics.stream_time(open, 1000, self.hub.is_stale());
                }
            }
        }
    }

    /// Wakes every stream so that it looks at its grant and the settings again.
    pub fn review(&self) {
        self.hub.ring_all();
    }

    /// Returns once no stream is open.
    pub async fn drained(&self) {
        loop {
            let empty = self.empty.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Opens a stream. What would be a transient failure is a stream too: a few words and an unclean end, since an
    /// `EventSource` dies for good on any status but 200.
    pub async fn open(self: &Arc<Self>, open: Open) -> Opened {
        let place = Place::take(self);
        if self.shutdown.is_draining() {
            return self.refuse(RefusalReason::Drain, Closing::Drain, &open);
        }
        if self.open.load(Ordering::Acquire) > self.limits.get().streams {
            self.metrics.limit_hits.count(LimitHit::Streams);
            return self.refuse(RefusalReason::Overload, Closing::Overload, &open);
        }
        let bell = Arc::new(Bell::default());
        let lanes = self.lanes(&open, &bell);
        let reads = futures_util::future::try_join_all(lanes.iter().map(|lane| lane.watch().history()));
        let Ok(Ok(histories)) = tokio::time::timeout(STORE_PATIENCE, reads).await else {
            return self.refuse(RefusalReason::Store, Closing::Overload, &open);
        };
        let now = crate::clock::now();
        let settings = self.settings.get();
        let is_over = |lane: &Lane| open.cursor.is_some() && lane.is_over(&settings, now);
        if open.until_finished && lanes.iter().all(is_over) {
            return Opened::Finished;
        }
        Opened::Stream(begin(place, open, lanes, bell, &histories))
    }

    fn lanes(self: &Arc<Self>, open: &Open, bell: &Arc<Bell>) -> Vec<Lane> {
        let count = open.subjects.len();
        let sent = match &open.cursor {
            None => vec![None; count],
            Some(text) => wire::split_cursors(text, count).into_iter().map(Some).collect(),
        };
        let join = |subject| -> Watch { self.hub.join(subject, Arc::clone(bell)) };
        open.subjects.iter().zip(sent).map(|(subject, sent)| Lane::new(join(subject), sent)).collect()
    }

    fn refuse(&self, reason: RefusalReason, why: Closing, open: &Open) -> Opened {
        self.metrics.refusals.count(reason);
        let count = open.subjects.len();
        // The client keeps the cursor that it had.
        let sent = open.cursor.as_deref().map(|text| wire::split_cursors(text, count)).unwrap_or_default();
        let cursors = (0..count).map(|lane| sent.get(lane).copied().flatten().unwrap_or(Cursor::START));
        let mut out = BytesMut::new();
        wire::closing(&mut out, &wire::Joined(cursors), why, self.retry_ms());
        Opened::Stream(Body::words(out))
    }

    /// After how many milliseconds a client may come back: uniform in [W, 2W], with W as long as it takes to accept all
    /// that are here now, or were when the drain began, and a second at least.
    fn retry_ms(&self) -> u64 {
        let open = self.open.load(Ordering::Relaxed).max(self.leaving.load(Ordering::Relaxed));
        let all_ms = open.saturating_mul(1000) / self.limits.get().accepts_per_second.max(1);
        let least = u64::try_from(all_ms).unwrap_or(u64::MAX / 2).max(1000);
        rand::random_range(least..=2 * least)
    }
}

fn begin(place: Place, open: Open, lanes: Vec<Lane>, bell: Arc<Bell>, histories: &[Arc<History>]) -> Body {
    let Open { heartbeat_events, until_finished, expires_at, stands, .. } = open;
    let options = Options { heartbeat_events, until_finished, stands };
    let mut session = Session::new(place, lanes, bell, options, expires_at);
    let mut out = BytesMut::new();
    session.begin(histories, &mut out);
    Body::session(session, out)
}

#[cfg(test)]
mod tests;
