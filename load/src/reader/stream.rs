//! One stream: its connection, its position in the response, its cursor, and what it has seen. It takes about 150 bytes, and no buffer
//! while it is idle.

mod content;

use super::{
    calm::Calm,
    check::Check,
    link::{Link, Tls},
    socket,
    wire::{Body, Broken, Head},
};
use crate::{
    board::Board,
    plan::{Dialect, Plan},
    stats::{Seen, count},
};
use std::io;

/// How long a browser waits before it reconnects, until the server sends `retry`.
const DEFAULT_RETRY_MS: u32 = 3_000;

/// How many bytes a slow reader takes at once.
const SLOW_BYTES: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// There is no connection.
    Away,
    Connecting,
    /// The head of the response has not come completely.
    Head,
    Body,
    /// The stream does not reconnect: the payment is finished, or the server has refused the request.
    Gone,
}

/// How a stream reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    Brisk,
    Slow,
    Stalled,
}

/// What a stream does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It stays open.
    Open,
    /// It has ended and reconnects after this many milliseconds.
    Back(u32),
    /// It has ended and does not reconnect.
    Gone,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) link: Option<Link>,
    pub(super) manner: Manner,
    /// Whether it has had a message since it connected.
    pub(super) ready: bool,
    pub(super) check: Check,
    phase: Phase,
    body: Body,
    /// Whether it has received all there was when it connected, so that updates are live from here on.
    live: bool,
    /// Whether it connected with a cursor.
    resuming: bool,
    /// Whether the last message announced that the server ends the stream.
    told_to_go: bool,
    retry_ms: u32,
    /// When it began to connect.
    since_us: u64,
    /// The id of the last event; empty before the first one.
    cursor: Box<[u8]>,
    /// The beginning of a head or a block that is not complete yet.
    tail: Vec<u8>,
}

/// What all streams of a process share.
pub(super) struct Context {
    pub(super) plan: Plan,
    /// How to speak TLS, if the server does.
    pub(super) tls: Option<Tls>,
    pub(super) seen: Seen,
    pub(super) calm: Calm,
    pub(super) board: Option<std::sync::Arc<Board>>,
    pub(super) now_us: u64,
    /// The number of streams that have had their first message.
    pub(super) ready: usize,
    /// The number of streams that are connecting or waiting for their first message.
    pub(super) opening: usize,
    pub(super) buffer: Box<[u8]>,
    pub(super) scratch: Vec<u8>,
}

impl Stream {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            link: None,
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

    /// Whether the request has not been sent yet: the connection is not established, or its handshake not complete.
    pub(super) fn is_connecting(&self) -> bool {
        self.phase == Phase::Connecting
    }

    /// Whether the request has been sent, so that the stream only needs to read.
    pub(super) fn is_asking(&self) -> bool {
        self.phase == Phase::Head
    }

    /// When it began to connect, if it has not had its first message yet.
    pub(super) fn opening_since(&self) -> Option<u64> {
        (self.link.is_some() && !self.ready).then_some(self.since_us)
    }

    /// Begins to connect. `index` is the number of the stream in this process.
    pub(super) fn connect(&mut self, index: usize, context: &mut Context) -> Turn {
        let plan = &context.plan;
        let source = index.checked_rem(plan.sources.len()).and_then(|at| plan.sources.get(at));
        context.seen.attempts += 1;
        self.since_us = context.now_us;
        (self.live, self.told_to_go) = (false, false);
        self.resuming = !self.cursor.is_empty();
        let socket = socket::connect(plan.target.streams, source.copied(), self.manner == Manner::Stalled);
        match socket.and_then(|socket| Link::new(socket, context.tls.as_ref())) {
            Ok(link) => {
                self.link = Some(link);
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

    /// Sends the request if the connection is established, which on one machine is so at once.
    pub(super) fn writable(&mut self, payment: usize, context: &mut Context) -> Turn {
        let (Phase::Connecting, Some(link)) = (self.phase, &mut self.link) else { return Turn::Open };
        context.scratch.clear();
        context.plan.stream_request(payment, &self.cursor, &mut context.scratch);
        match link.write(&context.scratch) {
            // A request of a few hundred bytes always fits into the buffer of a new socket.
            Ok(written) if written == context.scratch.len() => {
                self.phase = Phase::Head;
                Turn::Open
            }
            // The connection is not established yet, or its handshake is not complete.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                Turn::Open
            }
            Ok(_) => self.fail("a request that did not fit", context),
            Err(error) => self.fail(socket::word(&error), context),
        }
    }

    /// Reads what has come. `closed` tells that the server has ended the connection, so that everything is read.
    pub(super) fn readable(&mut self, closed: bool, context: &mut Context) -> Turn {
        let is_stalled = self.manner == Manner::Stalled && self.ready && !closed;
        if is_stalled || self.phase == Phase::Connecting && !closed {
            return Turn::Open;
        }
        let most = if self.manner == Manner::Slow { SLOW_BYTES } else { usize::MAX };
        loop {
            let Some(link) = &mut self.link else { return Turn::Open };
            let room = most.min(context.buffer.len());
            let Some(room) = context.buffer.get_mut(..room) else { return Turn::Open };
            match link.read(room) {
                Ok(0) => return self.end("closed", context),
                Ok(length) => {
                    let whole = length == room.len() || link.reads_in_pieces();
                    match self.take(length, context) {
                        Ok(Turn::Open) => {}
                        Ok(turn) => return turn,
                        Err(broken) => return self.fail(broken, context),
                    }
                    if self.body == Body::Done && self.phase == Phase::Body {
                        return self.end("clean", context);
                    }
                    // The socket is empty, or a slow reader has taken its share.
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

    /// Handles the first `length` bytes of the buffer.
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
            // A browser does not reconnect after a 204, nor after the other statuses below.
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

    /// Drops the connection as a client does that goes away, if `reset` by a reset.
    pub(super) fn drop_connection(&mut self, reset: bool, context: &mut Context) {
        if let Some(link) = self.link.as_ref().filter(|_| reset) {
            socket::reset_on_close(&link.socket);
        }
        if self.link.is_some() {
            self.leave(Phase::Away, context);
        }
    }

    /// Handles a request that got no answer, or an answer that breaks the protocol.
    fn fail(&mut self, why: &str, context: &mut Context) -> Turn {
        count(&mut context.seen.failed, why);
        self.leave(Phase::Away, context)
    }

    /// Gives up waiting for the first message.
    pub(super) fn time_out(&mut self, context: &mut Context) -> Turn {
        self.fail("no first message", context)
    }

    /// Handles the end of the connection by the server.
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
        self.link = None;
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
