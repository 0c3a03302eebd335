//! Disks that lose power, stall or are full, and journals that were damaged, under the whole store.

#![expect(clippy::cast_possible_truncation, reason = "a test counts small numbers")]

use super::*;
use crate::store::embedded::journal::{Extent, tests::simulated::SimulatedDisk};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use std::sync::{atomic::AtomicUsize, mpsc};

/// The least that the writer finds room in.
pub(super) const EXTENT: Extent = Extent { segments: 3, bytes: 6 << 20 };

/// A pace at which nothing is carried.
const NEVER: Pace = Pace { bytes: usize::MAX, after: Duration::from_secs(3600) };

pub(super) fn on(disk: &SimulatedDisk) -> Machinery {
    let disk = disk.clone();
    Machinery { pace: NEVER, disk: Box::new(|_| Box::new(disk)), ..Machinery::default() }
}

type Acknowledged = Arc<Mutex<Vec<(String, String, Cursor)>>>;

/// Appends events of a few payments from several tasks, each of them twice, and notes what was acknowledged.
async fn append_from_many(store: &Arc<Embedded>, seed: u64, acknowledged: &Acknowledged) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (store, acknowledged) = (Arc::clone(store), Arc::clone(acknowledged));
        tasks.spawn(async move {
            for number in 0..12 {
                let (payment, id) =
                    (format!("pay_{}", (task + number) % 5), format!("{seed}_{}_{number}", task / 2));
                match append(&store, &payment, &id).await {
                    Appended::New { cursor } | Appended::Duplicate { cursor } => {
                        acknowledged.lock().unwrap().push((payment, id, cursor));
                    }
                    conflict => panic!("{conflict:?}"),
                }
            }
        });
    }
    tasks.join_all().await;
}

/// The power is lost during a sync, when the group is written in part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_a_power_loss_takes_nothing_that_was_acknowledged_and_nothing_comes_twice() {
    for seed in 0..20 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(EXTENT);
        let store = Arc::new(open_by(on(&disk), dir.path()));
        let acknowledged = Acknowledged::default();
        let (lost, at) = (Arc::new(Mutex::new(None)), random.random_range(1..=12));
        let hook = {
            let (disk, acknowledged, lost) = (disk.clone(), Arc::clone(&acknowledged), Arc::clone(&lost));
            let mut syncs = 0;
            move || {
                syncs += 1;
                if syncs == at {
                    let known = acknowledged.lock().unwrap().clone();
                    *lost.lock().unwrap() = Some((known, disk.after_power_loss(&mut random)));
                }
            }
        };
        disk.at_sync(hook);
        append_from_many(&store, seed, &acknowledged).await;
        let (known, after) = lost.lock().unwrap().take().expect("a sync for each append of a task at least");
        drop(store);

        // The tree is as it was at first, since nothing was carried before the store was closed.
        let dir = tempfile::tempdir().unwrap();
        let revived = Arc::new(open_by(on(&after), dir.path()));
        for (payment, id, cursor) in known {
            let log = read(&revived, &payment).await;
            assert!(log.after(cursor).is_some(), "seed {seed}: {payment} lost {id} at {cursor}");
            assert_eq!(*log.entries[cursor.seq as usize - 1].event.id, *id);
            assert_eq!(append(&revived, &payment, &id).await, Appended::Duplicate { cursor }, "seed {seed}");
        }
        append_from_many(&revived, seed, &Acknowledged::default()).await;
        for payment in 0..5 {
            let log = read(&revived, &format!("pay_{payment}")).await;
            let ids: std::collections::BTreeSet<_> =
                log.entries.iter().map(|entry| &entry.event.id).collect();
            assert_eq!(ids.len(), log.entries.len(), "seed {seed}: an event has two places");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stalls_holds_up_appends_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimulatedDisk::new(EXTENT);
    let store = Arc::new(open_by(on(&disk), dir.path()));
    let (go_on, stalled) = mpsc::channel::<()>();
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    disk.at_sync(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        // The first one waits for word, all others find the channel closed.
        let _ended = stalled.recv();
    });
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { append(&store, "pay", &number.to_string()).await });
    }
    while syncs.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = store.health().await.unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(tasks.try_join_next().is_none(), "acknowledged before the sync");
    assert_eq!(read(&store, "pay").await, Log::default(), "read before the sync");
    drop(go_on);
    assert_eq!(tasks.join_all().await.len(), 200);
    store.health().await.unwrap();
    assert_eq!(read(&store, "pay").await.entries.len(), 200);
    assert!(syncs.load(Ordering::SeqCst) <= 20, "all that waited share a few syncs");
}

/// As on a full disk: segments of the journal have their room, but the tree cannot take what they hold.
#[test]
fn i6_when_the_tree_cannot_follow_appends_are_refused_and_go_on_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, _files) = Tree::open(dir.path()).unwrap();
    let disk = SimulatedDisk::new(EXTENT);
    let (recent, journal) = replay(dir.path(), tree, Box::new(disk), IndexTerms::none()).unwrap();
    let (commands, queue) = sync_channel(QUEUE);
    let writer = writer(Arc::clone(&recent), journal, queue);
    let metrics = Arc::clone(&writer.metrics);
    let writing = thread::spawn(|| writer.run());
    let ask = |payment: &str| {
        let (reply, answered) = oneshot::channel();
        let mut large = event(payment, "evt");
        large.kind = "x".repeat(1 << 20).into();
        commands.send(Command::Append { event: Arc::new(large), shared_ids: false, reply }).unwrap();
        answered.blocking_recv().unwrap()
    };
    let mut taken = 0;
    let error = loop {
        match ask(&format!("pay_{taken}")) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("too far behind"), "{error}");
    assert!((10..=18).contains(&taken), "{taken}");
    assert!(metrics.render().contains(r#"limit_hits_total{reason="store_journal"} 1"#));
    let (reply, healthy) = oneshot::channel();
    commands.send(Command::Ping { reply }).unwrap();
    assert!(healthy.blocking_recv().unwrap().is_err());

    let carrier = Carrier {
        recent: Arc::clone(&recent),
        history_ms: 180 * DAY_MS,
        clock: Arc::new(crate::clock::now),
        pace: NEVER,
        sweep: Sweep::new(),
        oldest: HashMap::new(),
    };
    let carrying = thread::spawn(|| carrier.run());
    let started = Instant::now();
    while taken < 50 {
        assert!(started.elapsed() < Duration::from_secs(60), "{taken}");
        // On a busy machine, the carrier may need longer than the writer waits.
        taken += usize::from(ask(&format!("pay_{taken}")).is_ok());
    }
    drop(commands);
    writing.join().unwrap();
    recent.lock().is_closing = true;
    recent.due.notify_all();
    carrying.join().unwrap();
    for number in 0..taken {
        let subject = event(&format!("pay_{number}"), "").subject;
        assert_eq!(recent.log(&subject, |_| true).unwrap().entries.len(), 1, "{number}");
    }
}

#[tokio::test]
async fn a_damaged_journal_is_refused_in_clear_words_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (live, crashed) = (dir.path().join("live"), dir.path().join("crashed"));
    let store = open_by(Machinery { pace: NEVER, ..Machinery::default() }, &live);
    for number in 0..10 {
        append(&store, "pay", &number.to_string()).await;
    }
    // When nothing comes, the end is marked.
    let marked = || {
        fs::read(live.join("journal/00.segment"))
            .unwrap()
            .windows(4)
            .filter(|four| four == b"\xf5p\xf6s")
            .count()
    };
    let started = Instant::now();
    while marked() != 11 {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", marked());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    copy(&live, &crashed);
    drop(store);
    let segment = crashed.join("journal/00.segment");
    let sound = fs::read(&segment).unwrap();
    let end = sound.iter().rposition(|byte| *byte != 0).unwrap() + 1 - journal::HEAD_BYTES;
    for at in (0..end).step_by(97).chain([end - 1]) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        fs::write(&segment, &damaged).unwrap();
        let message = open(&crashed).unwrap_err().to_string();
        assert!(
            message.contains("damaged (its journal is damaged: 00.segment is not readable at byte"),
            "{message}"
        );
        assert!(fs::read(&segment).unwrap() == damaged, "it is kept as it was");
    }
    fs::write(&segment, &sound).unwrap();
    let revived = open(&crashed).unwrap();
    assert_eq!(read(&revived, "pay").await.entries.len(), 10);
}
