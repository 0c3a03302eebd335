//! Streams of all payments of a realm: first the newest page, then each payment's newest view after every change.
//!
//! Its state is a place in the order of changes and a time, so a slow reader gets fewer and newer states and has no queue. These streams are
//! few, so they stay in HTTP, on both of its versions.

use super::{
    census::Seat,
    content::{CHUNK, Content},
    drive::Drive,
    moment::Moment,
    node::Node,
    reason::Closing,
    residents::{Resident, pause_ms},
    wire,
};
use crate::{
    hub::{Beginning, Bell, Following, Restart},
    metrics::ResumeKind,
    payment::{Name, PartitionSet},
};
use bytes::BytesMut;
use std::sync::Arc;

/// A stream of all payments before a sink drives it.
pub(super) struct RealmStream {
    pub(super) node: Arc<Node>,
    pub(super) drive: Drive<RealmSession>,
    pub(super) bell: Arc<Bell>,
    pub(super) resident: Arc<Resident>,
}

/// What a stream of all payments writes.
pub(super) struct RealmSession {
    pub(super) realm: Name,
    pub(super) following: Following,
    /// The reader is too far behind to be told what has left.
    pub(super) is_too_far_behind: bool,
}

impl RealmSession {
    /// Writes `retry:`, and then the page or what the client missed.
    pub(super) fn begin(&mut self, beginning: &Beginning, at: &Moment<'_>, out: &mut BytesMut) {
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
                self.write_changes(out);
                let has_missed = out.len() > before;
                resumes.count(if has_missed { ResumeKind::Exact } else { ResumeKind::Ready });
                if !has_missed {
                    let complete_since = self.following.complete_since();
                    wire::nothing_missed(out, &self.following.cursor(), complete_since);
                }
            }
        }
    }

    /// Writes what has changed.
    fn write_changes(&mut self, out: &mut BytesMut) {
        match self.following.pull(CHUNK) {
            Ok(Some(changes)) => wire::changes(out, &self.following.cursor(), &changes),
            Ok(None) => {}
            Err(_) => self.is_too_far_behind = true,
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
    fn pull(&mut self, _seat: &mut Seat, _at: &Moment<'_>, out: &mut BytesMut) -> Option<usize> {
        self.write_changes(out);
        None
    }

    /// A realm has payments in all partitions.
    fn is_of(&self, partitions: &PartitionSet) -> bool {
        !partitions.is_empty()
    }

    fn stale(&self, is_stale: bool, out: &mut BytesMut) {
        wire::stale(out, &self.following.cursor(), is_stale);
    }

    fn heartbeat(&self, is_event: bool, out: &mut BytesMut) {
        if is_event {
            wire::bare_heartbeat(out, &self.following.cursor());
        } else {
            wire::comment_heartbeat(out);
        }
    }

    fn close(&self, why: Closing, at: &Moment<'_>, out: &mut BytesMut) {
        wire::closing(out, &self.following.cursor(), why, at.draw_retry_ms());
    }

    fn dismiss(&self, why: &str, at: &Moment<'_>, out: &mut BytesMut) {
        wire::dismissed(out, &self.following.cursor(), why, pause_ms(at));
    }

    fn about(&self) -> (Option<Name>, Vec<Name>, u64) {
        (Some(self.realm.clone()), Vec::new(), 0)
    }

    fn must_end(&self) -> Option<Closing> {
        self.is_too_far_behind.then_some(Closing::Stalled)
    }
}
