//! A client that writes frames of HTTP/2 by hand, so that it can do what no library does.

use crate::support::PATIENCE;
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// The error code of one who is asked to calm down.
pub(super) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame that came.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY.
    pub(super) fn goaway(&self) -> Option<u32> {
        let code = self.payload.get(4..8)?.try_into().unwrap();
        (self.kind == GOAWAY).then(|| u32::from_be_bytes(code))
    }
}

/// One frame, as bytes.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a request, without indexing and without Huffman's code.
pub(super) fn block(method: &str, path: &str, fields: &[(String, String)]) -> Vec<u8> {
    fn text(text: &str, into: &mut Vec<u8>) {
        // An integer of 7 bits, or 127 and the rest in groups of 7 bits.
        match text.len() {
            len @ 0..127 => into.push(u8::try_from(len).unwrap()),
            len => {
                into.push(127);
                let mut rest = len - 127;
                while rest >= 128 {
                    into.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                into.push(u8::try_from(rest).unwrap());
            }
        }
        into.extend(text.as_bytes());
    }
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "gateway"), (":path", path)];
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut block = Vec::new();
    for (name, value) in pseudo.into_iter().chain(fields) {
        block.push(0);
        text(name, &mut block);
        text(value, &mut block);
    }
    block
}

/// A connection.
pub(super) struct Raw {
    socket: TcpStream,
    next_stream: u32,
}

impl Raw {
    /// Connects and announces the window of each stream.
    pub(super) async fn open(address: SocketAddr, window: u32) -> Self {
        let mut raw = Self { socket: TcpStream::connect(address).await.unwrap(), next_stream: 1 };
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        hello.extend(frame(SETTINGS, 0, 0, &settings));
        hello.extend(frame(SETTINGS, 1, 0, &[]));
        raw.send(&hello).await.unwrap();
        raw
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Asks for `path`. Returns the stream.
    pub(super) async fn get(&mut self, path: &str, fields: &[(String, String)]) -> io::Result<u32> {
        let stream = self.new_stream();
        let block = block("GET", path, fields);
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)).await?;
        Ok(stream)
    }

    pub(super) fn new_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Opens the window of `stream`, or of the connection, by so many bytes.
    pub(super) async fn open_window(&mut self, stream: u32, bytes: u32) -> io::Result<()> {
        self.send(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())).await
    }

    /// The next frame; `None` when the connection has ended, in order or by a reset.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read()).await.expect("neither a frame nor the end").ok()
    }

    async fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.socket.read_exact(&mut payload).await?;
        if (kind, flags) == (PING, 0) {
            // Or else the gateway takes the client for one that has vanished.
            self.send(&frame(PING, 1, 0, &payload)).await?;
        }
        Ok(Frame { kind, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next frame of this type on this stream.
    pub(super) async fn until(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection ended too early");
            if (frame.kind, frame.stream) == (kind, stream) {
                return frame;
            }
        }
    }

    /// All frames until the connection ends.
    pub(super) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}
