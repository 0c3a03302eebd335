use super::*;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use std::collections::BTreeMap;

pub(in crate::store::embedded) mod simulated;

use simulated::SimulatedDisk;

const SMALL: Extent = Extent { segments: 3, bytes: 400 };

fn open(disk: &SimulatedDisk, carried: u64) -> Result<(Journal, BTreeMap<u64, Vec<u8>>), JournalError> {
    let mut read = BTreeMap::new();
    let journal = Journal::open(Box::new(disk.clone()), carried, |number, payload| {
        assert_eq!(number, carried + 1 + read.len() as u64, "in order");
        read.insert(number, payload.to_vec());
        Ok::<_, JournalError>(())
    })?;
    Ok((journal, read))
}

fn append(journal: &mut Journal, payload: &[u8]) -> io::Result<u64> {
    journal.append(&mut [&[0; HEAD_BYTES], payload].concat())
}

/// Many lives of one journal on a disk that loses power at a random operation: each time, everything that was acknowledged and not carried is read
/// again, once and in order, and nothing but the one group that was being written may come besides.
#[test]
fn i1_a_disk_that_tears_reorders_and_loses_what_was_not_synced_loses_nothing_acknowledged() {
    for seed in 0..300 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut disk = SimulatedDisk::new(SMALL);
        // The tree is as durable as its sync says; here it is a number.
        let mut carried = 0;
        let mut acknowledged = BTreeMap::<u64, Vec<u8>>::new();
        for life in 0..12 {
            let (mut journal, read) = open(&disk, carried).unwrap_or_else(|error| panic!("{seed}: {error}"));
            let lost: Vec<_> =
                acknowledged.range(carried + 1..).filter(|(number, _)| !read.contains_key(number)).collect();
            assert!(lost.is_empty(), "seed {seed}, life {life}: {lost:?}");
            for (number, payload) in &read {
                let told = acknowledged.entry(*number).or_insert_with(|| payload.clone());
                assert_eq!(told, payload, "seed {seed}, life {life}, group {number}");
            }
            assert_eq!(acknowledged.keys().next_back().copied().unwrap_or(carried), journal.number);
            disk.fail_after(random.random_range(0..60));
            loop {
                let payload: Vec<u8> = (0..random.random_range(0..150)).map(|_| random.random()).collect();
                if !journal.has_room(HEAD_BYTES + payload.len(), carried) || random.random_bool(0.1) {
                    carried = random.random_range(carried..=journal.number);
                    if !journal.has_room(HEAD_BYTES + payload.len(), carried) {
                        carried = journal.number;
                    }
                }
                match append(&mut journal, &payload) {
                    Ok(number) => assert_eq!(acknowledged.insert(number, payload), None),
                    Err(_) => break,
                }
            }
            disk = disk.after_power_loss(&mut random);
        }
    }
}

/// A journal of some groups in two segments, all acknowledged, the first two of them carried; the last one is empty, as the writer
/// leaves it when nothing comes.
fn written() -> (SimulatedDisk, u64) {
    let disk = SimulatedDisk::new(SMALL);
    let (mut journal, _) = open(&disk, 0).unwrap();
    for _ in 0..9 {
        append(&mut journal, &[7; 50]).unwrap();
    }
    append(&mut journal, &[]).unwrap();
    assert_eq!(journal.segment, 1);
    (disk, 2)
}

#[test]
fn a_flipped_bit_anywhere_in_what_was_acknowledged_is_noticed() {
    let (disk, carried) = written();
    let (journal, sound) = open(&disk, carried).unwrap();
    let mark = (1, journal.at - HEAD_BYTES);
    for slot in 0..SMALL.segments {
        for at in 0..SMALL.bytes {
            let damaged = disk.with(slot, at, 1 << (at % 8));
            match open(&damaged, carried) {
                Err(JournalError::Damaged(_)) => {}
                Err(JournalError::Io(error)) => panic!("{error}"),
                // What is not a group, and the mark at the end, of which nothing depends.
                Ok((_, read)) => {
                    let mut expected = sound.clone();
                    if (slot, at) >= mark && (slot, at) < (1, journal.at) {
                        expected.pop_last();
                    }
                    assert_eq!(read, expected, "segment {slot}, byte {at}");
                }
            }
        }
    }
}

#[test]
fn what_is_missing_is_noticed() {
    let (disk, carried) = written();
    let told = |disk: &SimulatedDisk, carried| match open(disk, carried) {
        Err(error) => error.to_string(),
        Ok((_, read)) => panic!("{read:?}"),
    };
    let first_gone = disk.without(0);
    assert!(told(&first_gone, carried).contains("group 3 is missing"), "{}", told(&first_gone, carried));
    let all_gone = first_gone.without(1);
    assert!(
        told(&all_gone, carried)
            .contains("it ends in 00.segment or 01.segment with group 0, but the tree holds all up to 2")
    );
    assert!(
        told(&disk, 11)
            .contains("it ends in 01.segment or 02.segment with group 10, but the tree holds all up to 11")
    );
    let moved = disk.without(0).moved(1, 2);
    assert!(told(&moved, 5).contains("holds what belongs in another one"));
}

#[test]
fn a_journal_is_checked_without_its_tree() {
    let (disk, _) = written();
    assert_eq!(check(&disk, |_| {}).unwrap(), 10);
    // The first group of the newest segment, and the second one.
    for at in [3, 80] {
        let error = check(&disk.with(1, at, 1), |_| {}).err().unwrap().to_string();
        assert!(error.contains("01.segment is not readable at byte"), "{error}");
    }
    assert_eq!(check(&SimulatedDisk::new(SMALL), |_| {}).unwrap(), 0);
}

#[test]
fn a_full_ring_has_no_room_until_its_oldest_segment_is_carried() {
    let disk = SimulatedDisk::new(SMALL);
    let (mut journal, _) = open(&disk, 0).unwrap();
    while journal.has_room(178, 0) {
        append(&mut journal, &[1; 150]).unwrap();
    }
    assert_eq!(journal.lasts, [2, 4, 6]);
    assert!(!journal.has_room(178, 1) && journal.has_room(178, 2));
    assert_eq!(append(&mut journal, &[1; 150]).unwrap(), 7);
    assert_eq!(journal.lasts, [7, 4, 6]);
    // What is left of the first use of the segment is carried, and no part of the journal.
    assert!(open(&disk, 2).unwrap().1.keys().copied().eq(3..=7));
    assert!(matches!(open(&disk, 1), Err(JournalError::Damaged(_))), "its second group is gone");
}

#[test]
fn a_folder_holds_what_was_written_and_tells_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    FolderDisk::create(&folder, SMALL).unwrap();
    let disk = || FolderDisk::open(&folder, SMALL);
    let open = |disk: FolderDisk| Journal::open(Box::new(disk), 0, |_, _| Ok::<_, JournalError>(()));
    let mut journal = open(disk().unwrap()).unwrap();
    for _ in 0..5 {
        append(&mut journal, &[1; 150]).unwrap();
    }
    assert_eq!(open(disk().unwrap()).unwrap().number, 5);
    std::fs::OpenOptions::new().write(true).open(folder.join("01.segment")).unwrap().set_len(99).unwrap();
    assert_eq!(disk().err().unwrap().kind(), io::ErrorKind::InvalidData);
    std::fs::remove_file(folder.join("01.segment")).unwrap();
    assert_eq!(disk().err().unwrap().kind(), io::ErrorKind::NotFound);
}
