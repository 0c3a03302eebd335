//! The reactor: drives the streams whose sockets have left HTTP, by one thread for each core.
//!
//! An idle stream costs its socket, its drive, one place in the timer wheel and one in the list of its topic; it has no task, no
//! timer and no buffer. [`super::drive`] decides, as it does for streams that stay in HTTP. A topic with news wakes each thread
//! once, however many of its streams watch it and however many events came. What waits for a socket leaves in one write, and only
//! a socket that takes no more is asked to say when it does.
//!
//! The threads never wait for anything but their sockets: logs are read on the runtime, which posts them to the thread's inbox.
//!
//! | file | noun |
//! |---|---|
//! | `arrival` | what comes to a reactor |
//! | `inbox`  | what other threads hand to a reactor's thread |
//! | `inquiry` | what operators ask of a thread |
//! | `worker` | the loop of one thread |
//! | `line`   | one connection: its socket and what waits to be written to it |
//! | `topics` | the topics that the streams of a thread watch, and the list of each |
//! | `clock`  | the time by which they decide, and the ticks of the wheel |
//! | `wheel`  | the timer wheel; pure |
//! | `slab`   | slots in chunks, so that memory grows with what they hold; pure |

mod arrival;
mod clock;
mod inbox;
mod inquiry;
mod line;
mod slab;
mod topics;
mod wheel;
mod worker;

pub(super) use arrival::Arrival;
pub use arrival::{Departure, Framing};

use super::{
    inspect::{StreamFilter, StreamList},
    node::Node,
};
use futures_util::future::join_all;
use inbox::Inbox;
use inquiry::StreamInquiry;
use std::{
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use tokio::sync::Notify;
use worker::Worker;

/// The threads of a node. They end when this is dropped or when [`Reactors::stop_guard`] is; the streams that they hold are then
/// cut.
pub(super) struct Reactors {
    inboxes: Vec<Arc<Inbox>>,
    /// The thread that gets the next stream, modulo their number.
    next: AtomicUsize,
    /// Notified when a thread has ended.
    ended: Arc<Notify>,
}

/// Tells that a thread has ended, also when it panics.
struct TellsEnd {
    inbox: Arc<Inbox>,
    ended: Arc<Notify>,
}

impl Drop for TellsEnd {
    fn drop(&mut self) {
        self.inbox.stop();
        self.ended.notify_one();
    }
}

/// Ends the threads when it is dropped.
pub(super) struct StopGuard<'a>(&'a Reactors);

impl Reactors {
    /// Starts one thread for each core that the process may use. Logs are read on the runtime from which this is called.
    pub(super) fn start(node: &Arc<Node>) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let mut reactors =
            Self { inboxes: Vec::with_capacity(count), next: AtomicUsize::new(0), ended: Arc::default() };
        for index in 0..count {
            let (worker, inbox) = Worker::new(index, Arc::clone(node))?;
            let tells_end = TellsEnd { inbox: Arc::clone(&inbox), ended: Arc::clone(&reactors.ended) };
            reactors.inboxes.push(inbox);
            thread::Builder::new().name(format!("reactor-{index}")).spawn(move || {
                let _tells_end = tells_end;
                worker.run();
            })?;
        }
        Ok(reactors)
    }

    /// Takes a stream over. The threads get them in turn, so that the streams of a busy payment are shared by all cores.
    pub(super) fn adopt(&self, arrival: Arrival) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len().max(1);
        if let Some(inbox) = self.inboxes.get(index) {
            inbox.arrive(arrival);
        }
    }

    /// Lists the streams of each thread that are asked for, at most `limit` of each.
    pub(super) async fn list(&self, filter: &Arc<StreamFilter>, limit: usize) -> Vec<StreamList> {
        let ask = |inbox: &Arc<Inbox>| {
            let (inquiry, answer) = StreamInquiry::list(Arc::clone(filter), limit);
            inbox.ask(inquiry);
            answer
        };
        let answers: Vec<_> = self.inboxes.iter().map(ask).collect();
        // A thread that has ended drops the question, and has no streams.
        join_all(answers).await.into_iter().map(Result::unwrap_or_default).collect()
    }

    /// Ends the streams that are asked for, and returns how many they are.
    pub(super) async fn dismiss(&self, filter: &Arc<StreamFilter>, why: &Arc<str>) -> usize {
        let ask = |inbox: &Arc<Inbox>| {
            let (inquiry, answer) = StreamInquiry::dismiss(Arc::clone(filter), Arc::clone(why));
            inbox.ask(inquiry);
            answer
        };
        let answers: Vec<_> = self.inboxes.iter().map(ask).collect();
        join_all(answers).await.into_iter().map(Result::unwrap_or_default).sum()
    }

    /// Returns once all threads have looked at what they were handed. A thread that has ended keeps nobody waiting.
    pub(super) async fn answer(&self) {
        join_all(self.inboxes.iter().map(|inbox| inbox.answer())).await;
    }

    /// Returns when a thread has ended: if nobody stopped it, it has panicked, and its streams are cut.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    pub(super) const fn stop_guard(&self) -> StopGuard<'_> {
        StopGuard(self)
    }

    fn stop(&self) {
        for inbox in &self.inboxes {
            inbox.stop();
        }
    }
}

impl Drop for Reactors {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
