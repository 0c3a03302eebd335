mod backup;
mod carrying;
mod faults;
mod held;
mod index;
mod labels;
mod receipts;

use super::{
    carrier::{Carrier, PACE, Pace},
    journal::Journal,
    opening::{IndexTerms, replay},
    sweep::Sweep,
    tree::Tree,
    *,
};
use crate::{
    payment::{Cursor, Event, Fact, Time, Trust},
    store::{MAX_PAUSE, RECENT},
};
use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

const DAY_MS: i64 = 86_400_000;

fn settings(path: &Path) -> Settings {
    Settings { path: path.into(), history: Duration::from_secs(180 * 86_400), recent: RECENT }
}

fn open(path: &Path) -> Result<Embedded, FolderError> {
    Embedded::open(&settings(path), Arc::new(Metrics::new()))
}

fn open_by(machinery: Machinery, path: &Path) -> Embedded {
    Embedded::open_by(machinery, &settings(path), Arc::new(Metrics::new())).unwrap()
}

fn event(payment: &str, id: &str) -> Event {
    Event {
        id: id.into(),
        source: "acme".into(),
        provider: "stripe".into(),
        kind: "note".into(),
        occurred_at: None,
        received_at: Time::default(),
        subject: Subject::payment("default".parse().unwrap(), payment.parse().unwrap()),
        live: false,
        trust: Trust::Verified,
        facts: vec![Fact::Note],
        labels: Vec::new(),
        parts: Vec::new(),
        binding: None,
    }
}

async fn append(store: &Embedded, payment: &str, id: &str) -> Appended {
    store.append(Append { event: event(payment, id), shared_ids: false }).await.unwrap()
}

async fn read(store: &Embedded, payment: &str) -> Log {
    store.read(&event(payment, "").subject).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}

#[test]
fn a_folder_is_refused_with_one_clear_line_and_left_as_it_was() {
    type Prepare = fn(&Path);
    let ours = |path: &Path| open(path).unwrap().close_blocking();
    let cases: [(&str, Prepare, &str); 7] = [
        ("foreign", |path| fs::write(path.join("holiday.jpg"), "x").unwrap(), "no data folder of Paystream"),
        (
            "too new",
            |path| fs::write(path.join("PAYSTREAM"), "Paystream embedded store, format 3\n").unwrap(),
            "newer version",
        ),
        ("no marker of ours", |path| fs::write(path.join("PAYSTREAM"), "\u{0}\u{1}").unwrap(), "damaged"),
        (
            "format 0",
            |path| fs::write(path.join("PAYSTREAM"), "Paystream embedded store, format 0\n").unwrap(),
            "damaged",
        ),
        ("no database", |path| fs::remove_dir_all(path.join("db")).unwrap(), "damaged"),
        ("no journal", |path| fs::remove_dir_all(path.join("journal")).unwrap(), "damaged"),
        ("no segment", |path| fs::remove_file(path.join("journal/03.segment")).unwrap(), "damaged"),
    ];
    for (name, prepare, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        if name != "foreign" {
            ours(dir.path());
        }
        prepare(dir.path());
        let before = files(dir.path());
        let message = open(dir.path()).unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains("; "), "{name}: {message}");
        assert!(message.starts_with(dir.path().to_str().unwrap()), "{name}: {message}");
        assert_eq!(message.lines().count(), 1, "{name}: {message}");
        assert_eq!(files(dir.path()), before, "{name}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_no_pending_confirmation() {
    const HOUR: Duration = Duration::from_secs(3600);
    const HOUR_MS: i64 = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_800_000_000_000));
    let open = || {
        let clock = Arc::clone(&now);
        let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
        open_by(Machinery { clock, ..Machinery::default() }, dir.path())
    };
    let terms = ClaimTerms { spacing: Duration::from_millis(50), lease: HOUR };
    let claim = async |store: &Embedded| loop {
        match store.claim("acme", terms).await.unwrap() {
            Claim::Pending(pending) => return pending,
            Claim::Later(after) if after < HOUR => tokio::time::sleep(after).await,
            other => panic!("{other:?}"),
        }
    };
    let set_back = |hours: i64| now.fetch_sub(hours * HOUR_MS, Ordering::SeqCst);

    // While the process runs, spacing, debounce and pauses pass as if the clock were right.
    let store = open();
    let payment: Name = "pay".parse().unwrap();
    store.enqueue("acme", &payment, Duration::from_millis(50)).await.unwrap();
    set_back(2);
    let pending = claim(&store).await;
    store.settle(pending, Settlement::Paused { after: Duration::from_millis(50) }).await.unwrap();
    set_back(2);
    let pending = claim(&store).await;

    // After a restart, a confirmation that became pending in the future is due at once.
    store.settle(pending, Settlement::Postponed { after: HOUR / 2 }).await.unwrap();
    store.close_blocking();
    set_back(2);
    let store = open();
    let pending = claim(&store).await;
    assert_eq!(pending.attempts, 2);
    assert_eq!(store.backlogs().await.unwrap()["acme"].oldest, Duration::ZERO);

    // An older one waits no longer than the longest pause.
    set_back(-100);
    store.settle(pending, Settlement::Postponed { after: HOUR / 2 }).await.unwrap();
    store.close_blocking();
    set_back(50);
    match open().claim("acme", terms).await.unwrap() {
        Claim::Later(after) => assert!(after <= MAX_PAUSE, "{after:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_is_locked_until_its_store_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data");
    let store = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, FolderError::Locked { .. }), "{error}");
    store.close_blocking();
    let second = open(&path).unwrap();
    drop(second);
    open(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    drop(open(&path).unwrap());
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_creation_that_did_not_finish_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("PAYSTREAM"), "").unwrap();
    drop(open(dir.path()).unwrap());
    drop(open(dir.path()).unwrap());
}

#[tokio::test]
async fn what_is_asked_after_the_close_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    append(&store, "pay", "evt").await;
    store.close_blocking();
    let again = Append { event: event("pay", "evt"), shared_ids: false };
    for error in [
        store.append(again).await.unwrap_err(),
        store.read(&event("pay", "").subject).await.unwrap_err(),
        store.health().await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
}

/// Commands that are queued before the writer starts are one batch, so the earlier ones are not committed when the later ones are decided.
#[test]
fn i2_duplicates_within_one_uncommitted_batch_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, files) = Tree::open(dir.path()).unwrap();
    let (recent, journal) = replay(dir.path(), tree, Box::new(files), IndexTerms::none()).unwrap();
    let (commands, queue) = sync_channel(QUEUE);
    let mut replies = Vec::new();
    for id in ["evt_1", "evt_1", "evt_2", "evt_1"] {
        let (reply, answered) = oneshot::channel();
        commands
            .send(Command::Append { event: Arc::new(event("pay", id)), shared_ids: false, reply })
            .unwrap();
        replies.push(answered);
    }
    drop(commands);
    writer(recent, journal, queue).run();
    let answers: Vec<_> = replies.into_iter().map(|mut reply| reply.try_recv().unwrap().unwrap()).collect();
    let [Appended::New { cursor: first }, duplicate, Appended::New { .. }, other] = answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!([duplicate, other], [Appended::Duplicate { cursor: first }; 2]);
}

fn writer(recent: Arc<Recent>, journal: Journal, commands: std::sync::mpsc::Receiver<Command>) -> Writer {
    Writer {
        heads: recent.heads().unwrap(),
        recent,
        journal,
        commands,
        notices: broadcast::channel(16).0,
        published: Arc::default(),
        records: RecordLogs::default(),
        audit: audit::AuditNumbers::default(),
        work: WorkQueues::default(),
        history_ms: 180 * DAY_MS,
        clock: Arc::new(crate::clock::now),
        pace: PACE,
        metrics: Arc::new(Metrics::new()),
        group: Vec::new(),
        is_unmarked: false,
        ticked: Instant::now(),
        looks_for_held: Instant::now(),
    }
}

#[tokio::test]
async fn expired_logs_are_swept_and_living_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
    let store = open_by(Machinery { clock, ..Machinery::default() }, dir.path());
    // These are more logs than one step looks at.
    for number in 0..600 {
        append(&store, &format!("old_{number}"), "evt").await;
    }
    now.fetch_add(100 * DAY_MS, Ordering::SeqCst);
    append(&store, "old_0", "evt_2").await;
    append(&store, "young", "evt").await;
    now.fetch_add(80 * DAY_MS, Ordering::SeqCst);
    assert_eq!(read(&store, "old_1").await.entries.len(), 1, "its last day is not over");
    now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(read(&store, "old_1").await, Log::default());
    assert_eq!(read(&store, "old_0").await.entries.len(), 2);

    let tree = store.open.read().unwrap().as_ref().unwrap().recent.tree.clone();
    let kept = || {
        let now = tree.now();
        [&b"m"[..], b"e", b"s"].map(|prefix| now.after(prefix, &[]).count())
    };
    let started = Instant::now();
    // Two logs with three events are left.
    while kept() != [2, 3, 3] {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?} are left", kept());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(read(&store, "young").await.entries.len(), 1);
    let anew = append(&store, "old_1", "evt").await;
    assert!(matches!(anew, Appended::New { cursor: Cursor { seq: 1, .. }, .. }), "{anew:?}");
}

#[tokio::test]
async fn an_expired_log_leaves_nothing_to_the_one_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
    let store = open_by(Machinery { clock, ..Machinery::default() }, dir.path());
    for id in ["evt_1", "evt_2", "evt_3"] {
        append(&store, "pay", id).await;
    }
    now.fetch_add(180 * DAY_MS + 1, Ordering::SeqCst);
    for (seq, id) in [(1, "evt_3"), (2, "evt_1")] {
        let anew = append(&store, "pay", id).await;
        assert!(matches!(anew, Appended::New { cursor, .. } if cursor.seq == seq), "{anew:?}");
    }
    let ids: Vec<_> =
        read(&store, "pay").await.entries.iter().map(|entry| entry.event.id.to_string()).collect();
    assert_eq!(ids, ["evt_3", "evt_1"]);
}

/// A copy that is taken while appends run is like the folder after a power cut: its tail is torn, and it was never closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_copy_taken_in_mid_run_holds_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    // Nothing is carried: a copy that is taken while files of the tree are written would mix several moments.
    let pace = Pace { bytes: usize::MAX, after: Duration::from_secs(3600) };
    let store = Arc::new(open_by(Machinery { pace, ..Machinery::default() }, &live));
    let writing = Arc::clone(&store);
    let (acked, mut acks) = tokio::sync::mpsc::unbounded_channel();
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let writer = tokio::spawn(async move {
        for number in 0..5_000 {
            if stopped.is_cancelled() {
                break;
            }
            let payment = format!("pay_{}", number / 100);
            let appended = append(&writing, &payment, &number.to_string()).await;
            let Appended::New { cursor, .. } = appended else { panic!("{appended:?}") };
            acked.send((payment, cursor)).unwrap();
        }
    });
    let mut known: HashMap<String, Vec<Cursor>> = HashMap::new();
    for round in 0..3 {
        for _ in 0..20 {
            let Some((payment, cursor)) = acks.recv().await else { break };
            known.entry(payment).or_default().push(cursor);
        }
        while let Ok((payment, cursor)) = acks.try_recv() {
            known.entry(payment).or_default().push(cursor);
        }
        let crashed = dir.path().join(format!("crashed_{round}"));
        copy(&live, &crashed);
        tear(&crashed, round);
        let revived = open(&crashed).unwrap();
        for (payment, cursors) in &known {
            let log = read(&revived, payment).await;
            for cursor in cursors {
                assert!(log.after(*cursor).is_some(), "round {round}: {payment} lost {cursor}");
            }
        }
        let appended = append(&revived, "pay_0", &format!("after_{round}")).await;
        assert!(matches!(appended, Appended::New { .. }), "{appended:?}");
    }
    stop.cancel();
    writer.await.unwrap();
}

/// Adds half a group to the end of the journal, like a write that a crash interrupted.
fn tear(folder: &Path, round: usize) {
    let segment = folder.join("journal/00.segment");
    let mut written = fs::read(&segment).unwrap();
    let end = written.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    written.copy_within(0..round * 13, end);
    fs::write(segment, written).unwrap();
}

#[tokio::test]
async fn damage_is_refused_without_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound");
    let store = open(&sound).unwrap();
    append(&store, "pay", "evt").await;
    store.close_blocking();
    let mut refused = 0;
    for (number, file) in files(&sound).into_iter().enumerate() {
        let name = file.strip_prefix(&sound).unwrap();
        let damaged = dir.path().join(format!("damaged_{number}"));
        copy(&sound, &damaged);
        fs::write(damaged.join(name), [0xa5; 64]).unwrap();
        if let Err(error) = open(&damaged) {
            assert!(matches!(error, FolderError::Corrupt { .. }), "{}: {error}", name.display());
            refused += 1;
        }
    }
    assert!(refused > 0);
}
