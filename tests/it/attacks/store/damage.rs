//! Damaged files: a start is refused with a word that names the file, or all that was acknowledged is there.

use crate::contract::{event, subject};
use fjall::{KeyspaceCreateOptions, PersistMode, SingleWriterTxDatabase, SingleWriterTxKeyspace};
use paystream::{
    metrics::Metrics,
    payment::{Tag, Time},
    store::{Append, Appended, Store as _, embedded},
};
use rand::{RngExt as _, SeedableRng as _, distr::Alphanumeric, rngs::ChaCha8Rng};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// What was acknowledged: the tags of each payment's events.
type Acknowledged = BTreeMap<String, Vec<Tag>>;

fn settings(path: &Path) -> embedded::Settings {
    embedded::Settings { path: path.into(), history: Duration::from_secs(180 * 86_400), recent: 100_000 }
}

fn open(path: &Path) -> Result<embedded::Embedded, embedded::FolderError> {
    embedded::Embedded::open(&settings(path), Arc::new(Metrics::new()))
}

/// A text that cannot be compressed much.
fn text(length: usize, seed: u64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..length).map(|_| random.sample(Alphanumeric) as char).collect()
}

/// Appends an event of about `length` bytes to each of these payments at once.
async fn append(
    store: &embedded::Embedded,
    round: usize,
    payments: usize,
    length: usize,
    to: &mut Acknowledged,
) {
    let appends = (0..payments).map(|number| async move {
        let payment = format!("pay_{number}");
        let mut event = event(&payment, &format!("evt_{round}"), 1);
        event.kind = text(length, number as u64 + round as u64 * 1000).into();
        match store.append(Append { event, shared_ids: false }).await.unwrap() {
            Appended::New { cursor } => (payment, cursor.tag),
            other => panic!("{other:?}"),
        }
    });
    for (payment, tag) in futures_util::future::join_all(appends).await {
        to.entry(payment).or_default().push(tag);
    }
}

/// A folder of format 1 with sorted files and journals of the library, as a gateway of the version before leaves it that was killed while
/// nothing came in.
struct Folder {
    temporary: TempDir,
    path: PathBuf,
    acknowledged: Acknowledged,
    /// The last journal, relative to the folder.
    journal: PathBuf,
    /// What that journal held after one more write of five pages.
    longer: Vec<u8>,
}

impl Folder {
    /// A copy whose last journal has this content.
    fn with_journal(&self, content: &[u8]) -> PathBuf {
        let copied = self.temporary.path().join("with_journal");
        let _ = fs::remove_dir_all(&copied);
        copy(&self.path, &copied);
        fs::write(copied.join(&self.journal), content).unwrap();
        copied
    }

    fn written(&self) -> Vec<u8> {
        fs::read(self.path.join(&self.journal)).unwrap()
    }
}

/// A store of format 1: the library's tree, and an event per write of its journal.
struct FormatOne {
    db: SingleWriterTxDatabase,
    keys: SingleWriterTxKeyspace,
    /// The number of references of each partition's feed.
    places: BTreeMap<u8, u64>,
}

impl FormatOne {
    fn open(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("PAYSTREAM"), "Paystream embedded store, format 1\n").unwrap();
        let db = SingleWriterTxDatabase::builder(folder.join("db")).open().unwrap();
        let options = || KeyspaceCreateOptions::default().max_memtable_size(8 << 20);
        let keys = db.keyspace("paystream", options).unwrap();
        Self { db, keys, places: BTreeMap::new() }
    }

    fn append(&mut self, payment: &str, id: &str, kind: String, to: &mut Acknowledged) {
        let mut event = event(payment, id, 1);
        event.kind = kind.into();
        let tags = to.entry(payment.to_owned()).or_default();
        let (seq, tag) = (tags.len() as u64 + 1, Tag::from_random(rand::random()));
        tags.push(tag);
        let partition = event.subject.partition();
        let pos = self.places.entry(partition).or_default();
        *pos += 1;
        let key = |kind: u8, rest: &[u8]| {
            let log = format!("default\0payment\0{payment}\0");
            [&[kind], log.as_bytes(), rest].concat()
        };
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let last = Time::from_unix_ms(i64::try_from(now).unwrap()).unwrap();
        let mut tx = self.db.write_tx().durability(Some(PersistMode::SyncData));
        for (key, value) in [
            (key(b'e', &seq.to_be_bytes()), json!({ "tag": tag, "event": event })),
            (key(b'm', &[]), json!({ "seq": seq, "provider": event.provider, "last": last })),
            (
                [&[b'f', partition][..], &pos.to_be_bytes()].concat(),
                json!({ "pos": *pos, "tag": tag, "subject": event.subject, "seq": seq }),
            ),
        ] {
            tx.insert(&self.keys, key, serde_json::to_vec(&value).unwrap());
        }
        let seen = [&event.digest()[..], &seq.to_be_bytes()].concat();
        tx.insert(&self.keys, key(b's', &event.identity()), seen);
        tx.commit().unwrap();
    }
}

fn folder() -> Folder {
    let temporary = tempfile::tempdir().unwrap();
    let (running, killed) = (temporary.path().join("running"), temporary.path().join("killed"));
    let mut acknowledged = Acknowledged::new();
    let mut store = FormatOne::open(&running);
    let mut append = |store: &mut FormatOne, round: u64, length| {
        for number in 0..40 {
            let (payment, id) = (format!("pay_{number}"), format!("evt_{round}"));
            store.append(&payment, &id, text(length, number + round * 1000), &mut acknowledged);
        }
    };
    // More than a write buffer, which is then written to a sorted file.
    for round in 0..12 {
        append(&mut store, round, 20_000);
    }
    let tables = running.join("db/keyspaces/1/tables");
    let started = std::time::Instant::now();
    while fs::read_dir(&tables).unwrap().count() == 0 || fs::read_dir(running.join("db")).unwrap().count() > 5
    {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is flushed");
        std::thread::yield_now();
    }
    append(&mut store, 12, 200);
    let places = std::mem::take(&mut store.places);
    drop(store);
    copy(&running, &killed);
    let mut journals = files(&killed.join("db")).into_iter().filter(|path| path.extension().is_some());
    let journal = journals.next_back().unwrap().strip_prefix(&killed).unwrap().to_path_buf();
    let mut store = FormatOne { places, ..FormatOne::open(&running) };
    store.append("pay_0", "evt_last", text(20_000, 5), &mut acknowledged.clone());
    drop(store);
    let mut longer = fs::read(running.join(&journal)).unwrap();
    longer.truncate(used(&longer));
    Folder { temporary, path: killed, acknowledged, journal, longer }
}

/// A folder of today's format with sorted files and two segments of the journal, as it is after it was closed, and what it holds.
async fn closed() -> (TempDir, PathBuf, Acknowledged) {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("sound");
    let mut acknowledged = Acknowledged::new();
    for (rounds, length) in [(0..12, 20_000), (12..15, 200), (15..15, 0)] {
        let store = open(&path).unwrap();
        for round in rounds {
            append(&store, round, 40, length, &mut acknowledged).await;
        }
        // The last time there is nothing to write, and the library has tidied up.
        store.close().await;
    }
    (temporary, path, acknowledged)
}

/// Copies a folder; of a journal the bytes up to its last one that is not zero, since the library fills a new journal up with zeros.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else if from.extension().is_some_and(|extension| extension == "segment") {
            fs::copy(&from, &to).unwrap();
        } else {
            let mut content = fs::read(&from).unwrap();
            if from.extension().is_some_and(|extension| extension == "jnl") {
                content.truncate(used(&content));
            }
            fs::write(&to, &content).unwrap();
        }
    }
}

/// The bytes up to the last one that is not zero.
fn used(content: &[u8]) -> usize {
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files(folder).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// What is missing of what was acknowledged, or why it cannot be read.
async fn missing(store: &embedded::Embedded, acknowledged: &Acknowledged) -> Option<String> {
    for (payment, tags) in acknowledged {
        match store.read(&subject("default", payment)).await {
            Ok(log) if log.entries.iter().map(|entry| entry.tag).eq(tags.iter().copied()) => {}
            Ok(log) => return Some(format!("{payment} has {} of {} events", log.entries.len(), tags.len())),
            Err(error) => return Some(format!("{payment}: {error}")),
        }
    }
    None
}

/// Flips seeded bits of each file. `PAYSTREAM_FLIPS=1000 cargo test --test it attacks::store::damage` flips a thousand of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_refused_by_the_name_of_its_file_or_loses_nothing() {
    let flips: usize = std::env::var("PAYSTREAM_FLIPS").map_or(6, |flips| flips.parse().unwrap());
    let (temporary, sound, acknowledged) = closed().await;
    let damaged = temporary.path().join("damaged");
    let before = contents(&sound);
    copy(&sound, &damaged);
    let (mut refused, mut harmless) = (0, 0);
    let mut random = ChaCha8Rng::seed_from_u64(13);
    for (file, content) in before.iter().filter(|(_, content)| used(content) > 0) {
        let name = file.strip_prefix(&sound).unwrap();
        // Behind its groups, a segment holds zeros.
        let is_segment = file.extension().is_some_and(|extension| extension == "segment");
        let end = if is_segment { used(content) } else { content.len() };
        for _ in 0..if is_segment { flips * 3 } else { flips } {
            let (place, bit) = (random.random_range(0..end), random.random_range(0..8_u8));
            let mut flipped = content.clone();
            flipped[place] ^= 1 << bit;
            let put = |content: &[u8]| fs::write(damaged.join(name), content).unwrap();
            put(&flipped);
            let case = format!("{} byte {place} bit {bit}", name.display());
            match open(&damaged) {
                Err(error) => {
                    let said = error.to_string();
                    let file = name.file_name().unwrap().to_str().unwrap();
                    assert!(said.contains(file), "{case}: {said}");
                    put(content);
                    let after = contents(&damaged);
                    let same = after.values().eq(before.values());
                    assert!(same, "{case}: the folder was changed: {said}");
                    refused += 1;
                }
                Ok(store) => {
                    let missing = missing(&store, &acknowledged).await;
                    store.close().await;
                    assert_eq!(missing, None, "{case}");
                    fs::remove_dir_all(&damaged).unwrap();
                    copy(&sound, &damaged);
                    harmless += 1;
                }
            }
        }
    }
    println!("{refused} of {} flipped bits were refused, {harmless} were harmless", refused + harmless);
    assert!(refused > harmless);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_a_kill_or_a_power_loss_cut_off_is_cut_without_a_refusal() {
    let folder = folder();
    let (written, longer) = (folder.written(), &folder.longer);
    assert!(longer.len() > written.len() + 20_000 && longer.starts_with(&written));
    let mut random = ChaCha8Rng::seed_from_u64(29);
    let mut cuts: Vec<_> = (0..12).map(|_| random.random_range(written.len() + 1..longer.len())).collect();
    // The last bytes, the trailer, the checksum, and the first bytes.
    cuts.extend([1, 2, 3, 4, 5, 12].map(|missing| longer.len() - missing));
    cuts.extend([1, 2, 5, 13, 14].map(|there| written.len() + there));
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in cuts {
        let with_zeros = if cut % 2 == 0 { 100_000 } else { 0 };
        let content = [&longer[..cut], &vec![0; with_zeros][..]].concat();
        cases.push((format!("{} of {} bytes", cut - written.len(), longer.len() - written.len()), content));
    }
    // After a power loss, any pages of the last write may be missing.
    for pages in [0..1, 0..2, 2..3] {
        let first = written.len().next_multiple_of(4096);
        let mut content = longer.clone();
        content[first + pages.start * 4096..first + pages.end * 4096].fill(0);
        cases.push((format!("without pages {pages:?}"), content));
    }
    for (case, content) in cases {
        let path = folder.with_journal(&content);
        let findings = embedded::check_folder(&path).unwrap();
        assert!(findings.damage.is_empty(), "{case}: {findings:?}");
        let unfinished = findings.unfinished.unwrap_or_else(|| panic!("{case}: nothing is unfinished"));
        assert_eq!(unfinished.at, written.len() as u64, "{case}");
        assert_eq!(fs::read(path.join(&folder.journal)).unwrap(), content, "{case}: the check changed it");
        let store = open(&path).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(missing(&store, &folder.acknowledged).await, None, "{case}");
        // It goes on, and the next start finds nothing to say.
        let again = event("pay_0", "evt_last", 1);
        let appended = store.append(Append { event: again, shared_ids: false }).await.unwrap();
        assert!(matches!(appended, Appended::New { .. }), "{case}: {appended:?}");
        store.close().await;
        let findings = embedded::check_folder(&path).unwrap();
        assert!(findings.damage.is_empty() && findings.unfinished.is_none(), "{case}: {findings:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_looks_like_a_cut_is_refused_and_said_to_cost_what_follows() {
    let folder = folder();
    let written = folder.written();
    // Where each whole write ends.
    let ends: Vec<_> = memchr::memmem::find_iter(&written, b"FJL\x03").map(|place| place + 4).collect();
    let page = ends[ends.len() / 2].next_multiple_of(4096);
    let zeroed = |range: std::ops::Range<usize>| {
        let mut content = written.clone();
        content[range].fill(0);
        content
    };
    let last_three = &ends[ends.len() - 3..];
    let mut swapped = written[..last_three[0]].to_vec();
    swapped.extend(&written[last_three[1]..last_three[2]]);
    swapped.extend(&written[last_three[0]..last_three[1]]);
    for (case, content) in [
        ("a page of acknowledged writes is zeros", zeroed(page..page + 4096)),
        ("the beginning of the last write is lost", zeroed(last_three[1]..last_three[1] + 40)),
        ("a write is cut out", [&written[..ends[3] + 7], &written[ends[5]..]].concat()),
        ("two writes are in the wrong order", swapped),
        ("it is rubbish", vec![0xa5; 64]),
    ] {
        let path = folder.with_journal(&content);
        let before = contents(&path);
        let name = folder.journal.file_name().unwrap().to_str().unwrap();
        let said = open(&path).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains("paystream store check"), "{case}: {said}");
        assert_eq!(contents(&path), before, "{case}: the folder was changed");
        let findings = embedded::check_folder(&path).unwrap();
        assert!(findings.damage.iter().any(|damage| damage.file.ends_with(name)), "{case}: {findings:?}");
        assert!(findings.unfinished.is_none(), "{case}");
    }
    let mut flipped = written.clone();
    flipped[ends[2] + 40] ^= 1;
    let damage = embedded::check_folder(&folder.with_journal(&flipped)).unwrap().damage;
    let later = ends.len() - 4;
    assert!(damage[0].what.contains(&format!("at byte {}", ends[2])), "{damage:?}");
    assert!(damage[0].what.contains(&format!("{later} writes after it are whole")), "{damage:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_refused_and_not_taken_for_a_new_folder() {
    let (temporary, sound, _) = closed().await;
    let table = files(&sound.join("db/keyspaces/1/tables")).remove(0);
    for name in [
        Path::new("db/version"),
        Path::new("db/keyspaces/1/current"),
        Path::new("db/keyspaces/0/current"),
        table.strip_prefix(&sound).unwrap(),
        Path::new("db/keyspaces/1"),
        Path::new("journal/07.segment"),
        Path::new("journal"),
    ] {
        let path = temporary.path().join("without");
        let _ = fs::remove_dir_all(&path);
        copy(&sound, &path);
        let lost = path.join(name);
        if lost.is_dir() {
            fs::remove_dir_all(&lost).unwrap();
        } else {
            fs::remove_file(&lost).unwrap();
        }
        let before = contents(&path);
        let said = open(&path).map(|_| ()).unwrap_err().to_string();
        let is_told = said.contains(name.to_str().unwrap());
        assert!(is_told && (said.contains("missing") || said.contains("No such file")), "{name:?}: {said}");
        assert_eq!(contents(&path), before, "{name:?}");
        assert!(!embedded::check_folder(&path).is_ok_and(|findings| findings.damage.is_empty()), "{name:?}");
    }
}

/// Whatever the library does with its files meanwhile, a folder that nothing has damaged is whole.
/// `PAYSTREAM_ROUNDS=12 cargo test --test it attacks::store::damage` goes on until journals are replaced, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_used_and_opened_again_and_again_is_never_refused() {
    let rounds: usize = std::env::var("PAYSTREAM_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    let mut acknowledged = Acknowledged::new();
    for round in 0..rounds {
        let store = open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(missing(&store, &acknowledged).await, None, "round {round}");
        for step in 0..20 {
            append(&store, round * 20 + step, 16, 25_000 + step, &mut acknowledged).await;
        }
        store.close().await;
        let findings = embedded::check_folder(&path).unwrap();
        assert!(findings.damage.is_empty() && findings.unfinished.is_none(), "round {round}: {findings:?}");
    }
    assert!(embedded::check_folder(&path).unwrap().tables > 1);
}
