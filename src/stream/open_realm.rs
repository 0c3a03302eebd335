//! Opening a stream of all payments, and reading a page of them.

use super::{
    census::{Holders, SeatKind},
    drive::{Drive, Stands, Terms},
    inspect::StreamId,
    realm::{RealmSession, RealmStream},
    reason::Refusal,
    sink::Body,
    streams::{STORE_PATIENCE, Streams},
    wire,
};
use crate::{
    hub::{Bell, Filter, Page, PagePlace},
    limits::LimitHit,
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
    /// The `sub` of the token, for operators.
    pub subject: Option<Arc<str>>,
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
        let Ok(mut seat) = seat else { return self.refusal(Refusal::Overload, &sent) };
        seat.name(open.subject.as_ref());
        let overview = node.hub.overview(&open.realm);
        if overview.readers() >= node.limits.get().streams_per_realm {
            node.metrics.limit_hits.count(LimitHit::StreamsPerRealm);
            return self.refusal(Refusal::Overload, &sent);
        }
        let OpenRealm { realm, filter, page, cursor, heartbeat_events, expires_at, stands, .. } = open;
        let bell = Arc::new(Bell::default());
        let follow = overview.follow(Arc::clone(&bell), filter, cursor.as_deref(), page);
        let Ok(Ok((following, beginning))) = tokio::time::timeout(STORE_PATIENCE, follow).await else {
            return self.refusal(Refusal::Store, &sent);
        };
        let at = node.moment();
        let mut session = RealmSession { realm, following, is_too_far_behind: false };
        let mut out = BytesMut::new();
        session.begin(&beginning, &at, &mut out);
        let terms = Terms { until_finished: false, heartbeat_events, expires_at, stands };
        let drive = Drive::of(seat, session, terms, &at);
        let resident = node.residents.add(drive.info(StreamId::Http(0), &at), Arc::clone(&bell));
        Body::realm(RealmStream { node: Arc::clone(node), drive, bell, resident }, out)
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
