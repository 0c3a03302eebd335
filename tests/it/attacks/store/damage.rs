//! Damaged files: a start is refused with a word that names the file, or all that was acknowledged is there.

use crate::contract::{event, subject};
use paystream::{
    metrics::Metrics,
    payment::Tag,
    store::{Append, Appended, Store as _, embedded},
};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
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
    embedded::Settings { path: path.into(), history: Duration::from_secs(180 * 86_400) }
}

fn open(path: &Path) -> Result<embedded::Embedded, embedded::FolderError> {
    embedded::Embedded::open(&settings(path), Arc::new(Metrics::new()))
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
        event.kind = "x".repeat(length).into();
        match store.append(Append { event, shared_ids: false }).await.unwrap() {
            Appended::New { cursor } => (payment, cursor.tag),
            other => panic!("{other:?}"),
        }
    });
    for (payment, tag) in futures_util::future::join_all(appends).await {
        to.entry(payment).or_default().push(tag);
    }
}

/// A folder with sorted files and journals, as a gateway that was killed leaves it.
async fn folder() -> (TempDir, PathBuf, Acknowledged) {
    let temporary = tempfile::tempdir().unwrap();
    let (running, killed) = (temporary.path().join("running"), temporary.path().join("killed"));
    let mut acknowledged = Acknowledged::new();
    let store = open(&running).unwrap();
    // More than a write buffer, which is then written to a sorted file.
    for round in 0..12 {
        append(&store, round, 40, 20_000, &mut acknowledged).await;
    }
    let tables = running.join("db/keyspaces/1/tables");
    let started = std::time::Instant::now();
    while fs::read_dir(&tables).unwrap().count() == 0 || fs::read_dir(running.join("db")).unwrap().count() > 5
    {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is flushed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for round in 12..15 {
        append(&store, round, 40, 200, &mut acknowledged).await;
    }
    copy(&running, &killed);
    store.close().await;
    (temporary, killed, acknowledged)
}

/// Copies a folder; of a journal the bytes up to its last one that is not zero, since the library fills a new journal up with zeros.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
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
    let flips: usize = std::env::var("PAYSTREAM_FLIPS").map_or(12, |flips| flips.parse().unwrap());
    let (temporary, sound, acknowledged) = folder().await;
    let damaged = temporary.path().join("damaged");
    let before = contents(&sound);
    copy(&sound, &damaged);
    let (mut refused, mut harmless) = (0, 0);
    let started = std::time::Instant::now();
    let mut random = ChaCha8Rng::seed_from_u64(13);
    for (file, content) in before.iter().filter(|(_, content)| !content.is_empty()) {
        let name = file.strip_prefix(&sound).unwrap();
        println!(
            "{} {} bytes at {:?} r {refused} h {harmless}",
            name.display(),
            content.len(),
            started.elapsed()
        );
        for _ in 0..flips {
            let (place, bit) = (random.random_range(0..content.len()), random.random_range(0..8_u8));
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
