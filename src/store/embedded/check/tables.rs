//! The sorted files of one keyspace. `current` names the newest list of them with the checksum of that list (XXH3, 128 bits), and the list
//! names each file with its checksum. So every byte of these files is covered.

use super::findings::{Damage, Findings, missing, read_if_there};
use memchr::memmem;
use sfa::Reader;
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

/// The name of a sorted file's greatest sequence number among its properties, followed by the length of the value.
const NEWEST: &[u8] = b"seqno#max\x08";

/// What a damaged list of sorted files takes along.
const ALL: &str = "all but what the journals hold";

/// A sorted file, as the list names it.
struct Table {
    path: PathBuf,
    checksum: u128,
}

/// The sorted files that the list of a keyspace names; nothing if it cannot be read.
pub(in crate::store::embedded) fn named(keyspace: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    Ok(list(keyspace)?.ok().map(|tables| tables.into_iter().map(|table| table.path).collect()))
}

/// Checks the sorted files of a keyspace, as far as the budget reaches, and returns the greatest sequence number that they hold.
pub(super) fn check(keyspace: &Path, budget: &mut u64, findings: &mut Findings) -> io::Result<Option<u64>> {
    let tables = match list(keyspace)? {
        Ok(tables) => tables,
        Err(damage) => {
            findings.damage.push(damage);
            return Ok(None);
        }
    };
    let mut newest = None;
    for Table { path, checksum } in tables {
        let Some(length) = length(&path)? else {
            findings.damage.push(missing(path, "all that it held"));
            continue;
        };
        if length > *budget {
            findings.unread += 1;
        } else {
            *budget -= length;
            findings.tables += 1;
            if checksum_of(&path)? != checksum {
                let what = "does not have the checksum that it was written with".to_owned();
                let lost = format!("some or all of its {length} bytes of events and records");
                findings.damage.push(Damage { file: path, what, lost });
                continue;
            }
        }
        newest = newest.max(newest_of(&path)?);
    }
    Ok(newest)
}

/// Reads the list of sorted files, the newest first.
fn list(keyspace: &Path) -> io::Result<Result<Vec<Table>, Damage>> {
    let current = keyspace.join("current");
    let damaged = |file: &Path, what: &str| {
        Ok(Err(Damage { file: file.into(), what: what.to_owned(), lost: ALL.to_owned() }))
    };
    let Some(content) = read_if_there(&current)? else { return Ok(Err(missing(current, ALL))) };
    let Some(([number, checksum_low, checksum_high], [0])) = words::<3>(&content) else {
        return damaged(&current, "does not name the list of sorted files");
    };
    let list = keyspace.join(format!("v{number}"));
    let Some(content) = read_if_there(&list)? else {
        return damaged(&list, "is missing, although the file `current` names it");
    };
    if xxh3_128(&content) != (u128::from(checksum_high) << 64 | u128::from(checksum_low)) {
        return damaged(&list, "does not have the checksum that the file `current` names");
    }
    match section(&list, b"tables")?.and_then(|section| tables(keyspace, &section)) {
        Some(tables) => Ok(Ok(tables)),
        None => damaged(&list, "is no list of sorted files"),
    }
}

/// Reads the section of a list that names the sorted files: levels of runs of files, each with its number, the type and the value of its
/// checksum, and the least sequence number of its entries.
fn tables(keyspace: &Path, section: &[u8]) -> Option<Vec<Table>> {
    let (levels, mut rest) = section.split_first()?;
    let mut tables = Vec::new();
    for _ in 0..*levels {
        let (runs, after) = rest.split_first()?;
        rest = after;
        for _ in 0..*runs {
            let (count, after) = rest.split_first_chunk()?;
            rest = after;
            for _ in 0..u32::from_le_bytes(*count) {
                let (number, after) = rest.split_first_chunk()?;
                let (kind, after) = after.split_first()?;
                let (checksum, after) = after.split_first_chunk()?;
                rest = after.get(8..)?;
                if *kind != 0 {
                    return None;
                }
                let path = keyspace.join("tables").join(u64::from_le_bytes(*number).to_string());
                tables.push(Table { path, checksum: u128::from_le_bytes(*checksum) });
            }
        }
    }
    rest.is_empty().then_some(tables)
}

/// Splits `N` numbers off.
fn words<const N: usize>(mut content: &[u8]) -> Option<([u64; N], &[u8])> {
    let mut words = [0; N];
    for word in &mut words {
        let (bytes, rest) = content.split_first_chunk()?;
        (*word, content) = (u64::from_le_bytes(*bytes), rest);
    }
    Some((words, content))
}

/// The greatest sequence number of a sorted file; none if it does not say.
fn newest_of(table: &Path) -> io::Result<Option<u64>> {
    let Some(properties) = section(table, b"meta")? else { return Ok(None) };
    let value = memmem::find(&properties, NEWEST).and_then(|place| properties.get(place + NEWEST.len()..));
    Ok(value.and_then(|value| value.first_chunk()).map(|value| u64::from_le_bytes(*value)))
}

/// Reads a section of a file; none if the file has no such section.
fn section(path: &Path, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let Ok(reader) = Reader::new(path) else { return Ok(None) };
    let Some(entry) = reader.toc().section(name) else { return Ok(None) };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(entry.pos()))?;
    let mut section = Vec::new();
    let length = file.take(entry.len()).read_to_end(&mut section)?;
    Ok((length as u64 == entry.len()).then_some(section))
}

fn length(path: &Path) -> io::Result<Option<u64>> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn checksum_of(path: &Path) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let (mut checksum, mut chunk) = (Xxh3Default::new(), vec![0; 256 << 10]);
    loop {
        let length = file.read(&mut chunk)?;
        match chunk.get(..length) {
            None | Some([]) => return Ok(checksum.digest128()),
            Some(bytes) => checksum.update(bytes),
        }
    }
}
