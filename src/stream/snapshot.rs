//! A payment as JSON for clients that cannot stream: one request, one answer, with an `ETag` and a long poll.

use super::{
    census::{Holders, SeatKind},
    reason::Reset,
    streams::{STORE_PATIENCE, Streams},
    wire,
};
use crate::{
    hub::{Bell, Follower},
    metrics::RefusalReason,
    payment::{FOLD_VERSION, Subject},
};
use bytes::{Bytes, BytesMut};
use headers::IfNoneMatch;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// The answer to a request for a snapshot.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// 200: the payment's present state.
    Fresh {
        /// `"<cursor>.<fold version>"`, quotes included.
        etag: String,
        /// The JSON object, as a stream's snapshot event holds it.
        body: Bytes,
    },
    /// 304: the client has the present state already.
    NotModified {
        /// As in [`Snapshot::Fresh`].
        etag: String,
    },
    /// 503: the store does not answer.
    Unavailable,
    /// 503: too many streams and long polls are open, in all, of the peer, of the token or of the payment.
    Overload,
}

/// A long poll that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LongPoll {
    /// How long it waits at most.
    pub wait: Duration,
    /// Whom it is counted for.
    pub holders: Holders,
    /// Whether the node has room for another connection that stays open.
    pub has_room: bool,
}

impl Streams {
    /// Reads a payment. If the client has its present state already (`If-None-Match`), a long poll waits for news. Meanwhile it
    /// counts as a stream.
    pub async fn snapshot(
        &self,
        subject: &Subject,
        if_none_match: Option<&IfNoneMatch>,
        poll: Option<LongPoll>,
    ) -> Snapshot {
        let seat = poll.map(|poll| self.seat(SeatKind::LongPoll, poll.holders, poll.has_room)).transpose();
        let bell = Arc::new(Bell::default());
        let watch = self.node.hub.join(subject, Arc::clone(&bell));
        let follower = poll.map(|_| Follower::new(Arc::clone(watch.topic())));
        if seat.is_err() || !self.may_follow(follower.iter().map(Follower::topic)) {
            self.node.metrics.refusals.count(RefusalReason::Overload);
            return Snapshot::Overload;
        }
        let deadline = poll.map(|poll| Instant::now() + poll.wait.min(self.node.limits.get().wait));
        loop {
            let Ok(Ok(history)) = timeout(STORE_PATIENCE, watch.history()).await else {
                self.node.metrics.refusals.count(RefusalReason::Store);
                return Snapshot::Unavailable;
            };
            let etag = format!("\"{}.{FOLD_VERSION}\"", history.head);
            // A cursor has no character that a tag cannot hold.
            let is_news =
                |known: &IfNoneMatch| etag.parse().is_ok_and(|etag| known.precondition_passes(&etag));
            if if_none_match.is_none_or(is_news) {
                let mut body = BytesMut::from(&*history.snapshot);
                let asked = history.asked.as_ref();
                body.extend_from_slice(wire::snapshot_end(asked, asked.map(|_| Reset::Label)).as_bytes());
                return Snapshot::Fresh { etag, body: body.freeze() };
            }
            let Some(deadline) = deadline.filter(|at| *at > Instant::now()) else {
                return Snapshot::NotModified { etag };
            };
            tokio::select! {
                () = bell.rung() => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = self.node.shutdown.draining() => return Snapshot::NotModified { etag },
            }
        }
    }
}
