//! Groups as bytes: what one sync of the journal makes durable, all of it or nothing. Pure.
//!
//! A group is a head of 28 bytes and its payload. All numbers are little endian.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | [`MAGIC`], which cannot occur in UTF-8 text |
//! | 4 | CRC-32 of everything after it |
//! | 8 | id of the segment, so that what an earlier use of the file left behind is told apart |
//! | 8 | number of the group: 1, 2, 3 … without a hole, over all segments |
//! | 4 | length of the payload |

use memchr::memmem;

/// The length of a group's head.
pub(in crate::store::embedded) const HEAD_BYTES: usize = 28;

const MAGIC: [u8; 4] = [0xf5, b'p', 0xf6, b's'];

/// A group, as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Group<'a> {
    /// The id of its segment.
    pub(super) segment: u64,
    /// Its number.
    pub(super) number: u64,
    /// What it holds.
    pub(super) payload: &'a [u8],
}

/// The groups at the beginning of a segment, which follow each other without a hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// The id of the segment.
    pub(super) segment: u64,
    /// The number of the first group.
    pub(super) first: u64,
    /// The number of the last group.
    pub(super) last: u64,
    /// The number of bytes that they take.
    pub(super) end: usize,
}

/// Fills in the head of a group. `bytes` are [`HEAD_BYTES`] of any content and then the payload.
pub(super) fn seal(bytes: &mut [u8], segment: u64, number: u64) {
    let Some((head, payload)) = bytes.split_first_chunk_mut::<HEAD_BYTES>() else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let fields = [&segment.to_le_bytes()[..], &number.to_le_bytes(), &length].concat();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&fields);
    checksum.update(payload);
    let sealed = [&MAGIC[..], &checksum.finalize().to_le_bytes(), &fields].concat();
    head.copy_from_slice(&sealed);
}

/// Reads the group at the beginning of `bytes`; nothing if there is none that is intact.
pub(super) fn parse(bytes: &[u8]) -> Option<Group<'_>> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let (segment, fields) = rest.split_first_chunk()?;
    let (number, fields) = fields.split_first_chunk()?;
    let (length, payload) = fields.split_first_chunk()?;
    let payload = payload.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let covered = rest.get(..HEAD_BYTES - 8 + payload.len())?;
    let is_intact = *magic == MAGIC && crc32fast::hash(covered) == u32::from_le_bytes(*checksum);
    let (segment, number) = (u64::from_le_bytes(*segment), u64::from_le_bytes(*number));
    is_intact.then_some(Group { segment, number, payload })
}

/// The groups of the segment that begins at the beginning of `bytes`, in order.
pub(super) fn groups(bytes: &[u8]) -> impl Iterator<Item = Group<'_>> {
    let first = parse(bytes);
    let mut next = first.map(|group| (0, group));
    std::iter::from_fn(move || {
        let (at, group) = next?;
        let after = at + HEAD_BYTES + group.payload.len();
        let follows = |next: &Group<'_>| next.segment == group.segment && next.number == group.number + 1;
        next = bytes.get(after..).and_then(parse).filter(follows).map(|group| (after, group));
        Some(group)
    })
}

/// The run at the beginning of `bytes`; nothing if they do not begin with an intact group.
pub(super) fn run(bytes: &[u8]) -> Option<Run> {
    groups(bytes).fold(None, |run, group| {
        let length = HEAD_BYTES + group.payload.len();
        let (first, end) = run.map_or((group.number, 0), |run: Run| (run.first, run.end));
        Some(Run { segment: group.segment, first, last: group.number, end: end + length })
    })
}

/// The first intact group at `from` or later whose number is above `above`, with the place where it begins.
pub(super) fn stray(bytes: &[u8], from: usize, above: u64) -> Option<(usize, Group<'_>)> {
    let rest = bytes.get(from..)?;
    let found = memmem::find_iter(rest, &MAGIC).filter_map(|at| Some((from + at, parse(rest.get(at..)?)?)));
    { found }.find(|(_, group)| group.number > above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(segment: u64, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [&[0; HEAD_BYTES], payload].concat();
        seal(&mut bytes, segment, number);
        bytes
    }

    proptest! {
        #[test]
        fn a_group_is_read_as_it_was_written_and_no_bit_of_it_can_change(
            segment: u64, number: u64, payload: Vec<u8>, rest: Vec<u8>, bit: prop::sample::Index,
        ) {
            let written = sealed(segment, number, &payload);
            let mut bytes = [written.clone(), rest].concat();
            prop_assert_eq!(parse(&bytes), Some(Group { segment, number, payload: &payload }));
            let bit = bit.index(written.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse(&bytes), None);
            prop_assert_eq!(parse(&written[..written.len() - 1]), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, magic: bool) {
            let bytes = if magic { [MAGIC.to_vec(), bytes].concat() } else { bytes };
            let _group = parse(&bytes);
            let _run = run(&bytes);
            let _stray = stray(&bytes, 1, 0);
        }
    }

    #[test]
    fn a_run_ends_where_the_chain_does() {
        let two = [sealed(3, 7, b"a"), sealed(3, 8, b"")].concat();
        let run_of = |after: Vec<u8>| run(&[two.clone(), after].concat());
        let expected = Some(Run { segment: 3, first: 7, last: 8, end: two.len() });
        for after in [vec![], vec![0; 100], sealed(3, 10, b"a hole"), sealed(2, 9, b"an earlier use")] {
            assert_eq!(run_of(after), expected);
        }
        assert_eq!(run_of(sealed(3, 9, b"")).unwrap().last, 9);
        assert_eq!(run(&two[1..]), None);
    }

    #[test]
    fn a_stray_is_found_wherever_it_begins() {
        let bytes = [vec![MAGIC[0]; 13], MAGIC.to_vec(), sealed(1, 4, b"old"), sealed(1, 5, b"new")].concat();
        assert_eq!(stray(&bytes, 2, 3).unwrap().1.number, 4);
        let (at, group) = stray(&bytes, 2, 4).unwrap();
        assert_eq!((at, group.payload), (bytes.len() - 31, &b"new"[..]));
        assert_eq!(stray(&bytes, 2, 5), None);
        assert_eq!(stray(&bytes, at + 1, 0), None);
    }
}
