//! HTTP/1.1 as far as this client needs it: one connection, one request at a time, bodies with a length, in chunks or until the connection
//! ends. It tells a body that ended as it should from one that was cut off.

use httparse::EMPTY_HEADER;
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest response head and longest chunk-size line. A server that sends more is considered broken.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Most headers that a response may have.
const MAX_HEADERS: usize = 64;

/// How many bytes of a broken response its error shows.
const SHOWN_BYTES: usize = 200;

/// How many bytes are read from the socket at once. It is also the size of an idle stream's buffer.
const READ_BYTES: usize = 2 << 10;

/// Status and headers of a response.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Header names in lower case and values as they came, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header with this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Parses the head at the beginning of `bytes`. Returns the head and its length; none while it is incomplete.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(bytes).map_err(|error| broken(&error.to_string(), bytes))?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        let (Some(1), Some(status)) = (response.version, response.code) else {
            return Err(broken("the version is not HTTP/1.1", bytes));
        };
        let headers = response.headers.iter().map(|header| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
        });
        Ok(Some((Self { status, headers: headers.collect() }, length)))
    }

    fn framing(&self, to_head: bool) -> io::Result<Framing> {
        if to_head || self.status == 204 || self.status == 304 || self.status < 200 {
            return Ok(Framing::Length(0));
        }
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Framing::Chunked { left: 0, first: true });
        }
        match self.header("content-length") {
            Some(length) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| broken("the length is no number", length.as_bytes())),
            None => Ok(Framing::UntilClosed),
        }
    }
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body, decoded.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The body ended as its framing says: with the last chunk, or after its length.
    Clean,
    /// The connection was closed or reset before that.
    Unclean,
}

/// What a body brings next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// One whole chunk, or any part of a body without chunks.
    Data(Vec<u8>),
    /// The body has ended.
    End(End),
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    Chunked { left: u64, first: bool },
    UntilClosed,
}

/// One connection, kept alive between requests.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    host: SocketAddr,
    buffer: Vec<u8>,
    framing: Framing,
    /// The part of a chunk that has come so far.
    chunk: Vec<u8>,
}

impl Connection {
    /// Connects, and turns off Nagle's algorithm.
    pub async fn open(host: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(host).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, host, buffer: Vec::new(), framing: Framing::Length(0), chunk: Vec::new() })
    }

    /// Sends a request and reads the head of its response. The body must be read before the next request.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> io::Result<Head> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        if !body.is_empty() || method == "POST" {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.socket.write_all(&bytes).await?;
        self.read_head(method == "HEAD").await
    }

    /// Sends bytes that belong to no request. Whatever they are, their segment tells the server's kernel how much room there is in
    /// this one's receive buffer.
    pub async fn send_stray(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Reads the head of a response. `to_head` tells that it answers a HEAD request and has no body.
    async fn read_head(&mut self, to_head: bool) -> io::Result<Head> {
        loop {
            // The empty line after a last chunk may have come late; the parser passes over it.
            if let Some((head, length)) = Head::parse(&self.buffer)? {
                self.buffer.drain(..length);
                self.framing = head.framing(to_head)?;
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(broken("the head is too long", &self.buffer));
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a request and reads the whole response.
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> io::Result<Response> {
        let head = self.send(method, path, headers, body).await?;
        let mut body = Vec::new();
        loop {
            match self.piece().await? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End(End::Clean) => return Ok(Response { head, body }),
                Piece::End(End::Unclean) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Reads the next piece of the body. It can be cancelled: what has come so far is kept for the next call.
    pub(crate) async fn piece(&mut self) -> io::Result<Piece> {
        loop {
            if let Some(piece) = self.decode()? {
                return Ok(piece);
            }
            // A reset is an end too, but not a clean one.
            if !self.fill().await.unwrap_or(false) {
                let clean = matches!(self.framing, Framing::UntilClosed);
                return Ok(Piece::End(if clean { End::Clean } else { End::Unclean }));
            }
        }
    }

    fn decode(&mut self) -> io::Result<Option<Piece>> {
        match &mut self.framing {
            Framing::Length(0) => Ok(Some(Piece::End(End::Clean))),
            Framing::Length(_) | Framing::UntilClosed if self.buffer.is_empty() => Ok(None),
            Framing::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= take as u64;
                Ok(Some(Piece::Data(self.buffer.drain(..take).collect())))
            }
            Framing::UntilClosed => Ok(Some(Piece::Data(std::mem::take(&mut self.buffer)))),
            Framing::Chunked { .. } => self.decode_chunk(),
        }
    }

    fn decode_chunk(&mut self) -> io::Result<Option<Piece>> {
        let Framing::Chunked { left, first } = &mut self.framing else { return Ok(None) };
        if *left == 0 {
            // The line break that ends a chunk's data is read together with the next chunk's size.
            let from = if *first { 0 } else { 2 };
            let Some(end) = self.buffer.get(from..).and_then(|rest| memchr::memmem::find(rest, b"\r\n"))
            else {
                return Ok(None);
            };
            let line: Vec<u8> = self.buffer.drain(..from + end + 2).collect();
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            *left = u64::from_str_radix(&text, 16)
                .map_err(|_| broken("the size of a chunk is no number", &line))?;
            *first = false;
            if *left == 0 {
                self.framing = Framing::Length(0);
                // The gateway sends no trailers, only the empty line that ends them.
                self.buffer.drain(..self.buffer.len().min(2));
                return Ok(Some(Piece::End(End::Clean)));
            }
        }
        let take = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
        *left -= take as u64;
        let whole = *left == 0;
        self.chunk.extend(self.buffer.drain(..take));
        Ok(whole.then(|| Piece::Data(std::mem::take(&mut self.chunk))))
    }

    /// Reads from the socket once. Returns false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }
}

/// Sends one request on a connection of its own.
pub async fn request(
    host: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<Response> {
    Connection::open(host).await?.request(method, path, headers, body).await
}

/// Makes an error that shows the beginning of what the server sent.
fn broken(what: &str, bytes: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(bytes.get(..SHOWN_BYTES).unwrap_or(bytes));
    io::Error::new(io::ErrorKind::InvalidData, format!("the response is not HTTP/1.1, {what}: {shown:?}"))
}

#[cfg(test)]
mod tests;
