//! The inbox: what other threads hand to a reactor's thread.
//!
//! It is bounded by what it is about: a topic is in it at most once however often it has news, a topic reads at most one history
//! at a time, and each arrival holds a connection's permit.

use super::{arrival::Arrival, inquiry::StreamInquiry, slab::Key};
use crate::hub::{History, Ringer};
use mio::Waker;
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// The inbox of one thread. A std mutex, since nobody holds it for longer than a few steps.
pub(super) struct Inbox {
    mail: Mutex<Mail>,
    waker: Waker,
}

/// What has come since the thread last looked.
#[derive(Default)]
pub(super) struct Mail {
    /// The keys of the topics that may have something new.
    pub(super) rung: Vec<u32>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) histories: Vec<Read>,
    pub(super) inquiries: Vec<StreamInquiry>,
    /// Those who ask whether the thread looks at its mail. They are answered by being dropped.
    pub(super) callers: Vec<oneshot::Sender<()>>,
    /// The thread has to end.
    pub(super) is_over: bool,
    /// The keys in `rung`, as a set of bits.
    is_rung: Vec<u64>,
    /// The thread was woken and has not looked since.
    is_woken: bool,
}

/// A history that was read for a topic of the thread.
pub(super) struct Read {
    /// The key of the topic.
    pub(super) topic: Key,
    /// The number of the read.
    pub(super) number: u32,
    pub(super) history: Arc<History>,
}

impl Inbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self { mail: Mutex::default(), waker }
    }

    /// Hands over a stream; one that comes after the end is dropped.
    pub(super) fn arrive(&self, arrival: Arrival) {
        let mut mail = self.lock();
        if mail.is_over {
            // Outside the lock, since what is dropped here leaves the hub, which may be ringing this inbox.
            drop(mail);
            return drop(arrival);
        }
        mail.arrivals.push(arrival);
        self.wake(&mut mail);
    }

    /// Asks for streams; a question that comes after the end is dropped.
    pub(super) fn ask(&self, inquiry: StreamInquiry) {
        let mut mail = self.lock();
        if !mail.is_over {
            mail.inquiries.push(inquiry);
            self.wake(&mut mail);
        }
    }

    /// Returns once the thread looks at its mail, or has ended.
    pub(super) async fn answer(&self) {
        let answer = {
            let mut mail = self.lock();
            if mail.is_over {
                return;
            }
            let (caller, answer) = oneshot::channel();
            mail.callers.push(caller);
            self.wake(&mut mail);
            answer
        };
        // Always an error, since nothing is sent.
        let _dropped = answer.await;
    }

    pub(super) fn was_read(&self, read: Read) {
        let mut mail = self.lock();
        mail.histories.push(read);
        self.wake(&mut mail);
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        let mut mail = self.lock();
        mail.is_over = true;
        // Nobody may be left to answer them.
        mail.inquiries.clear();
        mail.callers.clear();
        self.wake(&mut mail);
    }

    /// Takes what has come.
    pub(super) fn take(&self) -> Mail {
        let mut mail = self.lock();
        let is_over = mail.is_over;
        mem::replace(&mut *mail, Mail { is_over, ..Mail::default() })
    }

    fn wake(&self, mail: &mut Mail) {
        if !mem::replace(&mut mail.is_woken, true)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a reactor cannot be woken; its streams wait for their next deadline");
        }
    }

    /// Locks the mail, also after a holder has panicked: every change is a single step, so the data is whole.
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ringer for Inbox {
    fn ring(&self, key: u32) {
        let mut mail = self.lock();
        let (word, bit) = (key as usize / 64, 1 << (key % 64));
        if mail.is_rung.len() <= word {
            mail.is_rung.resize(word + 1, 0);
        }
        let Some(bits) = mail.is_rung.get_mut(word) else { return };
        if *bits & bit == 0 {
            *bits |= bit;
            mail.rung.push(key);
            self.wake(&mut mail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Poll, Token};
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn a_topic_that_rings_again_and_again_is_in_the_inbox_once() {
        let poll = Poll::new().unwrap();
        let inbox = Inbox::new(Waker::new(poll.registry(), Token(0)).unwrap());
        for key in [7, 200, 7, 7, 0, 200] {
            inbox.ring(key);
        }
        assert_eq!(inbox.take().rung, [7, 200, 0]);
        assert_eq!(inbox.take().rung, [0; 0]);
        inbox.ring(7);
        assert_eq!(inbox.take().rung, [7]);
        inbox.stop();
        assert!(inbox.take().is_over && inbox.take().is_over);
    }

    #[tokio::test]
    async fn a_thread_answers_only_while_it_looks_at_its_mail() {
        let poll = Poll::new().unwrap();
        let inbox = Inbox::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let answered = async || timeout(Duration::from_millis(100), inbox.answer()).await.is_ok();
        assert!(!answered().await, "nobody looks");
        let looking = async {
            loop {
                drop(inbox.take());
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            is_answered = answered() => assert!(is_answered),
            () = looking => {}
        }
        inbox.stop();
        assert!(answered().await, "a thread that has ended keeps nobody waiting");
    }
}
