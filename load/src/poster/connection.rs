//! One kept-alive connection for posts. It takes one post at a time.

use crate::reader::{Body, Head, connect, word};
use mio::{Interest, Registry, Token, net::TcpStream};
use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

/// A post that has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) number: usize,
    pub(super) due_us: u64,
    pub(super) sent_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Away,
    Connecting,
    Idle,
    /// The request is being written, or the head of the answer has not come completely.
    Busy,
    /// The head has come; the rest of the answer is being read.
    Answer {
        status: u16,
        body: Body,
        closes: bool,
    },
}

/// The result of handling a connection's event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Nothing,
    /// The connection is ready for a post.
    Idle,
    /// The post was answered with this status. `again` tells whether the connection takes another post.
    Answered {
        status: u16,
        again: bool,
    },
    /// The connection is lost, and with it the post if there was one.
    Gone(&'static str),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) post: Option<Post>,
    socket: Option<TcpStream>,
    phase: Phase,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self { post: None, socket: None, phase: Phase::Away, out: Vec::new(), written: 0, input: Vec::new() }
    }

    pub(super) fn open(&mut self, to: SocketAddr, registry: &Registry, token: Token) -> io::Result<()> {
        self.close();
        let mut socket = connect(to, None, false)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        self.socket = Some(socket);
        self.phase = Phase::Connecting;
        Ok(())
    }

    pub(super) fn close(&mut self) {
        (self.socket, self.phase, self.written) = (None, Phase::Away, 0);
        self.input.clear();
    }

    /// Returns the empty buffer for the next request.
    pub(super) fn request(&mut self) -> &mut Vec<u8> {
        self.out.clear();
        self.written = 0;
        &mut self.out
    }

    /// Sends the request in the buffer.
    pub(super) fn send(&mut self, post: Post) -> Progress {
        self.post = Some(post);
        self.phase = Phase::Busy;
        self.write()
    }

    pub(super) fn event(&mut self, event: &mio::event::Event) -> Progress {
        if self.phase == Phase::Connecting && event.is_writable() {
            let Some(socket) = &self.socket else { return Progress::Nothing };
            if let Ok(Some(error)) | Err(error) = socket.take_error() {
                return self.gone(word(&error));
            }
            if socket.peer_addr().is_err() {
                return Progress::Nothing;
            }
            self.phase = Phase::Idle;
            return Progress::Idle;
        }
        if self.written < self.out.len() && event.is_writable() {
            let progress = self.write();
            if progress != Progress::Nothing {
                return progress;
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            return self.read();
        }
        Progress::Nothing
    }

    fn write(&mut self) -> Progress {
        while let (Some(socket), Some(rest @ [_, ..])) = (&mut self.socket, self.out.get(self.written..)) {
            match socket.write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return self.gone(word(&error)),
            }
        }
        Progress::Nothing
    }

    fn read(&mut self) -> Progress {
        let mut buffer = [0; 4 << 10];
        loop {
            let Some(socket) = &mut self.socket else { return Progress::Nothing };
            match socket.read(&mut buffer) {
                Ok(0) => return self.ended("closed"),
                Ok(length) => {
                    self.input.extend_from_slice(buffer.get(..length).unwrap_or_default());
                    match self.answer() {
                        Ok(Progress::Nothing) => {}
                        Ok(progress) => return progress,
                        Err(broken) => return self.gone(broken),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.ended(word(&error)),
            }
        }
    }

    /// Parses what has come of the answer.
    fn answer(&mut self) -> Result<Progress, &'static str> {
        if self.phase == Phase::Busy {
            let Some(head) = Head::parse(&self.input)? else { return Ok(Progress::Nothing) };
            self.input.drain(..head.length);
            self.phase = Phase::Answer { status: head.status, body: head.body, closes: head.closes };
        }
        let Phase::Answer { status, body, closes } = &mut self.phase else {
            return Err("an answer that nobody asked for");
        };
        let mut rest = self.input.as_slice();
        while !rest.is_empty() && *body != Body::Done {
            (_, rest) = body.take(rest)?;
        }
        self.input.clear();
        if *body != Body::Done {
            return Ok(Progress::Nothing);
        }
        let (status, again) = (*status, !*closes);
        self.phase = Phase::Idle;
        if !again {
            self.close();
        }
        Ok(Progress::Answered { status, again })
    }

    /// Handles the end of the connection by the server. An answer without a length is complete with it.
    fn ended(&mut self, why: &'static str) -> Progress {
        match self.phase {
            Phase::Answer { status, body: Body::UntilClosed, .. } => {
                self.close();
                Progress::Answered { status, again: false }
            }
            _ => self.gone(why),
        }
    }

    fn gone(&mut self, why: &'static str) -> Progress {
        self.close();
        Progress::Gone(why)
    }
}
