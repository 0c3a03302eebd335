//! `bare`: a lower bound that servers are compared with. It has one thread, one epoll, and one `write(2)` per socket and event. It hardly
//! speaks HTTP: one read is taken for one request, `GET` joins a channel, and anything else posts to it.
//!
//! It is not meant for use: it trusts its clients, stores nothing, and drops a client whose socket cannot take an event at once.

use clap::Parser;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Socket, Type};
use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

const LISTENER: Token = Token(usize::MAX);
const NONE: u32 = u32::MAX;
const BACKLOG: i32 = 16_384;

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\r\nretry: 1000\n";
const POSTED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[derive(Parser, Debug)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// How many connections memory is allocated for at the start.
    #[arg(long, default_value_t = 20_000)]
    connections: usize,
    /// Seconds between heartbeats, each of which is a colon and a newline; 0 for no heartbeats.
    #[arg(long, default_value_t = 0)]
    heartbeat: u64,
}

/// A connection. Connections of one channel form a linked list.
struct Client {
    socket: Option<TcpStream>,
    channel: u64,
    before: u32,
    after: u32,
}

struct Server {
    clients: Vec<Client>,
    free: Vec<u32>,
    /// The first client of each channel's list.
    channels: HashMap<u64, u32>,
    buffer: Vec<u8>,
    frame: Vec<u8>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let limit = rustix::process::Rlimit { current: limit, maximum: limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
    let socket = Socket::new(Domain::for_address(arguments.listen), Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&arguments.listen.into())?;
    socket.listen(BACKLOG)?;
    let mut listener = TcpListener::from_std(socket.into());
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut server = Server {
        clients: Vec::with_capacity(arguments.connections),
        free: Vec::new(),
        channels: HashMap::new(),
        buffer: vec![0; 64 << 10],
        frame: Vec::new(),
    };
    let every = (arguments.heartbeat > 0).then(|| Duration::from_secs(arguments.heartbeat));
    let mut next = every.map(|every| Instant::now() + every);
    let mut events = Events::with_capacity(1_024);
    loop {
        let wait = next.map(|next| next.saturating_duration_since(Instant::now()));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => server.accept(&listener, &poll)?,
                Token(index) => server.read(index, event.is_read_closed()),
            }
        }
        if let (Some(at), Some(every)) = (next, every)
            && Instant::now() >= at
        {
            server.beat();
            next = Some(at + every);
        }
    }
}

impl Server {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => continue,
            };
            let client = Client { socket: None, channel: 0, before: NONE, after: NONE };
            let index = self.free.pop().unwrap_or_else(|| {
                self.clients.push(client);
                u32::try_from(self.clients.len() - 1).unwrap_or(NONE)
            });
            poll.registry().register(&mut socket, Token(index as usize), Interest::READABLE)?;
            if let Some(client) = self.clients.get_mut(index as usize) {
                client.socket = Some(socket);
            }
        }
    }

    fn read(&mut self, index: usize, closed: bool) {
        loop {
            let Some(socket) = self.clients.get_mut(index).and_then(|client| client.socket.as_mut()) else {
                return;
            };
            let length = match socket.read(&mut self.buffer) {
                Ok(0) => return self.leave(index),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.leave(index),
            };
            self.request(index, length);
            if !closed && length < self.buffer.len() {
                return;
            }
        }
    }

    fn request(&mut self, index: usize, length: usize) {
        let request = self.buffer.get(..length).unwrap_or_default();
        let mut words = request.splitn(3, |byte| *byte == b' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        // The channel is the part of the path after its second slash.
        let name = path.splitn(3, |byte| *byte == b'/').nth(2).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let channel = hasher.finish();
        if method == b"GET" {
            self.join(index, channel);
            self.send(index, HEAD);
            return;
        }
        let body = memchr::memmem::find(request, b"\r\n\r\n").and_then(|end| request.get(end + 4..));
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        frame.extend_from_slice(b"data: ");
        frame.extend_from_slice(body.unwrap_or_default());
        frame.extend_from_slice(b"\n\n");
        let mut next = self.channels.get(&channel).copied().unwrap_or(NONE);
        while let Some(client) = self.clients.get(next as usize) {
            let at = next as usize;
            next = client.after;
            self.send(at, &frame);
        }
        self.frame = frame;
        self.send(index, POSTED);
    }

    fn join(&mut self, index: usize, channel: u64) {
        let own = u32::try_from(index).unwrap_or(NONE);
        let first = self.channels.insert(channel, own).unwrap_or(NONE);
        if let Some(client) = self.clients.get_mut(first as usize) {
            client.before = own;
        }
        if let Some(client) = self.clients.get_mut(index) {
            (client.channel, client.before, client.after) = (channel, NONE, first);
        }
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        let socket = self.clients.get_mut(index).and_then(|client| client.socket.as_mut());
        let written = socket.map(|socket| socket.write(bytes));
        if !matches!(written, Some(Ok(length)) if length == bytes.len()) {
            self.leave(index);
        }
    }

    fn beat(&mut self) {
        for index in 0..self.clients.len() {
            if self.clients.get(index).is_some_and(|client| client.channel != 0 && client.socket.is_some()) {
                self.send(index, b":\n");
            }
        }
    }

    fn leave(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.socket.take().is_none() {
            return;
        }
        let (channel, before, after) = (client.channel, client.before, client.after);
        (client.channel, client.before, client.after) = (0, NONE, NONE);
        if let Some(client) = self.clients.get_mut(after as usize) {
            client.before = before;
        }
        if let Some(client) = self.clients.get_mut(before as usize) {
            client.after = after;
        } else if channel != 0 {
            match after {
                NONE => drop(self.channels.remove(&channel)),
                after => drop(self.channels.insert(channel, after)),
            }
        }
        self.free.push(u32::try_from(index).unwrap_or(NONE));
    }
}
