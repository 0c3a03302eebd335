//! The bell: how a watcher is woken. A latch and a waker, so that any number of rings before the watcher looks wake it once.

use futures_util::task::AtomicWaker;
use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

/// What a topic tells that it may have something new. One ringer may stand for many watchers, and tells them apart by a key.
pub trait Ringer: Send + Sync {
    /// Wakes the watcher of this key. It is called under the topic's lock, so it must not wait and must not call the topic.
    fn ring(&self, key: u32);

    /// Whether it is told of the topic's own log alone, and not of what the topic follows if that is empty. Two ids that point at each other
    /// would otherwise wake each other for ever.
    fn hears_own_log_alone(&self) -> bool {
        false
    }
}

/// The bell of one watcher, shared with every topic that it watches.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Ringer for Bell {
    fn ring(&self, _key: u32) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }
}

impl Bell {
    /// Ready if the bell has rung since this was last ready; otherwise the task is woken when it rings. The latch is cleared
    /// before the watcher looks, so a ring while it looks is not lost.
    pub fn poll_rung(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.rung.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits for the next ring.
    pub async fn rung(&self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }
}
