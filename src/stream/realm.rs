//! Streams of all payments of a realm: first the newest page, then each payment's newest view after every change.
//!
//! Its state is a place in the order of changes and a time, so a slow reader gets fewer and newer states and has no queue. These streams are
//! few, so they stay in HTTP, on both of its versions.

use super::{
    census::{Holders, SeatKind},
    content::{CHUNK, Content},
    drive::{Drive, Stands, Terms},
    moment::Moment,
    node::Node,
    reason::{Closing, Refusal},
    sink::Body,
    streams::{STORE_PATIENCE, Streams},
    wire,
};
use crate::{
    hub::{Beginning, Bell, Filter, Following, Page, PagePlace, Restart},
    limits::LimitHit,
    metrics::ResumeKind,
    payment::{Name, Time},
};
use bytes::{Bytes, BytesMut};
use serde_json::json;
use std::sync::Arc;

/// A request for a stream of all payments that was authorised.
pub struct OpenRealm {
    /// The realm.
    pub realm: Name,
    /// Which of its payments the client wants to see.
    pub filter: Filter,
    /// The most payments of the page with which the stream begins.
    pub page: usize,
    /// Whom the stream is counted for.
    pub holders: Holders,
    /// Whether the node has room for another connection that stays open.
    pub has_room: bool,
    /// What the client sent as its last event id.
    pub cursor: Option<String>,
    /// `heartbeat=event`: heartbeats are events that a script can see.
    pub heartbeat_events: bool,
    /// When the token expires, leeway included.
    pub expires_at: Option<Time>,
    /// Whether the key that signed the token is still accepted.
    pub stands: Option<Stands>,
}

/// A stream of all payments before a sink drives it.
pub(super) struct RealmStream {
    pub(super) node: Arc<Node>,
    pub(super) drive: Drive<RealmSession>,
    pub(super) bell: Arc<Bell>,
}

/// What a stream of all payments writes.
pub(super) struct RealmSession {
    following: Following,
    /// Whether heartbeats are events that a script can see.
    heartbeat_events: bool,
    /// The reader is too far behind to be told what has left.
    is_too_far_behind: bool,
}

impl Streams {
    /// Opens a stream of all payments. A transient failure is answered with a stream too, as by [`Streams::open`].
    pub async fn open_realm(self: &Arc<Self>, open: OpenRealm) -> Body {
        let node = &self.node;
        // The client keeps the cursor that it has, if it has one.
        let sent = open.cursor.as_deref().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let sent = sent.unwrap_or("0").to_owned();
        let seat = self.seat(SeatKind::Stream, open.holders, open.has_room);
        if node.shutdown.is_draining() {
            return self.refusal(Refusal::Drain, &sent);
        }
        let Ok(seat) = seat else { return self.refusal(Refusal::Overload, &sent) };
        let overview = node.hub.overview(&open.realm);
        if overview.readers() >= node.limits.get().streams_per_realm {
            node.metrics.limit_hits.count(LimitHit::StreamsPerRealm);
            return self.refusal(Refusal::Overload, &sent);
        }
        let OpenRealm { filter, page, cursor, heartbeat_events, expires_at, stands, .. } = open;
        let bell = Arc::new(Bell::default());
        let follow = overview.follow(Arc::clone(&bell), filter, cursor.as_deref(), page);
        let Ok(Ok((following, beginning))) = tokio::time::timeout(STORE_PATIENCE, follow).await else {
            return self.refusal(Refusal::Store, &sent);
        };
        let at = node.moment();
        let mut session = RealmSession { following, heartbeat_events, is_too_far_behind: false };
        let mut out = BytesMut::new();
        session.begin(&beginning, &at, &mut out);
        let terms = Terms { until_finished: false, expires_at, stands };
        let drive = Drive::of(seat, session, terms, &at);
        Body::realm(RealmStream { node: Arc::clone(node), drive, bell }, out)
    }

    /// Reads a page of all payments as a JSON object; nothing if the store does not answer in time.
    pub async fn realm_page(
        &self,
        realm: &Name,
        filter: &Filter,
        before: Option<&PagePlace>,
        limit: usize,
    ) -> Option<Bytes> {
        let overview = self.node.hub.overview(realm);
        let page = tokio::time::timeout(STORE_PATIENCE, overview.page(filter, before, limit)).await;
        let Page { payments, next, complete_since } = page.ok()?.ok()?;
        let mut out = BytesMut::from(r#"{"payments":"#);
        wire::list(&mut out, &payments);
        let next = next.map(|next| next.to_string());
        let rest = format!(r#","next":{},"complete_since":{}}}"#, json!(next), json!(complete_since));
        out.extend_from_slice(rest.as_bytes());
        Some(out.freeze())
    }
}

impl RealmSession {
    /// Writes `retry:`, and then the page or what the client missed.
    fn begin(&mut self, beginning: &Beginning, at: &Moment<'_>, out: &mut BytesMut) {
        wire::retry(out, at.draw_retry_ms());
        let resumes = &at.metrics.resumes;
        match beginning {
            Beginning::Page(page, restart) => {
                let restart = restart.map(counted);
                resumes.count(restart.unwrap_or(ResumeKind::Fresh));
                wire::page(out, &self.following.cursor(), page, restart.map(ResumeKind::word));
            }
            Beginning::Resumed => {
                let before = out.len();
                self.pull(at, out);
                let has_missed = out.len() > before;
                resumes.count(if has_missed { ResumeKind::Exact } else { ResumeKind::Ready });
                if !has_missed {
                    let complete_since = self.following.complete_since();
                    wire::nothing_missed(out, &self.following.cursor(), complete_since);
                }
            }
        }
    }
}

/// The reason to begin anew as metrics count it.
const fn counted(restart: Restart) -> ResumeKind {
    match restart {
        Restart::UnknownCursor => ResumeKind::UnknownCursor,
        Restart::Evicted => ResumeKind::Evicted,
        Restart::Erased => ResumeKind::Erased,
    }
}

impl Content for RealmSession {
    fn pull(&mut self, _at: &Moment<'_>, out: &mut BytesMut) -> Option<usize> {
        match self.following.pull(CHUNK) {
            Ok(Some(changes)) => wire::changes(out, &self.following.cursor(), &changes),
            Ok(None) => {}
            Err(_) => self.is_too_far_behind = true,
        }
        None
    }

    fn stale(&self, is_stale: bool, out: &mut BytesMut) {
        wire::stale(out, &self.following.cursor(), is_stale);
    }

    fn heartbeat(&self, out: &mut BytesMut) {
        if self.heartbeat_events {
            wire::bare_heartbeat(out, &self.following.cursor());
        } else {
            wire::comment_heartbeat(out);
        }
    }

    fn close(&self, why: Closing, at: &Moment<'_>, out: &mut BytesMut) {
        wire::closing(out, &self.following.cursor(), why, at.draw_retry_ms());
    }

    fn must_end(&self) -> Option<Closing> {
        self.is_too_far_behind.then_some(Closing::Stalled)
    }
}
