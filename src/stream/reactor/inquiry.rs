//! What operators ask of a thread: to list its streams, or to end some of them. A thread may have hundreds of thousands, so it looks at a few
//! at a time, between its other work.

use crate::stream::inspect::{StreamFilter, StreamInfo, StreamList};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Slots that are looked at before the thread does its other work again: some 300 µs.
pub(super) const SLOTS: usize = 1024;

/// A question, and how far the thread has come with it. Whoever asked waits until this is dropped.
pub(in crate::stream) struct StreamInquiry {
    pub(super) filter: Arc<StreamFilter>,
    kind: Kind,
    /// The slot to go on with.
    pub(super) next: usize,
}

enum Kind {
    List { limit: usize, list: StreamList, reply: Option<oneshot::Sender<StreamList>> },
    Dismiss { why: Arc<str>, count: usize, reply: Option<oneshot::Sender<usize>> },
}

impl StreamInquiry {
    /// Asks for a list.
    pub(super) fn list(filter: Arc<StreamFilter>, limit: usize) -> (Self, oneshot::Receiver<StreamList>) {
        let (reply, answer) = oneshot::channel();
        let kind = Kind::List { limit, list: StreamList::default(), reply: Some(reply) };
        (Self { filter, kind, next: 0 }, answer)
    }

    /// Asks to end streams.
    pub(super) fn dismiss(filter: Arc<StreamFilter>, why: Arc<str>) -> (Self, oneshot::Receiver<usize>) {
        let (reply, answer) = oneshot::channel();
        let kind = Kind::Dismiss { why, count: 0, reply: Some(reply) };
        (Self { filter, kind, next: 0 }, answer)
    }

    /// Takes a stream that fits. Returns why it has to end, if it has to.
    pub(super) fn take(&mut self, stream: StreamInfo) -> Option<Arc<str>> {
        match &mut self.kind {
            Kind::List { limit, list, .. } => {
                list.add(stream, *limit);
                None
            }
            Kind::Dismiss { why, count, .. } => {
                *count += 1;
                Some(Arc::clone(why))
            }
        }
    }

    /// Answers. Nobody may wait any more.
    pub(super) fn answer(self) {
        match self.kind {
            Kind::List { list, reply, .. } => {
                let _gone = reply.map(|reply| reply.send(list));
            }
            Kind::Dismiss { count, reply, .. } => {
                let _gone = reply.map(|reply| reply.send(count));
            }
        }
    }
}
