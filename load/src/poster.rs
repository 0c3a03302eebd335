//! The publisher: one thread that posts each event at the time at which it is due.
//!
//! The schedule is open: an event is due whether or not earlier ones have been answered, and its latency counts from that time. So a server
//! that delays its senders cannot improve its figures. With a fixed number of events in flight, an event is due as soon as an earlier one
//! has been acknowledged or delivered.

mod connection;
mod task;

pub(crate) use task::{Pace, Task};

use crate::{
    board::{Board, SLOTS},
    clock,
    plan::{Dialect, EVENTS_PER_PAYMENT, Event, Plan},
    stats::{Posted, count},
};
use connection::{Connection, Post, Progress};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long a connection that failed waits before it is opened again.
const RECONNECT_US: u64 = 100_000;

const TIMER: Token = Token(usize::MAX);

/// The token of the waker through which the [`Board`] wakes the publisher.
pub(crate) const NEWS: Token = Token(usize::MAX - 1);

/// What the publisher has done so far. The session reads it for its progress.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) sent: AtomicU64,
    pub(crate) accepted: AtomicU64,
    /// When each event was acknowledged, by its number, if somebody wants to know; 0 for not yet.
    pub(crate) acked_us: OnceLock<Box<[AtomicU64]>>,
}

/// What a task did, and how many events of each payment were accepted.
pub(crate) struct Done {
    pub(crate) posted: Posted,
    pub(crate) accepted: Vec<u32>,
}

/// The state of a running task.
pub(crate) struct Poster {
    plan: Plan,
    task: Task,
    poll: Poll,
    timer: OwnedFd,
    board: Option<Arc<Board>>,
    /// How many events of earlier tasks have reached every stream that watches them.
    complete_before: u64,
    count: Arc<Count>,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    /// Connections to open again, each with its time.
    later: Vec<(u64, usize)>,
    /// Since when events are due that cannot be posted because all connections wait for answers; none once the publisher has caught up.
    /// Lateness after this time is caused by the server, so it does not count as the publisher's lag.
    held_up: Option<u64>,
    begun_us: u64,
    end_us: u64,
    done: Done,
}

impl Poster {
    pub(crate) fn new(
        plan: Plan,
        task: Task,
        poll: Poll,
        board: Option<Arc<Board>>,
        count: Arc<Count>,
    ) -> io::Result<Self> {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let accepted = vec![0; plan.payments];
        let connections = match task.pace {
            Pace::Rate(_) => task.connections,
            Pace::Acked(most) => most,
            // Twice as many, because the acknowledgement of an event may come after its last delivery.
            Pace::Delivered(most) => most.min(SLOTS / 2) * 2,
        };
        let (begun_us, end_us) = (0, 0);
        let complete_before = board.as_ref().map_or(0, |board| board.complete());
        Ok(Self {
            plan,
            task,
            poll,
            timer,
            board,
            complete_before,
            count,
            connections: (0..connections.max(1)).map(|_| Connection::new()).collect(),
            idle: Vec::new(),
            later: Vec::new(),
            held_up: None,
            begun_us,
            end_us,
            done: Done { posted: Posted::default(), accepted },
        })
    }

    /// Posts until the time is over or everything is posted, and every answer has come or has been given up. Returns the poll for the next
    /// task, because the board wakes this one.
    pub(crate) fn run(mut self) -> io::Result<(Done, Poll)> {
        for index in 0..self.connections.len() {
            self.open(index);
        }
        self.connect_first()?;
        self.begun_us = clock::now_us();
        self.end_us = self.begun_us + clock::micros(Duration::from_secs_f64(self.task.seconds));
        let mut last_answer_us = self.begun_us;
        let mut events = Events::with_capacity(256);
        loop {
            let now_us = clock::now_us();
            self.reopen(now_us);
            let due_us = self.post_due(now_us).or_else(|| self.rest(now_us));
            let busy = self.connections.iter().filter(|connection| connection.post.is_some()).count();
            if due_us.is_none() && busy == 0 || now_us > self.end_us + self.plan.patience_us {
                break;
            }
            self.wait(&mut events, due_us)?;
            last_answer_us = if busy > 0 { clock::now_us() } else { last_answer_us };
            self.give_up_late(clock::now_us());
        }
        if let Pace::Rate(_) = self.task.pace {
            last_answer_us = last_answer_us.max(self.end_us);
        }
        self.done.posted.elapsed_us = last_answer_us - self.begun_us;
        self.done.posted.not_sent = self.due_in_all().saturating_sub(self.done.posted.sent);
        Ok((self.done, self.poll))
    }

    /// Waits for at most a second until all connections are open, so that no event's latency contains the time that opening takes.
    fn connect_first(&mut self) -> io::Result<()> {
        let until_us = clock::now_us() + 1_000_000;
        let mut events = Events::with_capacity(256);
        while self.idle.len() < self.connections.len() && clock::now_us() < until_us {
            self.wait(&mut events, None)?;
        }
        Ok(())
    }

    /// How many events the schedule has in all.
    fn due_in_all(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of events")]
        match self.task.pace {
            Pace::Rate(rate) => ((rate * self.task.seconds).ceil() as u64).min(self.most() as u64),
            Pace::Acked(_) | Pace::Delivered(_) => 0,
        }
    }

    /// How many events may be posted: what the task asks for, or what the payments' logs have room for.
    fn most(&self) -> usize {
        let room = match self.plan.target.dialect {
            Dialect::Paystream => (self.plan.payments * EVENTS_PER_PAYMENT).saturating_sub(self.task.first),
            Dialect::Plain => usize::MAX,
        };
        self.task.most.min(room)
    }

    fn sent(&self) -> usize {
        usize::try_from(self.done.posted.sent).unwrap_or(usize::MAX)
    }

    /// When the next event is due: none if there is no further event, and `u64::MAX` if only an answer can tell.
    fn next_due(&self, now_us: u64) -> Option<u64> {
        if self.sent() >= self.most() {
            return None;
        }
        let posted = &self.done.posted;
        let failed: u64 = posted.failed.values().sum();
        let (in_flight, most) = match self.task.pace {
            Pace::Rate(rate) => {
                #[expect(clippy::cast_precision_loss, reason = "a count of events")]
                let after = Duration::from_secs_f64(posted.sent as f64 / rate);
                let due_us = self.begun_us + clock::micros(after);
                return (due_us < self.end_us).then_some(due_us);
            }
            Pace::Acked(most) => (posted.sent - posted.accepted - failed, most),
            Pace::Delivered(most) => {
                let complete = self.board.as_ref().map_or(0, |board| board.complete()) - self.complete_before;
                (posted.sent.saturating_sub(complete + failed), most)
            }
        };
        if now_us >= self.end_us {
            return None;
        }
        Some(if in_flight < most as u64 { now_us } else { u64::MAX })
    }

    /// The time until which a task with a rate goes on after its last event, so that this event has its full share of the time.
    fn rest(&self, now_us: u64) -> Option<u64> {
        (matches!(self.task.pace, Pace::Rate(_)) && now_us < self.end_us).then_some(self.end_us)
    }

    /// Posts every event that is due, and returns when the next one is.
    fn post_due(&mut self, now_us: u64) -> Option<u64> {
        loop {
            let due_us = self.next_due(now_us)?;
            let number = self.task.first + self.sent();
            if due_us > now_us {
                self.held_up = None;
                return Some(due_us);
            }
            let Some(index) = self.idle.pop() else {
                self.held_up.get_or_insert(now_us);
                return Some(u64::MAX);
            };
            self.post(index, number, due_us);
        }
    }

    fn post(&mut self, index: usize, number: usize, due_us: u64) {
        let sent_us = clock::now_us();
        let lag_us = self.held_up.unwrap_or(sent_us).saturating_sub(due_us);
        let settled = if self.plan.target.dialect == Dialect::Plain { self.settled(number) } else { 0 };
        let event = Event { number, due_us, lag_us, settled };
        let Some(connection) = self.connections.get_mut(index) else { return };
        if self.task.creates {
            self.plan.create_request(number % self.plan.payments.max(1), connection.request());
        } else {
            self.plan.post_request(&event, connection.request());
        }
        if let Some(board) = &self.board {
            board.expect(number, &self.plan);
        }
        self.done.posted.sent += 1;
        self.count.sent.fetch_add(1, Ordering::Relaxed);
        self.done.posted.lag.record(lag_us);
        let progress = connection.send(Post { number, due_us, sent_us });
        self.after(index, &progress);
    }

    /// How many of this payment's first events have been answered when this one is sent.
    fn settled(&self, number: usize) -> usize {
        let payments = self.plan.payments.max(1);
        let under_way = self.connections.iter().filter_map(|connection| connection.post.as_ref());
        let of_payment =
            under_way.map(|post| post.number).filter(|other| other % payments == number % payments);
        of_payment.chain([number]).min().unwrap_or(number) / payments
    }

    fn wait(&mut self, events: &mut Events, due_us: Option<u64>) -> io::Result<()> {
        if let Some(due_us) = due_us.filter(|due| *due != u64::MAX) {
            self.set_timer(due_us)?;
        }
        match self.poll.poll(events, Some(Duration::from_millis(100))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &*events {
            let index = event.token().0;
            if let Some(connection) = self.connections.get_mut(index) {
                let progress = connection.event(event);
                self.after(index, &progress);
            }
        }
        Ok(())
    }

    /// Sets the kernel's timer. A timeout of `poll` is no finer than a millisecond.
    fn set_timer(&self, at_us: u64) -> io::Result<()> {
        let wait_us = at_us.saturating_sub(clock::now_us()).max(1);
        let part = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let at = Timespec { tv_sec: part(wait_us / 1_000_000), tv_nsec: part(wait_us % 1_000_000 * 1_000) };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: never, it_value: at };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }

    fn after(&mut self, index: usize, progress: &Progress) {
        match progress {
            Progress::Nothing => {}
            Progress::Idle => self.idle.push(index),
            Progress::Answered { status, again } => {
                if *again {
                    self.idle.push(index);
                } else {
                    self.later.push((0, index));
                }
                self.answered(index, *status);
            }
            Progress::Gone(why) => {
                self.idle.retain(|idle| *idle != index);
                self.later.push((clock::now_us() + RECONNECT_US, index));
                self.failed(index, why);
            }
        }
    }

    fn answered(&mut self, index: usize, status: u16) {
        if status / 100 != 2 {
            self.failed(index, &format!("status {status}"));
            return;
        }
        let Some(post) = self.take_post(index) else { return };
        let now_us = clock::now_us();
        self.done.posted.ack.record(now_us.saturating_sub(post.due_us));
        if let Some(acked_us) = self.count.acked_us.get().and_then(|times| times.get(post.number)) {
            acked_us.store(now_us, Ordering::Relaxed);
        }
        self.done.posted.accepted += 1;
        self.count.accepted.fetch_add(1, Ordering::Relaxed);
        if let Some(accepted) = self.done.accepted.get_mut(post.number % self.plan.payments.max(1)) {
            *accepted += 1;
        }
    }

    fn failed(&mut self, index: usize, why: &str) {
        if self.take_post(index).is_some() {
            count(&mut self.done.posted.failed, why);
        }
    }

    fn take_post(&mut self, index: usize) -> Option<Post> {
        self.connections.get_mut(index)?.post.take()
    }

    fn give_up_late(&mut self, now_us: u64) {
        let patience_us = self.plan.patience_us;
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(index) else { return };
            if connection.post.is_some_and(|post| post.sent_us + patience_us < now_us) {
                connection.close();
                self.after(index, &Progress::Gone("no answer"));
            }
        }
    }

    fn reopen(&mut self, now_us: u64) {
        let due: Vec<_> = self.later.extract_if(.., |(at, _)| *at <= now_us).collect();
        for (_, index) in due {
            self.open(index);
        }
    }

    fn open(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.open(self.plan.target.posts, self.poll.registry(), Token(index)).is_err() {
            self.later.push((clock::now_us() + RECONNECT_US, index));
        }
    }
}
