//! The bell: how a watcher is woken. A latch and a waker, so that any number of rings before the watcher looks wake it once.

use futures_util::task::AtomicWaker;
use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

/// The bell of one watcher, shared with every topic that it watches.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    /// Tells the watcher that there may be something new.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

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
