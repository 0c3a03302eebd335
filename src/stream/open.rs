//! Opening a stream: what a request asks for, and the answer to it.

use super::{
    begun::{Begun, Detachable},
    census::{Holders, Seat, SeatKind},
    content::Content as _,
    drive::{Drive, Stands, Terms},
    lane::Lane,
    noting::Opening,
    reason::Refusal,
    session::Session,
    sink::Body,
    streams::{STORE_PATIENCE, Streams},
    wire,
};
use crate::{
    hub::{Bell, History, Topic, Watch},
    limits::LimitHit,
    payment::{Cursor, Subject, Time},
};
use bytes::BytesMut;
use std::{fmt::Display, sync::Arc};

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
    /// The `sub` of the token, for operators.
    pub subject: Option<Arc<str>>,
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
        let node = &self.node;
        // Taken before the drain is looked at, so that none which begins now overlooks this stream.
        let seat = self.seat(SeatKind::Stream, open.holders, open.has_room);
        if node.shutdown.is_draining() {
            return self.refuse(Refusal::Drain, &open);
        }
        let Ok(mut seat) = seat else { return self.refuse(Refusal::Overload, &open) };
        seat.name(open.subject.as_ref());
        let bell = Arc::new(Bell::default());
        let watches: Vec<_> =
            open.subjects.iter().map(|subject| node.hub.join(subject, Arc::clone(&bell))).collect();
        let lanes = lanes(&open, &watches);
        if !self.may_follow(lanes.iter().map(Lane::topic)) {
            return self.refuse(Refusal::Overload, &open);
        }
        let reads = futures_util::future::try_join_all(watches.iter().map(Watch::history));
        let Ok(Ok(histories)) = tokio::time::timeout(STORE_PATIENCE, reads).await else {
            return self.refuse(Refusal::Store, &open);
        };
        let Open { cursor, heartbeat_events, until_finished, expires_at, stands, .. } = open;
        let openings = if seat.receipts().is_some() { openings(&lanes, &histories) } else { Vec::new() };
        let at = node.moment();
        let session = Session::new(lanes);
        if until_finished && cursor.is_some() && session.is_over(&at.settings, at.wall) {
            return Opened::Finished;
        }
        seat.note_opening(&openings, cursor.is_some());
        let terms = Terms { until_finished, heartbeat_events, expires_at, stands };
        let mut out = BytesMut::new();
        let drive = Drive::begin(seat, session, terms, &histories, &at, &mut out);
        let reactors = self.reactors.get().cloned();
        let begun = Begun { node: Arc::clone(node), drive, bell, watches, out, reactors };
        Opened::Stream(Body::stream(Detachable::new(begun)))
    }

    /// Takes a seat for a stream or a long poll, or counts the limit that does not allow it.
    pub(super) fn seat(&self, kind: SeatKind, holders: Holders, has_room: bool) -> Result<Seat, LimitHit> {
        let room = if has_room { Ok(()) } else { Err(LimitHit::OpenFiles) };
        let seat = room.and_then(|()| Seat::take(&self.node.census, kind, holders, &self.node.limits.get()));
        seat.inspect_err(|hit| self.node.metrics.limit_hits.count(*hit))
    }

    /// Whether none of these payments has too many followers, the new one included.
    pub(super) fn may_follow<'a>(&self, mut topics: impl Iterator<Item = &'a Arc<Topic>>) -> bool {
        let most = self.node.limits.get().streams_per_payment;
        let may = topics.all(|topic| topic.followers() <= most);
        if !may {
            self.node.metrics.limit_hits.count(LimitHit::StreamsPerPayment);
        }
        may
    }

    fn refuse(&self, why: Refusal, open: &Open) -> Opened {
        let count = open.subjects.len();
        // The client keeps the cursor that it has.
        let sent = open.cursor.as_deref().map(|text| wire::split_cursors(text, count)).unwrap_or_default();
        let cursors = (0..count).map(|lane| sent.get(lane).copied().flatten().unwrap_or(Cursor::START));
        Opened::Stream(self.refusal(why, &wire::Joined(cursors)))
    }

    /// The body of a refusal, counted. Its id is that which the client has.
    pub(super) fn refusal(&self, why: Refusal, id: &impl Display) -> Body {
        self.node.metrics.refusals.count(why.counted());
        let mut out = BytesMut::new();
        wire::closing(&mut out, id, why.closing(), self.node.moment().draw_retry_ms());
        Body::refusal(out)
    }
}

/// The payments of a stream that opens, as they are noted.
fn openings(lanes: &[Lane], histories: &[Arc<History>]) -> Vec<Opening> {
    let opening = |(lane, history): (&Lane, &Arc<History>)| Opening {
        subject: Subject::payment(lane.topic().subject().realm.clone(), history.payment.clone()),
        followers: lane.topic().followers(),
        // A client may say anything.
        seq: lane.cursor().seq.min(history.head.seq),
    };
    lanes.iter().zip(histories).map(opening).collect()
}

/// The lanes of a stream, each of which begins where the client left off.
fn lanes(open: &Open, watches: &[Watch]) -> Vec<Lane> {
    let count = watches.len();
    let sent = match &open.cursor {
        None => vec![None; count],
        Some(text) => wire::split_cursors(text, count).into_iter().map(Some).collect(),
    };
    watches.iter().zip(sent).map(|(watch, sent)| Lane::new(Arc::clone(watch.topic()), sent)).collect()
}
