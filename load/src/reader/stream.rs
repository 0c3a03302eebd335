//! One stream: its connection, its place in the response, its cursor, and what it has seen. About 150 bytes, and no buffer
//! while it is idle.

use super::{
    calm::Calm,
    check::{Check, Message},
    socket,
    wire::{self, Block, Body, Broken, Head, Step},
};
use crate::{
    board::Board,
    plan::{Dialect, EventId, Plan},
    stats::{Seen, count},
};
use mio::net::TcpStream;
use std::io::{self, Read as _, Write as _};

/// What a browser waits before it reconnects, until the server says otherwise.
const DEFAULT_RETRY_MS: u32 = 3_000;

/// Bytes that a slow reader takes at once.
const SLOW_BYTES: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// No connection.
    Away,
    Connecting,
    /// Waiting for the whole head of the response.
    Head,
    Body,
    /// Never to come back: finished, or refused as only a person can mend.
    Gone,
}

/// Whether a stream reads as it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    Brisk,
    Slow,
    Stalled,
}

/// What became of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It goes on.
    Open,
    /// It ended and comes back after this many milliseconds.
    Back(u32),
    /// It ended for good.
    Gone,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) socket: Option<TcpStream>,
    pub(super) manner: Manner,
    /// It has had its first message since it connected.
    pub(super) ready: bool,
    pub(super) check: Check,
    phase: Phase,
    body: Body,
    /// It has all there was when it connected: updates are news from here on.
    live: bool,
    /// It connected with a cursor.
    resuming: bool,
    /// The last message said that the server ends the stream.
    told_to_go: bool,
    retry_ms: u32,
    /// When the connection was begun.
    since_us: u64,
    /// The id of the last event; empty before the first.
    cursor: Box<[u8]>,
    /// What came of a head or block that is not whole yet.
    tail: Vec<u8>,
}

/// What all streams of a process share.
pub(super) struct Context {
    pub(super) plan: Plan,
    pub(super) seen: Seen,
    pub(super) calm: Calm,
    pub(super) board: Option<std::sync::Arc<Board>>,
    pub(super) now_us: u64,
    /// Streams that are ready.
    pub(super) ready: usize,
    /// Streams that are on the way to their first message.
    pub(super) opening: usize,
    pub(super) buffer: Box<[u8]>,
    pub(super) scratch: Vec<u8>,
}

impl Stream {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            socket: None,
            manner,
            ready: false,
            check: Check::default(),
            phase: Phase::Away,
            body: Body::Done,
            live: false,
            resuming: false,
            told_to_go: false,
            retry_ms: DEFAULT_RETRY_MS,
            since_us: 0,
            cursor: Box::default(),
            tail: Vec::new(),
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.phase == Phase::Away
    }

    /// Its request has been sent, so that there is only to be read.
    pub(super) fn is_asking(&self) -> bool {
        self.phase == Phase::Head
    }

    /// On the way to its first message since this time.
    pub(super) fn opening_since(&self) -> Option<u64> {
        (self.socket.is_some() && !self.ready).then_some(self.since_us)
    }

    /// Begins a connection, numbered `index` of this process's streams.
    pub(super) fn connect(&mut self, index: usize, context: &mut Context) -> Turn {
        let plan = &context.plan;
        let source = index.checked_rem(plan.sources.len()).and_then(|at| plan.sources.get(at));
        context.seen.attempts += 1;
        self.since_us = context.now_us;
        (self.live, self.told_to_go) = (false, false);
        self.resuming = !self.cursor.is_empty();
        match socket::connect(plan.target.streams, source.copied()) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.phase = Phase::Connecting;
                context.opening += 1;
                Turn::Open
            }
            Err(error) => {
                count(&mut context.seen.failed, socket::word(&error));
                Turn::Back(self.wait(context))
            }
        }
    }

    /// Sends the request if the connection is there; on one machine it is so at once.
    pub(super) fn writable(&mut self, payment: usize, context: &mut Context) -> Turn {
        let (Phase::Connecting, Some(socket)) = (self.phase, &mut self.socket) else { return Turn::Open };
        context.scratch.clear();
        context.plan.stream_request(payment, &self.cursor, &mut context.scratch);
        match socket.write(&context.scratch) {
            // A request of a few hundred bytes always fits into an empty socket.
            Ok(written) if written == context.scratch.len() => {
                self.phase = Phase::Head;
                Turn::Open
            }
            // Not connected yet.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                Turn::Open
            }
            Ok(_) => self.fail("a request that did not fit", context),
            Err(error) => self.fail(socket::word(&error), context),
        }
    }

    /// Reads what is there. `closed`: the server has ended its side, so read to the end.
    pub(super) fn readable(&mut self, closed: bool, context: &mut Context) -> Turn {
        if self.manner == Manner::Stalled && self.ready && !closed {
            return Turn::Open;
        }
        let most = if self.manner == Manner::Slow { SLOW_BYTES } else { usize::MAX };
        loop {
            let Some(socket) = &mut self.socket else { return Turn::Open };
            let room = most.min(context.buffer.len());
            let Some(room) = context.buffer.get_mut(..room) else { return Turn::Open };
            match socket.read(room) {
                Ok(0) => return self.end("closed", context),
                Ok(length) => {
                    let whole = length == room.len();
                    match self.take(length, context) {
                        Ok(Turn::Open) => {}
                        Ok(turn) => return turn,
                        Err(broken) => return self.fail(broken, context),
                    }
                    if self.body == Body::Done && self.phase == Phase::Body {
                        return self.end("clean", context);
                    }
                    // The socket is empty, or a slow reader has had enough.
                    if (!whole || self.manner == Manner::Slow) && !closed {
                        return Turn::Open;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Open,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.end(socket::word(&error), context),
            }
        }
    }

    /// Takes `length` bytes of the buffer.
    fn take(&mut self, length: usize, context: &mut Context) -> Result<Turn, Broken> {
        let buffer = std::mem::take(&mut context.buffer);
        let bytes = buffer.get(..length).unwrap_or_default();
        context.seen.bytes += bytes.len() as u64;
        let turn = match self.phase {
            Phase::Body => self.content(bytes, context).map(|()| Turn::Open),
            _ => self.head(bytes, context),
        };
        context.buffer = buffer;
        turn
    }

    fn head(&mut self, bytes: &[u8], context: &mut Context) -> Result<Turn, Broken> {
        self.tail.extend_from_slice(bytes);
        let Some(head) = Head::parse(&self.tail)? else { return Ok(Turn::Open) };
        match head.status {
            200 => {
                context.seen.opened += 1;
                self.phase = Phase::Body;
                self.body = head.body;
                if context.plan.target.dialect == Dialect::Plain {
                    self.live = true;
                    self.first_message(context);
                }
                let rest = std::mem::take(&mut self.tail);
                self.content(rest.get(head.length..).unwrap_or_default(), context)?;
                Ok(Turn::Open)
            }
            // A browser does not come back after either.
            204 => {
                context.seen.finished += 1;
                Ok(self.leave(Phase::Gone, context))
            }
            status => {
                count(&mut context.seen.failed, &format!("status {status}"));
                Ok(self.leave(Phase::Gone, context))
            }
        }
    }

    fn content(&mut self, mut bytes: &[u8], context: &mut Context) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let (piece, rest) = self.body.take(bytes)?;
            if self.body == Body::Done && piece.is_empty() {
                break;
            }
            bytes = rest;
            if self.tail.is_empty() {
                let used = self.blocks(piece, context)?;
                self.tail.extend_from_slice(piece.get(used..).unwrap_or_default());
            } else {
                let mut whole = std::mem::take(&mut self.tail);
                whole.extend_from_slice(piece);
                let used = self.blocks(&whole, context)?;
                if used < whole.len() {
                    whole.drain(..used);
                    self.tail = whole;
                }
            }
            if self.tail.len() > wire::MAX_UNFINISHED {
                return Err("an event without end");
            }
        }
        Ok(())
    }

    /// Takes whole blocks; tells how many bytes they were.
    fn blocks(&mut self, text: &[u8], context: &mut Context) -> Result<usize, Broken> {
        let mut at = 0;
        while let Some((step, used)) = text.get(at..).and_then(wire::step) {
            at += used;
            match step {
                Step::Nothing => {}
                Step::Comment => context.seen.heartbeats += 1,
                Step::Retry(ms) => self.retry_ms = ms,
                Step::Block(block) => self.block(&block, context)?,
            }
        }
        Ok(at)
    }

    fn block(&mut self, block: &Block<'_>, context: &mut Context) -> Result<(), Broken> {
        self.retry_ms = block.retry_ms.unwrap_or(self.retry_ms);
        if let Some(id) = block.id {
            if self.cursor.len() == id.len() {
                self.cursor.copy_from_slice(id);
            } else {
                self.cursor = id.into();
            }
        }
        match &block.data {
            Some(_) if block.event == b"heartbeat" => context.seen.heartbeats += 1,
            Some(data) if matches!(block.event, b"" | b"message" | b"data") => {
                // Durable Streams sends what was posted meanwhile as one event, one object behind the other.
                for message in serde_json::Deserializer::from_slice(data).into_iter() {
                    let message = message.map_err(|_| "a message that is no JSON object")?;
                    self.message(&message, context);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, context: &mut Context) {
        let seen = &mut context.seen;
        let kind = match &*message.r#type {
            "stale" => {
                if message.stale {
                    "stale"
                } else {
                    "fresh"
                }
            }
            kind => kind,
        };
        count(&mut seen.messages, kind);
        let faults = self.check.take(message);
        seen.lost += faults.lost;
        seen.duplicated += faults.duplicated;
        seen.reordered += faults.reordered;
        seen.status_back += faults.status_back;
        seen.unexplained += faults.unexplained;
        match kind {
            "snapshot" if !message.reason.is_empty() => count(&mut seen.reasons, &message.reason),
            "closing" => {
                count(&mut seen.closings, &message.reason);
                self.told_to_go = true;
                return;
            }
            "update" => {
                let event = message.event.as_ref().and_then(|event| EventId::parse(&event.id));
                if let Some(EventId { number, due_us, lag_us }) = event {
                    let latency = context.now_us.saturating_sub(context.plan.epoch_us + due_us);
                    let from_sent = latency.saturating_sub(lag_us);
                    if self.live {
                        seen.deliveries += 1;
                        seen.latency.record(latency);
                        seen.from_sent.record(from_sent);
                        context.calm.record(from_sent);
                    } else {
                        seen.replayed.record(latency);
                    }
                    if let Some(board) = &context.board {
                        board.delivered(number);
                    }
                }
            }
            _ => {}
        }
        self.live |= message.up_to_date;
        self.first_message(context);
    }

    fn first_message(&mut self, context: &mut Context) {
        if !self.ready {
            self.ready = true;
            context.ready += 1;
            context.opening = context.opening.saturating_sub(1);
            let seen = &mut context.seen;
            let times = if self.resuming { &mut seen.resuming } else { &mut seen.opening };
            times.record(context.now_us.saturating_sub(self.since_us));
        }
    }

    /// Drops the connection, as a client that goes away.
    pub(super) fn drop_connection(&mut self, reset: bool, context: &mut Context) {
        if let Some(socket) = self.socket.as_ref().filter(|_| reset) {
            socket::reset_on_close(socket);
        }
        if self.socket.is_some() {
            self.leave(Phase::Away, context);
        }
    }

    /// No answer, or one that breaks the protocol.
    fn fail(&mut self, why: &str, context: &mut Context) -> Turn {
        count(&mut context.seen.failed, why);
        self.leave(Phase::Away, context)
    }

    /// Gives up waiting for the first message.
    pub(super) fn time_out(&mut self, context: &mut Context) -> Turn {
        self.fail("no first message", context)
    }

    /// The server's side has ended.
    fn end(&mut self, how: &str, context: &mut Context) -> Turn {
        if self.phase != Phase::Body {
            return self.fail(how, context);
        }
        if !self.ready {
            count(&mut context.seen.failed, "ended before the first message");
        }
        let how = if self.told_to_go { format!("{how} after closing") } else { how.to_owned() };
        count(&mut context.seen.ended, &how);
        self.leave(Phase::Away, context)
    }

    fn leave(&mut self, phase: Phase, context: &mut Context) -> Turn {
        self.socket = None;
        self.phase = phase;
        self.body = Body::Done;
        self.tail = Vec::new();
        if std::mem::take(&mut self.ready) {
            context.ready = context.ready.saturating_sub(1);
        } else {
            context.opening = context.opening.saturating_sub(1);
        }
        if phase == Phase::Gone { Turn::Gone } else { Turn::Back(self.wait(context)) }
    }

    fn wait(&self, context: &Context) -> u32 {
        self.retry_ms.min(context.plan.longest_wait_ms.unwrap_or(u32::MAX))
    }
}
