//! A disk that is really full: a file system of 200 MB of its own, in a mount namespace of its own, whose rest a file takes.
//!
//! Only the superuser may mount, or whoever may have a user namespace. So the test runs itself again, in such a namespace, where the data folder lies on that file system. Where the system permits neither, the test fails and says so.

use crate::{
    contract,
    support::{Gateway, PATIENCE, Setup, Store, eventually, generic, now_s, paystream, signed},
};
use load::http::request;
use paystream::{
    metrics::Metrics,
    store::{Append, Store as _, embedded},
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// Where the test finds its file system, once it runs in its namespace.
const ROOM: &str = "PAYSTREAM_TEST_ROOM";

/// The journal takes 64 MiB of it. What the journal holds takes some 50 MiB more in the tree before it is merged.
const SIZE: &str = "size=200m,mode=700";

/// Less than the tree needs.
const LITTLE: u64 = 16 << 20;

/// Runs a test of this file again in a namespace, with a small file system.
fn in_a_small_room(test: &str) {
    let outer = tempfile::tempdir().unwrap();
    let room = outer.path().join("room");
    fs::create_dir(&room).unwrap();
    let may = |arguments: &[&str]| {
        Command::new("unshare").args(arguments).arg("true").status().is_ok_and(|status| status.success())
    };
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let way =
        ways.into_iter().find(|way| may(way)).expect("the superuser, or a user namespace, to mount a tmpfs");
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && exec \"$0\" --exact \"$3\" --nocapture";
    let status = Command::new("unshare")
        .args(way)
        .args(["sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([SIZE.as_ref(), room.as_os_str(), test.as_ref()])
        .env(ROOM, &room)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

/// Takes all of the room that is left.
fn fill(room: &Path) -> PathBuf {
    let path = room.join("filler");
    let mut file = File::create(&path).unwrap();
    // The last pages are taken one by one.
    for part in [1 << 20, 4096] {
        let bytes = vec![1; part];
        loop {
            match file.write_all(&bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    path
}

/// Appends large events to a folder that no gateway has open, until its journal is full too. Returns their payments.
async fn fill_journal(folder: &Path, room: &Path) -> (Vec<String>, PathBuf) {
    let settings = embedded::Settings { path: folder.into(), history: Duration::from_secs(180 * 86_400) };
    let store = embedded::Embedded::open(&settings, Arc::new(Metrics::new())).unwrap();
    let filler = fill(room);
    let (mut acknowledged, started) = (Vec::new(), Instant::now());
    loop {
        assert!(started.elapsed() < PATIENCE, "the journal never was full");
        let payment = format!("large_{}", acknowledged.len());
        let mut event = contract::event(&payment, "e1", 100);
        event.kind = "x".repeat(1 << 20).into();
        match store.append(Append { event, shared_ids: false }).await {
            Ok(_) => acknowledged.push(payment),
            Err(error) => {
                assert!(error.to_string().contains("too far behind"), "{error}");
                return (acknowledged, filler);
            }
        }
    }
}

/// The bytes that are free.
fn free(room: &Path) -> u64 {
    let found = rustix::fs::statvfs(room).unwrap();
    found.f_bavail * found.f_frsize
}

async fn status(gateway: &Gateway, path: &str) -> u16 {
    request(gateway.admin, "GET", path, &[], b"").await.map_or(0, |answer| answer.head.status)
}

/// The answer to a webhook; 0 if there is none.
async fn post(gateway: &Gateway, payment: &str) -> u16 {
    let body = generic("e1", "pending", payment, now_s()).to_string().into_bytes();
    let answer = request(gateway.ingest, "POST", "/webhooks/acme", &signed("acme", &body), &body).await;
    answer.map_or(0, |answer| answer.head.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_webhooks_says_so_loses_nothing_and_goes_on_when_there_is_room() {
    let Some(room) = std::env::var_os(ROOM).map(PathBuf::from) else {
        let name =
            "full_disk::a_full_disk_refuses_webhooks_says_so_loses_nothing_and_goes_on_when_there_is_room";
        return tokio::task::spawn_blocking(move || in_a_small_room(name)).await.unwrap();
    };
    let data = room.join("data");
    let mut gateway =
        Gateway::with(Setup { store: Store::EmbeddedIn(data.clone()), ..Setup::default() }).await;
    let mut acknowledged: Vec<String> = (0..50).map(|number| format!("pay_{number}")).collect();
    for payment in &acknowledged {
        assert_eq!(post(&gateway, payment).await / 100, 2);
    }
    gateway.stop().await;
    let (large, filler) = fill_journal(&data, &room).await;
    assert!(large.len() > 30, "{}", large.len());

    // The gateway starts on a full disk, serves what there is, and refuses what it cannot keep.
    gateway.restart().await;
    loop {
        let payment = format!("more_{}", acknowledged.len());
        match post(&gateway, &payment).await {
            503 => break,
            status => assert_eq!(status / 100, 2, "{payment}:\n{}", gateway.log()),
        }
        acknowledged.push(payment);
    }
    assert_eq!(status(&gateway, "/readyz/ingest").await, 503);
    assert_eq!((status(&gateway, "/livez").await, status(&gateway, "/readyz").await), (200, 200));
    assert_eq!(gateway.snapshot("pay_7").await["seq"], 1);

    // It can still be backed up, to another disk.
    let backup = gateway.folder().join("backup");
    let mut command = paystream();
    command.args(["store", "backup"]).arg(&backup).arg("--config").arg(gateway.config_path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let all = acknowledged.len() + large.len();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("{all} logs with {all} events")), "{said}");

    // There is some room, but too little: each try of the tree fails, and gives back what it took.
    let length = fs::metadata(&filler).unwrap().len();
    File::options().write(true).open(&filler).unwrap().set_len(length - LITTLE).unwrap();
    let failures = || gateway.log().matches("the store's tree cannot be written").count();
    let before = failures();
    eventually("it was tried in vain", async || failures() > before + 2).await;
    eventually("the room is free again", async || free(&room) > LITTLE / 2).await;
    let tables = fs::read_dir(data.join("db/keyspaces/1/tables")).unwrap().count();
    assert!(tables <= 10, "{tables} files");

    // There is room again.
    fs::remove_file(filler).unwrap();
    eventually("webhooks are taken", async || post(&gateway, "late").await / 100 == 2).await;
    eventually("it says so", async || status(&gateway, "/readyz/ingest").await == 200).await;
    acknowledged.extend(large);
    acknowledged.push("late".to_owned());
    for payment in &acknowledged {
        assert_eq!(gateway.snapshot(payment).await["seq"], 1, "{payment}");
    }
    gateway.kill();
    gateway.restart().await;
    for payment in &acknowledged {
        assert_eq!(gateway.snapshot(payment).await["seq"], 1, "{payment} after a restart");
    }
}
