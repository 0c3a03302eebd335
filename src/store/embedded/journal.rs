//! The journal: where a group of changes becomes durable, by one write and one sync, before anybody is answered.
//!
//! It is a ring of preallocated segments. Groups stand one behind the other and are numbered without a hole. Each is synced before the next is
//! written, so after a crash at most the last group is torn, and that one was never acknowledged: it is cut off. Everything else that does
//! not fit together is damage, and is told: an intact group behind a place that is not one, a hole in the numbers, an end before the place up to
//! which the tree was filled. A segment is written again only after everything in it was carried into the tree and the tree was
//! synced; so what an earlier use left in it has numbers that are carried, and cannot be taken for anything else.
//!
//! It knows bytes. What they mean is said in `change`.

mod disk;
mod group;

pub(super) use disk::{Disk, Extent, FolderDisk};
pub(super) use group::HEAD_BYTES;

use group::Run;
use std::{collections::BTreeMap, io};

/// The ring of a data folder: 64 MiB, some 90 000 events. That is how far the tree may be behind, and what a start after a crash reads at
/// most, in well below a second.
pub(super) const EXTENT: Extent = Extent { segments: 8, bytes: 8 << 20 };

/// The file names of segments are told apart by two digits.
const _: () = assert!(EXTENT.segments < 100);

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    /// The operating system refused an operation.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something in it that was acknowledged is lost or changed.
    #[error("its journal is damaged: {0}")]
    Damaged(String),
}

/// An open journal. The writer owns it.
pub(super) struct Journal {
    disk: Box<dyn Disk>,
    /// The id of the segment that is written.
    segment: u64,
    /// The place in it where the next group begins.
    at: usize,
    /// The number of the last group.
    number: u64,
    /// The number of the last group in each segment of the ring; 0 if it holds none.
    lasts: Vec<u64>,
}

impl Journal {
    /// Reads the journal and calls `replay` with the number and payload of each group after number `carried`, in order. Changes nothing
    /// on the disk, but makes durable what it read.
    pub(super) fn open<E: From<JournalError>>(
        disk: Box<dyn Disk>,
        carried: u64,
        mut replay: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let io = |error: io::Error| JournalError::Io(error);
        let extent = disk.extent();
        let mut runs = Vec::new();
        for slot in 0..extent.segments {
            let bytes = disk.read(slot).map_err(io)?;
            runs.push(inspect(extent, slot, &bytes, carried)?);
        }
        let lasts = runs.iter().map(|run| run.map_or(0, |run| run.last)).collect();
        let mut live: Vec<Run> = runs.into_iter().flatten().collect();
        live.sort_by_key(|run| run.segment);
        let newest = live.last().copied();
        live.retain(|run| run.last > carried);
        check_chain(extent, &live, newest, carried)?;
        for run in &live {
            let bytes = disk.read(extent.slot(run.segment)).map_err(io)?;
            for group in group::groups(&bytes).filter(|group| group.number > carried) {
                replay(group.number, group.payload)?;
            }
        }
        let Run { segment, last: number, end: at, .. } =
            newest.unwrap_or(Run { segment: 0, first: 0, last: carried, end: 0 });
        // What was read may be in memory only, if the last process was killed before its sync.
        disk.sync(extent.slot(segment)).map_err(io)?;
        Ok(Self { disk, segment, at, number, lasts })
    }

    /// Whether a group of `length` bytes, its head included, can be written, given that all groups up to number `carried` are in the tree.
    pub(super) fn has_room(&self, length: usize, carried: u64) -> bool {
        self.at + length <= self.disk.extent().bytes || self.is_next_free(carried)
    }

    /// How many bytes the ring has.
    pub(super) fn size(&self) -> usize {
        let Extent { segments, bytes } = self.disk.extent();
        segments * bytes
    }

    fn is_next_free(&self, carried: u64) -> bool {
        let next = self.disk.extent().slot(self.segment + 1);
        self.lasts.get(next).is_some_and(|last| *last <= carried)
    }

    /// Writes a group and syncs it: `bytes` are [`HEAD_BYTES`] of any content and then its payload. Gives back its number. After an error the
    /// journal cannot be used any more. [`has_room`](Self::has_room) must have said that there is room.
    pub(super) fn append(&mut self, bytes: &mut [u8]) -> io::Result<u64> {
        let extent = self.disk.extent();
        if self.at + bytes.len() > extent.bytes {
            (self.segment, self.at) = (self.segment + 1, 0);
        }
        let slot = extent.slot(self.segment);
        let number = self.number + 1;
        group::seal(bytes, self.segment, number);
        self.disk.write(slot, self.at, bytes)?;
        self.disk.sync(slot)?;
        (self.number, self.at) = (number, self.at + bytes.len());
        if let Some(last) = self.lasts.get_mut(slot) {
            *last = number;
        }
        Ok(number)
    }
}

/// Looks at one segment: gives back its run, or says that something behind it was cut off.
fn inspect(extent: Extent, slot: usize, bytes: &[u8], carried: u64) -> Result<Option<Run>, JournalError> {
    if bytes.len() != extent.bytes {
        return Err(JournalError::Damaged(format!("{slot:02}.segment has {} bytes", bytes.len())));
    }
    let run = group::run(bytes);
    let end = run.map_or(0, |run| run.end);
    if let Some((at, stray)) = group::stray(bytes, end, carried) {
        return Err(JournalError::Damaged(format!(
            "{slot:02}.segment is not readable at byte {end}, but group {} at byte {at} is intact",
            stray.number
        )));
    }
    match run {
        Some(Run { segment, .. }) if extent.slot(segment) != slot => {
            Err(JournalError::Damaged(format!("{slot:02}.segment holds what belongs in another one")))
        }
        run => Ok(run),
    }
}

/// Looks at a journal whose tree is not known, and changes nothing. Calls `read` with the payload of each group that can be read, and gives back
/// how many there are; an error of kind
/// [`JournalError::Damaged`] says what is damaged. The oldest segment may be about to be written again, so its end is not looked at.
pub(super) fn check(disk: &dyn Disk, mut read: impl FnMut(&[u8])) -> Result<u64, JournalError> {
    let extent = disk.extent();
    let mut segments = Vec::new();
    for slot in 0..extent.segments {
        let bytes = disk.read(slot)?;
        group::groups(&bytes).for_each(|group| read(group.payload));
        segments.push((slot, group::run(&bytes), bytes));
    }
    let end = segments.iter().filter_map(|(_, run, _)| Some((*run)?.last)).max().unwrap_or_default();
    for (slot, _, bytes) in &segments {
        inspect(extent, *slot, bytes, end)?;
    }
    let mut runs: Vec<Run> = segments.into_iter().filter_map(|(_, run, _)| run).collect();
    runs.sort_by_key(|run| run.segment);
    let begin = runs.get(1).or(runs.first()).map_or(end, |run| run.first - 1);
    check_chain(extent, runs.get(1..).unwrap_or_default(), runs.last().copied(), begin)?;
    Ok(runs.iter().map(|run| run.last + 1 - run.first).sum())
}

/// Reads the payloads of the groups after number `carried` up to number `last`, in order, while others may write. All of them must have
/// been synced before. Nothing if some are there no more, because their segment has been written again.
pub(super) fn read_between(disk: &dyn Disk, carried: u64, last: u64) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    for slot in 0..disk.extent().segments {
        let bytes = disk.read(slot)?;
        let wanted = group::groups(&bytes).filter(|group| group.number > carried && group.number <= last);
        found.extend(wanted.map(|group| (group.number, group.payload.to_vec())));
    }
    let are_all = found.len() as u64 == last.saturating_sub(carried);
    Ok(are_all.then(|| found.into_values().collect()))
}

/// Checks that the runs with groups after `carried` leave no hole, and that the journal reaches as far as the tree.
fn check_chain(extent: Extent, live: &[Run], newest: Option<Run>, carried: u64) -> Result<(), JournalError> {
    let end = newest.map_or(0, |run| run.last);
    if end < carried {
        let slot = newest.map_or(0, |run| extent.slot(run.segment));
        let next = (slot + 1) % extent.segments;
        return Err(JournalError::Damaged(format!(
            "it ends in {slot:02}.segment or {next:02}.segment with group {end}, but the tree holds all up to {carried}"
        )));
    }
    let mut last = None;
    for run in live {
        let expected = last.map_or(run.first.min(carried + 1), |last| last + 1);
        if run.first != expected {
            let found = run.first;
            return Err(JournalError::Damaged(format!("group {expected} is missing, as {found} comes next")));
        }
        last = Some(run.last);
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
