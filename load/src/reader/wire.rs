//! Parses responses in place: heads, chunks, and the blocks of an event stream.
//!
//! Nothing here keeps bytes. A caller passes what it has just read, and keeps what is not complete yet itself. So an idle stream of this
//! tool needs no buffer. The tests compare this parser with that of the library's `sse` module, which keeps every line for inspection.

use httparse::EMPTY_HEADER;
use memchr::memchr;
use std::borrow::Cow;

/// Longest response head, and longest block of an event stream, that a caller keeps while it is incomplete.
pub(crate) const MAX_UNFINISHED: usize = 1 << 20;

/// Most headers that a response may have.
const MAX_HEADERS: usize = 64;

/// A violation of the protocol, in words for counting.
pub(crate) type Broken = &'static str;

/// What the head of a response says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) body: Body,
    /// Whether the server closes the connection after this response.
    pub(crate) closes: bool,
    /// The length of the head in bytes, including its empty line.
    pub(crate) length: usize,
}

impl Head {
    /// Parses a head; none while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(bytes).map_err(|error| match error {
            httparse::Error::TooManyHeaders => "a response with too many headers",
            httparse::Error::HeaderName | httparse::Error::HeaderValue => "a malformed header",
            _ => "a response that is not HTTP/1",
        })?;
        let (httparse::Status::Complete(length), Some(status)) = (parsed, response.code) else {
            return if bytes.len() > MAX_UNFINISHED {
                Err("a response head that is too long")
            } else {
                Ok(None)
            };
        };
        let mut head = Self { status, body: Body::UntilClosed, closes: false, length };
        for httparse::Header { name, value } in response.headers {
            let value = value.trim_ascii();
            if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
                head.body = Body::ChunkSize { so_far: 0 };
            } else if name.eq_ignore_ascii_case("content-length") {
                let length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                head.body = Body::Length(length.ok_or("a content length that is no number")?);
            } else if name.eq_ignore_ascii_case("connection") {
                head.closes |= value.eq_ignore_ascii_case(b"close");
            }
        }
        if status == 204 || status == 304 || head.body == Body::Length(0) {
            head.body = Body::Done;
        }
        Ok(Some(head))
    }
}

/// What is still to come of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    UntilClosed,
    Length(u32),
    /// In the line with the size of a chunk.
    ChunkSize {
        so_far: u32,
    },
    /// Behind the digits of the size, up to the end of the line.
    ChunkExtension {
        size: u32,
    },
    Chunk(u32),
    /// In the line break after the data of a chunk.
    ChunkEnd,
    /// After the last chunk, up to an empty line. `empty` tells that the current line is empty so far.
    Trailer {
        empty: bool,
    },
    Done,
}

impl Body {
    /// Splits the next piece of content off the front of `input`. Returns the piece and what is left; call it until nothing is left.
    pub(crate) fn take<'a>(&mut self, input: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Broken> {
        let mut rest = input;
        loop {
            let cut = |at: usize| rest.split_at_checked(at).unwrap_or((rest, &[]));
            match self {
                Self::UntilClosed => return Ok((rest, &[])),
                Self::Done => return Ok((&[], &[])),
                Self::Length(left) | Self::Chunk(left) => {
                    let (piece, after) = cut(*left as usize);
                    *left -= u32::try_from(piece.len()).unwrap_or(*left);
                    if *left == 0 {
                        *self = if matches!(self, Self::Chunk(_)) { Self::ChunkEnd } else { Self::Done };
                    }
                    return Ok((piece, after));
                }
                _ => {}
            }
            let Some((byte, after)) = rest.split_first() else { return Ok((&[], &[])) };
            *self = self.after(*byte)?;
            rest = after;
        }
    }

    /// The state after one byte of the framing.
    fn after(self, byte: u8) -> Result<Self, Broken> {
        Ok(match (self, byte) {
            (Self::ChunkSize { so_far }, b'\r' | b';') => Self::ChunkExtension { size: so_far },
            (Self::ChunkSize { so_far }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or("a chunk size that is none")?;
                let so_far = so_far.checked_mul(16).and_then(|size| size.checked_add(digit));
                Self::ChunkSize { so_far: so_far.ok_or("a chunk beyond 4 GiB")? }
            }
            (Self::ChunkExtension { size: 0 }, b'\n') => Self::Trailer { empty: true },
            (Self::ChunkExtension { size }, b'\n') => Self::Chunk(size),
            (Self::ChunkEnd, b'\r') => Self::ChunkEnd,
            (Self::ChunkEnd, b'\n') => Self::ChunkSize { so_far: 0 },
            (Self::ChunkEnd, _) => return Err("a chunk longer than it said"),
            (Self::Trailer { empty: true }, b'\n') => Self::Done,
            (Self::Trailer { empty }, b'\r') => Self::Trailer { empty },
            (Self::Trailer { .. }, byte) => Self::Trailer { empty: byte == b'\n' },
            (same, _) => same,
        })
    }
}

/// One block of an event stream.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) event: &'a [u8],
    pub(crate) retry_ms: Option<u32>,
    /// The data lines, joined by newlines; none if there was no data line.
    pub(crate) data: Option<Cow<'a, [u8]>>,
}

/// What the text of a stream begins with.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Step<'a> {
    /// A whole block.
    Block(Block<'a>),
    /// A comment between blocks, which is a heartbeat.
    Comment,
    /// A `retry:` line between blocks, in milliseconds.
    Retry(u32),
    /// An empty line or an unknown field between blocks.
    Nothing,
}

/// Parses the next step and returns it with its length; none if it is incomplete. Lines end with LF or CRLF. (The standard allows a lone
/// CR too, but no server known to us sends it.)
pub(crate) fn step(text: &[u8]) -> Option<(Step<'_>, usize)> {
    let mut block = Block::default();
    let mut started = false;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let end = memchr(b'\n', rest)?;
        let line = rest.get(..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at += end + 1;
        if line.is_empty() {
            return Some(if started { (Step::Block(block), at) } else { (Step::Nothing, at) });
        }
        let (field, value) = match memchr(b':', line) {
            Some(colon) => line.split_at_checked(colon)?,
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" if !started => return Some((Step::Comment, at)),
            b"retry" => {
                let ms = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                match ms {
                    Some(ms) if !started => return Some((Step::Retry(ms), at)),
                    ms => block.retry_ms = ms.or(block.retry_ms),
                }
            }
            b"id" => (block.id, started) = (Some(value), true),
            b"event" => (block.event, started) = (value, true),
            b"data" => {
                started = true;
                block.data = Some(match block.data.take() {
                    None => Cow::Borrowed(value),
                    Some(before) => {
                        let mut joined = before.into_owned();
                        joined.push(b'\n');
                        joined.extend_from_slice(value);
                        Cow::Owned(joined)
                    }
                });
            }
            _ if !started => return Some((Step::Nothing, at)),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
