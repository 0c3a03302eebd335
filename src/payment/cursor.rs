//! A place in a log: `<tag>-<seq>`.
//!
//! The tag is random, drawn at each append and stored with the entry. A cursor is honoured only if the log's entry `seq`
//! bears that tag, so a log that was lost, rolled back or begun anew is always noticed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The digits of a tag's text in the order of their values: Crockford's base 32 in lower case, which leaves out `i`, `l`, `o`
/// and `u`. A cursor made of them is safe in a header, a URL and an SSE `id:` line, and never costs a CORS preflight.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A digit holds five bits, so 40 bits take 8 digits. Eight joined cursors with three-digit `seq`s are then
/// 8 × (8 + 1 + 3) + 7 = 103 bytes, below the 128 at which browsers start to ask before they send the header.
const TAG_DIGITS: usize = 8;

/// The random mark of a log entry, which proves that the entry is still the one that was seen. It has 40 bits; zero stands for
/// the place before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct Tag(u64);

impl Tag {
    /// The tag before the first entry.
    pub const NONE: Self = Self(0);

    /// A tag from random bits, never [`Tag::NONE`]. Bits above the 40th are dropped.
    #[must_use]
    pub const fn from_random(bits: u64) -> Self {
        let low = bits & ((1 << (5 * TAG_DIGITS)) - 1);
        if low == 0 { Self(1) } else { Self(low) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let mut text = [b'0'; TAG_DIGITS];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            // The mask keeps the index below 32.
            *place = DIGITS.get((rest & 31) as usize).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The text is not a tag, or not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: expected <tag>-<seq>")]
pub struct CursorError;

impl FromStr for Tag {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text == "0" {
            return Ok(Self::NONE);
        }
        if text.len() != TAG_DIGITS {
            return Err(CursorError);
        }
        let mut bits = 0_u64;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|d| *d == byte).ok_or(CursorError)?;
            bits = bits << 5 | digit as u64;
        }
        if bits == 0 { Err(CursorError) } else { Ok(Self(bits)) }
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A place in a log: the last entry that a reader has seen. `0-0` means that it has seen none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Cursor {
    /// The tag of the entry.
    pub tag: Tag,
    /// The number of the entry in its log, from 1; 0 before the first entry.
    pub seq: u64,
}

/// A cursor in eight bytes, for those who keep a million of them: 40 bits of tag, 24 of `seq`. A log has far fewer entries than
/// 24 bits count, so a larger `seq`, which only a client can have made up, becomes the largest that fits and names no entry either.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PackedCursor(u64);

/// The largest `seq` in a [`PackedCursor`].
const MAX_PACKED_SEQ: u64 = (1 << 24) - 1;

impl From<Cursor> for PackedCursor {
    fn from(Cursor { tag, seq }: Cursor) -> Self {
        Self(tag.0 << 24 | seq.min(MAX_PACKED_SEQ))
    }
}

impl From<PackedCursor> for Cursor {
    fn from(PackedCursor(bits): PackedCursor) -> Self {
        Self { tag: Tag(bits >> 24), seq: bits & MAX_PACKED_SEQ }
    }
}

impl Cursor {
    /// The place before the first entry: `0-0`.
    pub const START: Self = Self { tag: Tag::NONE, seq: 0 };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tag, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (tag, seq) = text.split_once('-').ok_or(CursorError)?;
        // `u64::from_str` accepts a sign and leading zeros; the text of a cursor has neither.
        if seq.is_empty()
            || !seq.bytes().all(|b| b.is_ascii_digit())
            || (seq.len() > 1 && seq.starts_with('0'))
        {
            return Err(CursorError);
        }
        let cursor = Self { tag: tag.parse()?, seq: seq.parse().map_err(|_| CursorError)? };
        if (cursor.tag == Tag::NONE) == (cursor.seq == 0) { Ok(cursor) } else { Err(CursorError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_cursor_names_the_same_entry_or_none() {
        for (bits, seq) in [(1, 1), (u64::MAX, 512), (0x12_3456_789a, MAX_PACKED_SEQ)] {
            let cursor = Cursor { tag: Tag::from_random(bits), seq };
            assert_eq!(Cursor::from(PackedCursor::from(cursor)), cursor);
        }
        assert_eq!(Cursor::from(PackedCursor::from(Cursor::START)), Cursor::START);
        let invented = Cursor { tag: Tag::from_random(7), seq: u64::MAX };
        assert_eq!(Cursor::from(PackedCursor::from(invented)), Cursor { seq: MAX_PACKED_SEQ, ..invented });
    }

    #[test]
    fn a_cursor_survives_its_text_form() {
        for bits in [0, 1, 31, 32, 0xff_ffff_ffff, u64::MAX, 0x12_3456_789a] {
            let cursor = Cursor { tag: Tag::from_random(bits), seq: 512 };
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor), "{text}");
            assert_eq!(text.len(), 12);
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
        assert_eq!(Cursor::START.to_string(), "0-0");
        assert_eq!("0-0".parse(), Ok(Cursor::START));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for bad in [
            "",
            "-",
            "0",
            "0-",
            "-0",
            "0-1",
            "00000000-1",
            "00000001-0",
            "00000001-+1",
            "00000001-01",
            "0000001-1",
            "0000000i-1",
            "00000001-99999999999999999999",
            "00000001-1-1",
            "A0000001-1",
            "00000001-1\n",
            "\u{0}-0",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad:?}");
        }
    }
}
