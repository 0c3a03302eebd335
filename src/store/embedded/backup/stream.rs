//! The format in which a store is sent. Pure.
//!
//! A title, and then frames: a byte that says what it is, the length of its body (4 bytes, little endian), and the body.
//!
//! | frame | body |
//! |---|---|
//! | 1: a pair of the tree | length of the key (2 bytes), key, value |
//! | 2: changes that come after all pairs | as one group of the journal holds them |
//! | 3: the end | number of the pairs (8 bytes), XXH3 of all bytes before this frame (8 bytes) |

use super::BackupError;
use bytes::Bytes;
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3Default;

/// The first line. Its number is raised when the frames, the tree's layout or the changes are not what an older version understands.
const TITLE: &[u8] = b"Paystream backup 1\n";

const PAIR: u8 = 1;
const CHANGES: u8 = 2;
const END: u8 = 3;

/// The longest body: a group of the journal is at most 5 MiB long.
const MAX_BODY: usize = 8 << 20;

/// What a frame holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// A pair of the tree, in the order of the keys.
    Pair(Vec<u8>, Vec<u8>),
    /// The payload of a group of the journal.
    Changes(Vec<u8>),
}

/// Makes a stream.
pub(super) struct Encoder {
    out: Vec<u8>,
    checksum: Xxh3Default,
    pairs: u64,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { out: TITLE.to_vec(), checksum: Xxh3Default::new(), pairs: 0 }
    }

    /// The bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    pub(super) fn pair(&mut self, key: &[u8], value: &[u8]) {
        self.pairs += 1;
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes();
        self.frame(PAIR, &[&length, key, value]);
    }

    pub(super) fn changes(&mut self, payload: &[u8]) {
        self.frame(CHANGES, &[payload]);
    }

    /// What was added since the last call.
    pub(super) fn take(&mut self) -> Bytes {
        self.checksum.update(&self.out);
        std::mem::take(&mut self.out).into()
    }

    /// The end of the stream.
    pub(super) fn end(mut self) -> Bytes {
        self.checksum.update(&self.out);
        let (pairs, checksum) = (self.pairs.to_le_bytes(), self.checksum.digest().to_le_bytes());
        self.frame(END, &[&pairs, &checksum]);
        self.out.into()
    }

    fn frame(&mut self, kind: u8, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.out.push(kind);
        self.out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
    }
}

/// Reads a stream.
pub(super) struct Decoder<R> {
    from: R,
    checksum: Xxh3Default,
    pairs: u64,
}

impl<R: Read> Decoder<R> {
    /// Reads the title.
    pub(super) fn new(from: R) -> Result<Self, BackupError> {
        let mut decoder = Self { from, checksum: Xxh3Default::new(), pairs: 0 };
        let mut title = [0; TITLE.len()];
        decoder.read(&mut title)?;
        if title != TITLE {
            return Err(BackupError::Foreign("the title of its stream is another one".into()));
        }
        decoder.checksum.update(TITLE);
        Ok(decoder)
    }

    /// The next item; nothing at the end, after number and checksum were compared.
    pub(super) fn next(&mut self) -> Result<Option<Item>, BackupError> {
        let mut head = [0; 5];
        self.read(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_BODY {
            return Err(BackupError::Foreign(format!("a frame of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.read(&mut body)?;
        if kind == END {
            return self.check(&body).map(|()| None);
        }
        self.checksum.update(&head);
        self.checksum.update(&body);
        match kind {
            PAIR => {
                self.pairs += 1;
                pair(&body).map(Some).ok_or_else(|| BackupError::Foreign("a pair without a key".into()))
            }
            CHANGES => Ok(Some(Item::Changes(body))),
            _ => Err(BackupError::Foreign(format!("a frame of kind {kind}"))),
        }
    }

    /// The number of pairs so far.
    pub(super) fn pairs(&self) -> u64 {
        self.pairs
    }

    fn check(&self, end: &[u8]) -> Result<(), BackupError> {
        let expected = [self.pairs.to_le_bytes(), self.checksum.digest().to_le_bytes()].concat();
        if end != expected {
            return Err(BackupError::Unlike("its stream did not arrive as it was sent".into()));
        }
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.from.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Early(io::Error::other("its stream has no end")),
            _ => BackupError::Early(error),
        })
    }
}

fn pair(body: &[u8]) -> Option<Item> {
    let (length, rest) = body.split_first_chunk()?;
    let (key, value) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some(Item::Pair(key.to_vec(), value.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Vec<Item>, BackupError> {
        let mut decoder = Decoder::new(bytes)?;
        std::iter::from_fn(|| decoder.next().transpose()).collect()
    }

    fn written(items: &[Item]) -> Vec<u8> {
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        for item in items {
            match item {
                Item::Pair(key, value) => encoder.pair(key, value),
                Item::Changes(payload) => encoder.changes(payload),
            }
            bytes.extend(encoder.take());
        }
        bytes.extend(encoder.end());
        bytes
    }

    fn items() -> impl Strategy<Value = Vec<Item>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        let item = prop_oneof![
            (bytes(), bytes()).prop_map(|(key, value)| Item::Pair(key, value)),
            bytes().prop_map(Item::Changes),
        ];
        prop::collection::vec(item, 0..8)
    }

    proptest! {
        #[test]
        fn a_stream_is_read_as_it_was_written_and_no_bit_of_it_can_change(
            items in items(), bit: prop::sample::Index, cut: prop::sample::Index,
        ) {
            let sound = written(&items);
            prop_assert_eq!(read(&sound).unwrap(), items);
            let mut damaged = sound.clone();
            let bit = bit.index(sound.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(read(&damaged).is_err());
            prop_assert!(read(&sound[..cut.index(sound.len())]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _error = read(&[TITLE, &bytes].concat());
        }
    }
}
