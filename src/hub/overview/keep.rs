//! What the hub does for overviews: it begins them, keeps them up to date while somebody follows them, and forgets them.

use super::{
    super::{Hub, locks::lock},
    Announced, Overview,
};
use crate::{
    payment::{Cursor, Kind, Name},
    store::{Notice, NoticeBody},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};

/// How often readers are told what has changed, at most.
const COALESCE: Duration = Duration::from_millis(250);

/// How long an overview that nobody reads is kept.
pub(super) const IDLE: Duration = Duration::from_secs(60);

impl Hub {
    /// The overview of a realm. The first who asks for it has it read.
    #[must_use]
    pub fn overview(self: &Arc<Self>, realm: &Name) -> Arc<Overview> {
        let mut overviews = lock(&self.overviews);
        if let Some(overview) = overviews.get(realm) {
            return Arc::clone(overview);
        }
        let overview = Arc::new(Overview::new(realm.clone(), Arc::clone(&self.store)));
        overviews.insert(realm.clone(), Arc::clone(&overview));
        let (hub, kept) = (Arc::clone(self), Arc::clone(&overview));
        tokio::spawn(async move { hub.keep(kept).await });
        overview
    }

    /// Keeps an overview up to date as long as it is followed, and forgets it when nobody has read it for a while.
    async fn keep(self: Arc<Self>, overview: Arc<Overview>) {
        let mut tick = tokio::time::interval(COALESCE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stopped.cancelled() => return,
                _ = tick.tick() => {}
            }
            if overview.readers() > 0 {
                lock(&overview.looks).asked = Instant::now();
                if let Err(error) = overview.tick().await {
                    tracing::debug!(%error, "looking at the index again");
                }
            } else if lock(&overview.looks).asked.elapsed() >= IDLE {
                let mut overviews = lock(&self.overviews);
                // One handle is the hub's, and one is this task's.
                if Arc::strong_count(&overview) == 2 {
                    overviews.remove(&overview.realm);
                    return;
                }
            }
        }
    }

    /// Tells the overviews where to look.
    pub(in crate::hub) fn note(&self, notice: &Notice) {
        let overviews = lock(&self.overviews);
        if overviews.is_empty() {
            return;
        }
        match &notice.body {
            NoticeBody::Appended { seq, event } if event.subject().kind() == Kind::Payment => {
                let Some(overview) = overviews.get(&event.subject().realm) else { return };
                // Without it, the log is read.
                if let Some(event) = event.event() {
                    overview.announce(Cursor { tag: notice.tag, seq: *seq }, &event);
                }
                overview.note(notice.partition);
            }
            NoticeBody::Appended { .. } => {}
            NoticeBody::Erased { .. } => {
                for overview in overviews.values() {
                    // Which log it was is not known, and a new one may begin under the same id.
                    *lock(&overview.announced) = Announced::default();
                    overview.note(notice.partition);
                }
            }
        }
    }

    /// Has the overviews read everything again, since the store may have gone back.
    pub(in crate::hub) fn doubt_overviews(&self) {
        for overview in lock(&self.overviews).values() {
            lock(&overview.board).doubt();
        }
    }

    /// Wakes the readers of all overviews.
    pub(in crate::hub) fn ring_overviews(&self) {
        lock(&self.overviews).values().for_each(|overview| overview.ring());
    }
}
