//! Opening a stream: what a request asks for, and the answer to it.

use super::{
    census::{Holders, Seat, SeatKind},
    drive::{Drive, Stands, Terms},
    lane::Lane,
    reason::Refusal,
    session::Session,
    sink::Body,
    streams::{STORE_PATIENCE, Streams},
    wire,
};
use crate::{
    hub::{Bell, Watch},
    limits::LimitHit,
    payment::{Cursor, Subject, Time},
};
use bytes::BytesMut;
use std::sync::Arc;

/// A request for a stream that was authorised.
pub struct Open {
    /// The payments, in the order of the request. At least one.
    pub subjects: Vec<Subject>,
    /// Whom the stream is counted for.
    pub holders: Holders,
    /// Whether the node has room for another connection that stays open.
    pub has_room: bool,
    /// What the client sent as its last event id.
    pub cursor: Option<String>,
    /// `heartbeat=event`: heartbeats are events that a script can see.
    pub heartbeat_events: bool,
    /// `until=finished`: the stream ends when all of its payments are finished.
    pub until_finished: bool,
    /// When the token expires, leeway included.
    pub expires_at: Option<Time>,
    /// Whether the key that signed the token is still accepted.
    pub stands: Option<Stands>,
}

/// The answer to a request for a stream.
pub enum Opened {
    /// 200 with this body: a stream, or a refusal that an `EventSource` survives.
    Stream(Body),
    /// 204: the client has seen all there is of payments that are finished, and asked not to stay beyond that.
    Finished,
}

impl Streams {
    /// Opens a stream. A transient failure is answered with a stream too, a closing and an unclean end, since an `EventSource`
    /// never reconnects after a status other than 200.
    pub async fn open(self: &Arc<Self>, open: Open) -> Opened {
        // Taken before the drain is looked at, so that none which begins now overlooks this stream.
        let seat = self.seat(SeatKind::Stream, open.holders, open.has_room);
        if self.shutdown.is_draining() {
            return self.refuse(Refusal::Drain, &open);
        }
        let Ok(seat) = seat else { return self.refuse(Refusal::Overload, &open) };
        let bell = Arc::new(Bell::default());
        let lanes = self.lanes(&open, &bell);
        if !self.may_watch(lanes.iter().map(Lane::watch)) {
            return self.refuse(Refusal::Overload, &open);
        }
        let reads = futures_util::future::try_join_all(lanes.iter().map(|lane| lane.watch().history()));
        let Ok(Ok(histories)) = tokio::time::timeout(STORE_PATIENCE, reads).await else {
            return self.refuse(Refusal::Store, &open);
        };
        let Open { cursor, heartbeat_events, until_finished, expires_at, stands, .. } = open;
        let at = self.moment();
        let session = Session::new(lanes, heartbeat_events);
        if until_finished && cursor.is_some() && session.is_over(&at.settings, at.wall) {
            return Opened::Finished;
        }
        let terms = Terms { until_finished, expires_at, stands };
        let mut out = BytesMut::new();
        let drive = Drive::begin(seat, session, terms, &histories, &at, &mut out);
        Opened::Stream(Body::stream(Arc::clone(self), drive, bell, out))
    }

    /// Takes a seat for a stream or a long poll, or counts the limit that does not allow it.
    pub(super) fn seat(&self, kind: SeatKind, holders: Holders, has_room: bool) -> Result<Seat, LimitHit> {
        let room = if has_room { Ok(()) } else { Err(LimitHit::OpenFiles) };
        let seat = room.and_then(|()| Seat::take(&self.census, kind, holders, &self.limits.get()));
        seat.inspect_err(|hit| self.metrics.limit_hits.count(*hit))
    }

    /// Whether none of these payments has too many watchers, the new one included.
    pub(super) fn may_watch<'a>(&self, mut watches: impl Iterator<Item = &'a Watch>) -> bool {
        let most = self.limits.get().streams_per_payment;
        let may = watches.all(|watch| watch.watchers() <= most);
        if !may {
            self.metrics.limit_hits.count(LimitHit::StreamsPerPayment);
        }
        may
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

    fn refuse(&self, why: Refusal, open: &Open) -> Opened {
        self.metrics.refusals.count(why.counted());
        let count = open.subjects.len();
        // The client keeps the cursor that it has.
        let sent = open.cursor.as_deref().map(|text| wire::split_cursors(text, count)).unwrap_or_default();
        let cursors = (0..count).map(|lane| sent.get(lane).copied().flatten().unwrap_or(Cursor::START));
        let mut out = BytesMut::new();
        wire::closing(&mut out, &wire::Joined(cursors), why.closing(), self.moment().draw_retry_ms());
        Opened::Stream(Body::refusal(out))
    }
}
