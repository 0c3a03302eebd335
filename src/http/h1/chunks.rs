//! Where a chunked body ends (RFC 9112, section 7.1), by the rules of hyper, which reads the body itself.

/// What the next byte of the body belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chunks {
    /// The size of a chunk: its value so far, and whether it has a digit.
    Size(u64, bool),
    /// White space after a size.
    Space(u64),
    /// An extension, up to the end of the line.
    Extension(u64),
    /// The end of the line with a size.
    SizeEnd(u64),
    /// So many bytes of a chunk.
    Data(u64),
    /// The CR after a chunk.
    DataReturn,
    /// The LF after a chunk.
    DataFeed,
    /// The beginning of a line after the last chunk.
    Line,
    /// A trailer, up to the end of its line.
    Trailer,
    /// The LF after a trailer.
    TrailerFeed,
    /// The last byte of the body.
    LastFeed,
}

/// How far bytes belong to the body.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// All of them.
    All,
    /// So many; then the body ends.
    End(usize),
    /// This is no chunked body.
    Broken,
}

impl Chunks {
    /// The beginning of a body.
    pub(super) const fn begin() -> Self {
        Self::Size(0, false)
    }

    /// Follows the next bytes.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Self::Data(left) = self {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += len;
                *left -= len as u64;
                if *left == 0 {
                    *self = Self::DataReturn;
                }
                continue;
            }
            at += 1;
            if *self == Self::LastFeed && *byte == b'\n' {
                return Step::End(at);
            }
            let Some(next) = self.after(*byte) else { return Step::Broken };
            *self = next;
        }
        Step::All
    }

    /// What follows `byte`, unless this is [`Chunks::Data`]. `None` if the byte must not be there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size(size, _), byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                Self::Size(size.checked_mul(16)?.checked_add(digit.into())?, true)
            }
            (Self::Size(size, true) | Self::Space(size), b' ' | b'\t') => Self::Space(size),
            (Self::Size(size, true) | Self::Space(size), b';') => Self::Extension(size),
            (Self::Size(size, true) | Self::Space(size) | Self::Extension(size), b'\r') => {
                Self::SizeEnd(size)
            }
            (Self::Extension(size), byte) if byte != b'\n' => Self::Extension(size),
            (Self::SizeEnd(0), b'\n') | (Self::TrailerFeed, b'\n') => Self::Line,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataFeed,
            (Self::DataFeed, b'\n') => Self::begin(),
            (Self::Line, b'\r') => Self::LastFeed,
            (Self::Trailer, b'\r') => Self::TrailerFeed,
            (Self::Line | Self::Trailer, _) => Self::Trailer,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_it_should_however_it_is_cut() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "0005;a=\"b\"\r\n\r\n\r\n\r\r\n00\r\nx-t: v\r\nx-u: w\r\n\r\n",
            "A \t;ext\r\n0123456789\r\n1\r\n\n\r\n0 \r\n\r\n",
        ] {
            let all = format!("{body}GET / HTTP/1.1\r\n");
            for cut in 0..=body.len() {
                let (first, rest) = all.as_bytes().split_at(cut);
                let mut chunks = Chunks::begin();
                let end = match chunks.follow(first) {
                    Step::End(end) => end,
                    Step::All => match chunks.follow(rest) {
                        Step::End(end) => cut + end,
                        other => panic!("{body:?} cut at {cut}: {other:?}"),
                    },
                    Step::Broken => panic!("{body:?} cut at {cut} is broken"),
                };
                assert_eq!(end, body.len(), "{body:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_chunked_body_is_broken() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5\nhello\n",
            "5;a\nhello",
            "5\rhello",
            "5\r\nhelloworld",
            "5\r\nhello\n",
            "11111111111111111\r\n",
            "0\r\n\rx",
            "0\r\nx-t: v\rx",
        ] {
            assert_eq!(Chunks::begin().follow(body.as_bytes()), Step::Broken, "{body:?}");
        }
    }
}
