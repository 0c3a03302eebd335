//! The frames of an HTTP/2 connection as they pass by, in one direction.
//!
//! [`Frames`] follows the bytes and reports the head of each frame (RFC 9113, section 4.1); it holds no more than one
//! incomplete head. It does not check the frames, which is done by who reads them.

/// The first bytes of every HTTP/2 connection. No HTTP/1 request can begin with them (RFC 9113, section 3.4).
pub(in crate::http) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
const HEAD_BYTES: usize = 9;

/// The types of frames that are told apart (RFC 9113, section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;

/// The flag of DATA and HEADERS that ends the stream in this direction; of SETTINGS and PING, that they acknowledge.
pub(super) const END_STREAM_OR_ACK: u8 = 1;

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHead {
    /// Bytes of the payload.
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The stream, or 0 for the connection.
    pub(super) stream: u32,
}

impl FrameHead {
    fn read(bytes: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, rest @ ..] = bytes;
        let stream = u32::from_be_bytes(rest) & (u32::MAX >> 1);
        Self { len: u32::from_be_bytes([0, a, b, c]), kind, flags, stream }
    }
}

/// Follows the bytes of one direction.
pub(super) struct Frames {
    /// The head that is being read.
    head: [u8; HEAD_BYTES],
    /// The bytes of it that have come.
    have: usize,
    /// Bytes that pass before the next head begins.
    pass: usize,
}

impl Frames {
    /// Follows a direction that begins with `preface` bytes before the first frame.
    pub(super) const fn after(preface: usize) -> Self {
        Self { head: [0; HEAD_BYTES], have: 0, pass: preface }
    }

    /// Follows the next bytes. Returns the first head that they complete, and the bytes after it.
    pub(super) fn next<'a>(&mut self, mut bytes: &'a [u8]) -> Option<(FrameHead, &'a [u8])> {
        let pass = self.pass.min(bytes.len());
        self.pass -= pass;
        bytes = bytes.get(pass..)?;
        while let Some((byte, rest)) = bytes.split_first() {
            *self.head.get_mut(self.have)? = *byte;
            self.have += 1;
            bytes = rest;
            if self.have == HEAD_BYTES {
                let head = FrameHead::read(self.head);
                self.have = 0;
                self.pass = usize::try_from(head.len).unwrap_or(usize::MAX);
                return Some((head, bytes));
            }
        }
        None
    }

    /// Whether a frame has ended here and none has begun, so that another may be put in between.
    pub(super) const fn is_between(&self) -> bool {
        self.have == 0 && self.pass == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: &mut Frames, mut bytes: &[u8]) -> Vec<(u8, u32, u32)> {
        let mut heads = Vec::new();
        while let Some((head, rest)) = frames.next(bytes) {
            heads.push((head.kind, head.len, head.stream));
            bytes = rest;
        }
        heads
    }

    #[test]
    fn heads_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"preface".to_vec();
        bytes.extend([0, 0, 0, 4, 1, 0, 0, 0, 0]);
        bytes.extend([0, 0, 3, 0, 0, 0x80, 0, 1, 1, b'a', b'b', b'c']);
        bytes.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        let expected = vec![(4, 0, 0), (0, 3, 257), (8, 4, 0)];
        for size in 1..bytes.len() {
            let mut frames = Frames::after(7);
            let found: Vec<_> = bytes.chunks(size).flat_map(|chunk| all(&mut frames, chunk)).collect();
            assert_eq!(found, expected, "in pieces of {size}");
            assert!(frames.is_between());
        }
        let mut frames = Frames::after(7);
        all(&mut frames, &bytes[..bytes.len() - 1]);
        assert!(!frames.is_between());
    }
}
