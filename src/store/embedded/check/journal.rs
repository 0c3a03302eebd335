//! The journals: files of batches, in the order in which they were written. The last one is being written to; the others are complete, and
//! go when the sorted files hold what they say.
//!
//! A batch is: `1`, the number of its items (4 bytes), its sequence number (8 bytes); its items; `3`, the XXH3 of the bytes of the items (8
//! bytes), and `FJL\x03`. An item is: `2`, the type of its value, whether it is compressed, its keyspace (8 bytes), the lengths of key (2),
//! value (4) and stored value (4), key and stored value; or `4` and a keyspace (8) that is emptied. Numbers are little endian. A new file is
//! filled up with zeros.

use super::findings::{Damage, Findings, Unfinished, missing};
use memchr::memmem;
use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::Xxh3Default;

/// The end of every batch.
const TRAILER: &[u8; 4] = b"FJL\x03";

/// The length of the pages in which the kernel writes files. After a power loss, some pages of what was not synced may be there and others
/// be zeros.
const PAGE: u64 = 4096;

/// No honest gap between two sequence numbers is this long, and no honest number this large.
const LONGEST_GAP: u64 = 1 << 40;

/// A whole batch.
#[derive(Default)]
struct Batch {
    sequence: u64,
    /// The events that it adds to logs.
    events: u64,
    /// Whether it holds what is synced before anybody is answered: an event, or a record of a quarantine.
    is_synced: bool,
}

/// What stands at a place of a journal.
enum Found {
    Batch(Batch),
    /// The bytes end within a batch.
    Beginning,
    /// No batch.
    Nothing,
}

/// Checks all journals. `persisted` is the greatest sequence number that the sorted files hold.
pub(super) fn check(database: &Path, persisted: Option<u64>, findings: &mut Findings) -> io::Result<()> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            match number {
                Some(number) => journals.push((number, path)),
                None => findings.damage.push(damage(&path, "is no journal of the store", "nothing")),
            }
        }
    }
    journals.sort_unstable();
    let Some((last, _)) = journals.last().cloned() else {
        findings.damage.push(missing(database.join("*.jnl"), "the events of the last minutes or hours"));
        return Ok(());
    };
    let mut numbers = Vec::new();
    let oldest = journals.first().map(|(_, path)| path.clone()).unwrap_or_default();
    for (number, path) in journals {
        Journal { path, is_last: number == last }.check(&mut numbers, findings)?;
    }
    if hides_first(&numbers, persisted) {
        let what = format!("its first write has a number that the sorted files passed long ago, {numbers:?}");
        findings.damage.push(damage(&oldest, &what, "that write"));
    }
    Ok(())
}

/// Whether the library would skip the first batch of the oldest journal because its number was lowered by damage: it skips what the sorted
/// files hold, up to their greatest number. A lowered number of any other batch does not follow the one before. As the greatest number of
/// the sorted files is that of a batch, it is no number between the first two, unless the journals lost what was not synced; those that
/// a power loss leaves with a single batch are refused too. `numbers` are the first two and the last.
fn hides_first(numbers: &[u64], persisted: Option<u64>) -> bool {
    let (Some(first), Some(persisted)) = (numbers.first(), persisted) else { return false };
    *first < persisted && numbers.get(1).is_none_or(|second| persisted < *second)
}

struct Journal {
    path: PathBuf,
    /// Whether it is the one that is written to.
    is_last: bool,
}

impl Journal {
    /// Checks one journal. `numbers` are those of the first two batches of all journals so far, and of the last.
    fn check(&self, numbers: &mut Vec<u64>, findings: &mut Findings) -> io::Result<()> {
        let mut from = BufReader::with_capacity(256 << 10, File::open(&self.path)?);
        let mut item = Vec::new();
        let mut at = 0;
        while let Found::Batch(batch) = batch(&mut from, &mut item)? {
            let least = numbers.last().map_or(0, |last| last + 1);
            if batch.sequence < least || batch.sequence - least >= LONGEST_GAP {
                let what =
                    format!("the write at byte {at} has number {}, not one from {least} on", batch.sequence);
                findings.damage.push(damage(&self.path, &what, &lost(batch.events, 1)));
            } else {
                numbers.truncate(2);
                numbers.push(batch.sequence);
            }
            findings.writes += 1;
            findings.events += batch.events;
            at = from.stream_position()?;
        }
        from.seek(SeekFrom::Start(at))?;
        let rest = without_zeros_at_the_end(from)?;
        if !rest.is_empty() {
            self.check_rest(at, &rest, findings)?;
        }
        Ok(())
    }

    /// Tells what follows the last whole batch: a batch that was not written wholly, or damage.
    fn check_rest(&self, at: u64, rest: &[u8], findings: &mut Findings) -> io::Result<()> {
        let found = batch(&mut &*rest, &mut Vec::new())?;
        let mut ends = memmem::find_iter(rest, TRAILER).map(|place| place + TRAILER.len()).peekable();
        let first_end = ends.peek().copied();
        let later = later(rest, ends)?;
        let hole = first_hole(at, rest);
        // A batch that was written wholly lies before whatever the power loss left out.
        let is_explained = hole.is_some_and(|hole| first_end.is_none_or(|end| hole < end));
        // What is synced is only written after all before it is on disk, but for the last write, which may have been under way.
        let is_unsynced = later.synced_before_last == 0;
        let is_unfinished = match found {
            Found::Beginning if first_end.is_none() => true,
            _ => is_explained && is_unsynced,
        };
        if self.is_last && is_unfinished {
            let (file, bytes) = (self.path.clone(), rest.len() as u64);
            findings.unfinished = Some(Unfinished { file, at, bytes });
            return Ok(());
        }
        let what =
            format!("the write at byte {at} is damaged, and {} after it are whole", writes(later.writes));
        findings.damage.push(damage(&self.path, &what, &lost(later.events, later.writes + 1)));
        Ok(())
    }
}

/// The whole batches after a damaged one.
#[derive(Default)]
struct Later {
    writes: u64,
    events: u64,
    /// Those with what is synced before anybody is answered, but for the last batch of all.
    synced_before_last: u64,
}

/// Looks for whole batches in `rest`, each of which begins where another one ends.
fn later(rest: &[u8], ends: impl Iterator<Item = usize>) -> io::Result<Later> {
    let (mut later, mut item) = (Later::default(), Vec::new());
    for end in ends {
        let mut from = rest.get(end..).unwrap_or_default();
        if let Found::Batch(batch) = batch(&mut from, &mut item)? {
            later.writes += 1;
            later.events += batch.events;
            later.synced_before_last += u64::from(batch.is_synced && !from.is_empty());
        }
    }
    Ok(later)
}

/// The place of the first page of zeros in `rest`, which begins at byte `at` of its file.
fn first_hole(at: u64, rest: &[u8]) -> Option<usize> {
    let first = usize::try_from(at.next_multiple_of(PAGE) - at).ok()?;
    let page = usize::try_from(PAGE).ok()?;
    let places = (first..rest.len()).step_by(page);
    places
        .into_iter()
        .find(|place| rest.get(*place..place + page).is_some_and(|page| page.iter().all(|byte| *byte == 0)))
}

fn without_zeros_at_the_end(mut from: impl Read) -> io::Result<Vec<u8>> {
    let (mut rest, mut zeros) = (Vec::new(), 0_usize);
    let mut chunk = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut chunk)?;
        let chunk = chunk.get(..length).unwrap_or_default();
        if chunk.is_empty() {
            return Ok(rest);
        }
        match chunk.iter().rposition(|byte| *byte != 0) {
            None => zeros += length,
            Some(last) => {
                rest.resize(rest.len() + zeros, 0);
                rest.extend_from_slice(chunk.get(..=last).unwrap_or_default());
                zeros = length - last - 1;
            }
        }
    }
}

/// Reads one batch.
fn batch(from: &mut impl Read, item: &mut Vec<u8>) -> io::Result<Found> {
    match try_batch(from, item) {
        Ok(Some(batch)) => Ok(Found::Batch(batch)),
        Ok(None) => Ok(Found::Nothing),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Found::Beginning),
        Err(error) => Err(error),
    }
}

fn try_batch(from: &mut impl Read, item: &mut Vec<u8>) -> io::Result<Option<Batch>> {
    if byte(from)? != 1 {
        return Ok(None);
    }
    let items = u32::from_le_bytes(bytes(from)?);
    let mut batch = Batch { sequence: u64::from_le_bytes(bytes(from)?), ..Batch::default() };
    let mut checksum = Xxh3Default::new();
    for _ in 0..items {
        item.clear();
        if !read_item(from, item, &mut batch)? {
            return Ok(None);
        }
        checksum.update(item);
    }
    if byte(from)? != 3 {
        return Ok(None);
    }
    let expected = u64::from_le_bytes(bytes(from)?);
    let is_whole = bytes::<4>(from)? == *TRAILER && expected == checksum.digest();
    Ok(is_whole.then_some(batch))
}

/// Reads one item into `item`; false if there is none.
fn read_item(from: &mut impl Read, item: &mut Vec<u8>, batch: &mut Batch) -> io::Result<bool> {
    let tag = byte(from)?;
    item.push(tag);
    if tag == 4 {
        item.extend(bytes::<8>(from)?);
        return Ok(true);
    }
    let [kind, compression] = bytes(from)?;
    if tag != 2 || !matches!(kind, 0 | 1 | 2 | 4) || compression > 1 {
        return Ok(false);
    }
    let keyspace: [u8; 8] = bytes(from)?;
    let (key, value, stored): ([u8; 2], [u8; 4], [u8; 4]) = (bytes(from)?, bytes(from)?, bytes(from)?);
    item.extend([kind, compression]);
    item.extend(keyspace.into_iter().chain(key).chain(value).chain(stored));
    let (place, key) = (item.len(), u64::from(u16::from_le_bytes(key)));
    let wanted = key + u64::from(u32::from_le_bytes(stored));
    // `take` reads what there is, so that a damaged length costs no more memory than the file is long.
    if from.take(wanted).read_to_end(item)? as u64 != wanted {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if kind == 0 && key > 0 {
        let first = item.get(place);
        batch.events += u64::from(first == Some(&b'e'));
        batch.is_synced |= matches!(first, Some(b'e' | b'q'));
    }
    Ok(true)
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    Ok(u8::from_le_bytes(bytes(from)?))
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn writes(count: u64) -> String {
    if count == 1 { "1 write".to_owned() } else { format!("{count} writes") }
}

fn lost(events: u64, count: u64) -> String {
    format!("{} with at least {events} whole events, and what else the damaged write held", writes(count))
}

fn damage(file: &Path, what: &str, lost: &str) -> Damage {
    Damage { file: file.into(), what: what.to_owned(), lost: lost.to_owned() }
}
