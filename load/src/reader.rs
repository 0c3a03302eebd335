//! The reader: one thread and one epoll that handle any number of streams.
//!
//! It opens streams on command, reads what arrives, lets streams drop and resume as browsers do, and checks the continuity of each. It
//! knows neither the publisher nor the report: commands come in, and [`State`]s go out.

mod calm;
mod check;
mod link;
mod protocol;
mod socket;
mod stream;
mod wire;

pub(crate) use link::Tls;
pub(crate) use protocol::{Command, State};
pub(crate) use socket::{connect, word};
pub(crate) use wire::{Body, Head};

use crate::{
    board::Board,
    clock,
    pauses::{Pauses, SPAN_US},
    plan::{Dialect, Plan, TLS_NAME},
    proc,
    stats::Seen,
};
use calm::Calm;
use link::Link;
use mio::{Events, Interest, Poll, Token, Waker};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io,
    sync::{Arc, mpsc},
    time::Duration,
};
use stream::{Context, Manner, Stream, Turn};

/// The size of the read buffer, which all streams use in turn.
const BUFFER_BYTES: usize = 64 << 10;

/// How often the reader looks for streams that have waited too long.
const SWEEP_US: u64 = 1_000_000;

const WAKE: Token = Token(usize::MAX);

/// What a reader shares with the other threads of its process.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    /// The board that is told of deliveries, if the publisher waits for them.
    pub(crate) board: Option<Arc<Board>>,
    pub(crate) pauses: Arc<Pauses>,
    /// Whether another process watches for pauses and tells of them.
    pub(crate) is_apart: bool,
}

/// The streams of one process, and the loop that handles them.
pub(crate) struct Reader<F> {
    context: Context,
    poll: Poll,
    commands: mpsc::Receiver<Command>,
    reply: F,
    streams: Vec<Stream>,
    wanted: usize,
    /// Streams to open as soon as the limit on opening streams allows it.
    queue: VecDeque<u32>,
    /// Streams to open at a given time, in microseconds.
    later: BinaryHeap<Reverse<(u64, u32)>>,
    /// How many events each stream is to have, while the session asks what is missing.
    expected: Option<Vec<u32>>,
    taken: u64,
    ready_at_us: Option<u64>,
    churn_due: f64,
    pauses: Arc<Pauses>,
    /// When to look at the pauses again; `u64::MAX` if another process does so.
    next_span_us: u64,
    next_tick_us: u64,
    next_sweep_us: u64,
}

/// Creates a poll for a reader, and the waker that wakes it for a command.
pub(crate) fn poll_and_waker() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    Ok((poll, waker))
}

impl<F: FnMut(State)> Reader<F> {
    pub(crate) fn new(
        plan: Plan,
        poll: Poll,
        commands: mpsc::Receiver<Command>,
        shared: Shared,
        reply: F,
    ) -> io::Result<Self> {
        let tls = plan.target.tls.as_ref().map(|ca| Tls::new(ca, TLS_NAME)).transpose()?;
        let room = plan.share(plan.streams);
        let (now_us, tick_us) = (clock::now_us(), plan.tick_us);
        Ok(Self {
            context: Context {
                plan,
                tls,
                seen: Seen::default(),
                calm: Calm::default(),
                board: shared.board,
                now_us,
                ready: 0,
                opening: 0,
                buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
                scratch: Vec::new(),
            },
            poll,
            commands,
            reply,
            // Allocated at once: a vector that grows by doubling would add to the measured memory per stream.
            streams: Vec::with_capacity(room),
            wanted: 0,
            queue: VecDeque::new(),
            later: BinaryHeap::new(),
            expected: None,
            taken: 0,
            ready_at_us: None,
            churn_due: 0.0,
            pauses: shared.pauses,
            next_span_us: if shared.is_apart { u64::MAX } else { now_us + SPAN_US },
            next_tick_us: now_us + tick_us,
            next_sweep_us: now_us + SWEEP_US,
        })
    }

    /// Runs until it is told to finish, or the sender of commands is gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let cpu = proc::cpu_us(std::process::id()).unwrap_or_default();
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.take_commands() {
                Go::On => {}
                Go::Finish => {
                    self.finish(cpu);
                    return Ok(());
                }
                Go::Leave => return Ok(()),
            }
            self.open_some();
            let wait_us = self.next_us().saturating_sub(clock::now_us());
            let timeout = if self.may_open() { Duration::ZERO } else { Duration::from_micros(wait_us) };
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() != WAKE {
                    self.handle(event);
                }
            }
            self.timers();
        }
    }

    fn take_commands(&mut self) -> Go {
        loop {
            let command = match self.commands.try_recv() {
                Ok(command) => command,
                Err(mpsc::TryRecvError::Empty) => return Go::On,
                Err(mpsc::TryRecvError::Disconnected) => return Go::Leave,
            };
            match command {
                Command::Open { upto } => self.want(upto),
                Command::Drop => {
                    self.queue.clear();
                    self.later.clear();
                    self.wanted = 0;
                    for stream in &mut self.streams {
                        stream.drop_connection(true, &mut self.context);
                    }
                }
                Command::Expect(accepted) => self.expected = Some(accepted),
                Command::Calm => self.context.plan.churn = 0.0,
                Command::ForgetTimes => {
                    self.context.seen.forget_times();
                    // The session no longer asks what is missing of the warm-up, and counting it takes time.
                    self.expected = None;
                }
                Command::Looks(looks) => {
                    for look in looks {
                        self.context.calm.take(look, &mut self.context.seen.undisturbed);
                    }
                    continue;
                }
                Command::Report => {
                    self.taken += 1;
                    self.tell(Some(Box::new(self.context.seen.clone())));
                    continue;
                }
                Command::Finish => {
                    self.taken += 1;
                    return Go::Finish;
                }
            }
            self.taken += 1;
            self.tell(None);
        }
    }

    fn want(&mut self, upto: usize) {
        self.wanted = self.context.plan.share(upto);
        self.ready_at_us = None;
        while self.streams.len() < self.wanted {
            let global = self.context.plan.first + self.streams.len() * self.context.plan.step;
            let (stalled, slow) = (self.context.plan.stalled, self.context.plan.slow);
            let manner = match global {
                global if global < stalled => Manner::Stalled,
                global if global < stalled + slow => Manner::Slow,
                _ => Manner::Brisk,
            };
            self.streams.push(Stream::new(manner));
        }
        self.later.clear();
        self.queue.clear();
        let away = self.streams.iter().zip(0_u32..).filter(|(stream, _)| stream.is_away());
        self.queue.extend(away.map(|(_, index)| index));
    }

    fn may_open(&self) -> bool {
        !self.queue.is_empty() && self.context.opening < self.context.plan.opening
    }

    /// Opens streams while the limit allows it. It does so in batches, so that answers are read in between. In a storm it opens all at once,
    /// so that no stream waits for another.
    fn open_some(&mut self) {
        let is_storm = self.context.plan.opening >= self.wanted;
        let batch = if is_storm { self.queue.len() } else { 64 };
        for _ in 0..batch {
            if !self.may_open() {
                return;
            }
            self.context.now_us = clock::now_us();
            let Some(index) = self.queue.pop_front() else { return };
            let Some(stream) = self.streams.get_mut(index as usize) else { continue };
            if !stream.is_away() {
                continue;
            }
            let mut turn = stream.connect(index as usize, &mut self.context);
            if turn == Turn::Open {
                let payment = self.context.plan.payment_of(index as usize);
                turn = stream.writable(payment, &mut self.context);
            }
            let both = Interest::READABLE | Interest::WRITABLE;
            let interest = if stream.is_asking() { Interest::READABLE } else { both };
            if let Some(Link { socket, .. }) = &mut stream.link {
                // If registering fails, no event ever comes, and the sweep gives the stream up.
                let _ = self.poll.registry().register(socket, Token(index as usize), interest);
            }
            self.after(index, turn);
        }
    }

    fn handle(&mut self, event: &mio::event::Event) {
        let index = event.token().0;
        let Some(stream) = self.streams.get_mut(index) else { return };
        self.context.now_us = clock::now_us();
        let mut turn = Turn::Open;
        if event.is_writable() || stream.is_connecting() {
            turn = stream.writable(self.context.plan.payment_of(index), &mut self.context);
        }
        let closed = event.is_read_closed() || event.is_error();
        if turn == Turn::Open && (event.is_readable() || closed) {
            turn = stream.readable(closed, &mut self.context);
        }
        self.after(u32::try_from(index).unwrap_or(u32::MAX), turn);
    }

    fn after(&mut self, index: u32, turn: Turn) {
        if let Turn::Back(ms) = turn {
            self.later.push(Reverse((self.context.now_us + u64::from(ms) * 1_000, index)));
        }
        if self.ready_at_us.is_none() && self.wanted > 0 && self.context.ready >= self.wanted {
            self.ready_at_us = Some(self.context.now_us);
            self.tell(None);
        }
    }

    fn next_us(&self) -> u64 {
        let later = self.later.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        self.next_tick_us.min(self.next_span_us).min(later)
    }

    fn timers(&mut self) {
        let now_us = clock::now_us();
        self.context.now_us = now_us;
        while let Some(Reverse((at, index))) = self.later.peek().copied()
            && at <= now_us
        {
            self.later.pop();
            self.queue.push_back(index);
        }
        if now_us >= self.next_span_us {
            self.next_span_us = now_us + SPAN_US;
            self.context.calm.take(self.pauses.look(now_us), &mut self.context.seen.undisturbed);
        }
        if now_us >= self.next_tick_us {
            self.next_tick_us = now_us + self.context.plan.tick_us;
            self.read_slowly();
            self.churn();
            self.tell(None);
        }
        if now_us >= self.next_sweep_us {
            self.next_sweep_us = now_us + SWEEP_US;
            self.sweep(now_us);
        }
    }

    fn read_slowly(&mut self) {
        let slow = (self.context.plan.stalled + self.context.plan.slow).min(self.streams.len());
        for index in 0..slow {
            let Some(stream) = self.streams.get_mut(index) else { return };
            if stream.manner == Manner::Slow && stream.ready {
                let turn = stream.readable(false, &mut self.context);
                self.after(u32::try_from(index).unwrap_or(u32::MAX), turn);
            }
        }
    }

    /// Drops as many streams as the churn requires. Each reconnects with its cursor.
    fn churn(&mut self) {
        self.churn_due += self.context.plan.churn * clock::seconds(self.context.plan.tick_us);
        while self.churn_due >= 1.0 && !self.streams.is_empty() {
            self.churn_due -= 1.0;
            let index = rand::random_range(0..self.streams.len());
            if let Some(stream) = self.streams.get_mut(index).filter(|stream| stream.ready) {
                stream.drop_connection(false, &mut self.context);
                self.queue.push_back(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
    }

    fn sweep(&mut self, now_us: u64) {
        let patience_us = self.context.plan.patience_us;
        if self.context.opening == 0 {
            return;
        }
        for index in 0..self.streams.len() {
            let Some(stream) = self.streams.get_mut(index) else { return };
            if stream.opening_since().is_some_and(|since| since + patience_us < now_us) {
                let turn = stream.time_out(&mut self.context);
                self.after(u32::try_from(index).unwrap_or(u32::MAX), turn);
            }
        }
    }

    fn tell(&mut self, seen: Option<Box<Seen>>) {
        let missing = self.expected.as_ref().map(|expected| self.missing(expected));
        let state = State {
            commands: self.taken,
            ready: self.context.ready,
            ready_at_us: self.ready_at_us,
            missing,
            deliveries: self.context.seen.deliveries,
            failed: self.context.seen.failed.values().sum(),
            seen,
        };
        (self.reply)(state);
    }

    /// Counts what has not arrived at the streams that read normally; slow and stalled readers are not expected to have everything. Where
    /// posts have no order, the newest event may arrive before others, so holes count too.
    fn missing(&self, expected: &[u32]) -> u64 {
        let is_plain = self.context.plan.target.dialect == Dialect::Plain;
        let missing = self.streams.iter().enumerate().map(|(index, stream)| {
            let accepted = expected.get(index).copied().unwrap_or_default();
            if stream.manner == Manner::Brisk {
                let holes = if is_plain { stream.check.holes() } else { 0 };
                u64::from(accepted).saturating_sub(stream.check.seq) + holes
            } else {
                0
            }
        });
        missing.sum()
    }

    fn finish(&mut self, cpu_before_us: u64) {
        self.context.seen.lost += self.streams.iter().map(|stream| stream.check.holes()).sum::<u64>();
        self.context.seen.cpu_us =
            proc::cpu_us(std::process::id()).unwrap_or_default().saturating_sub(cpu_before_us);
        for stream in &mut self.streams {
            stream.drop_connection(true, &mut self.context);
        }
        let seen = Box::new(std::mem::take(&mut self.context.seen));
        self.tell(Some(seen));
    }
}

enum Go {
    On,
    Finish,
    Leave,
}
