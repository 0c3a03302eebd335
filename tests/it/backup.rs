//! Backups of the data folder: made of a gateway that runs and of a folder that none has open, restored, and refused.

use crate::support::{
    ADMIN_TOKEN, Gateway, PATIENCE, RedisServer, Setup, Store, eventually, generic, header, next_message,
    now_s, paystream, read_until,
};
use load::{
    follow::Seen,
    http::{Connection, request},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

async fn embedded() -> Gateway {
    Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await
}

/// Runs `paystream store …` with the gateway's configuration.
async fn store(gateway: &Gateway, arguments: &[&str]) -> Output {
    let mut command = paystream();
    command.arg("store").args(arguments).arg("--config").arg(gateway.config_path());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn succeeds(gateway: &Gateway, arguments: &[&str]) -> Value {
    let output = store(gateway, &[arguments, &["--json"]].concat()).await;
    assert!(output.status.success(), "{output:?}\n{}", gateway.log());
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn fails(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = store(gateway, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What stands beside the gateway's files, unfinished copies too.
fn beside(gateway: &Gateway) -> Vec<String> {
    let entries = fs::read_dir(gateway.folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with('.') || name.contains("backup")).collect();
    names.sort();
    names
}

fn path(gateway: &Gateway, name: &str) -> PathBuf {
    gateway.folder().join(name)
}

/// All files below a folder, with their contents.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        match entry.is_dir() {
            true => all.extend(contents(&entry)),
            false => all.push((entry.clone(), fs::read(&entry).unwrap())),
        }
    }
    all.sort();
    all
}

/// Stops the gateway, moves its data folder away and restores the backup.
async fn restore(gateway: &mut Gateway, backup: &str) {
    gateway.stop().await;
    fs::rename(gateway.data_path(), path(gateway, "moved-away")).unwrap();
    succeeds(gateway, &["restore", backup]).await;
    gateway.restart().await;
}

#[tokio::test]
async fn a_backup_of_a_busy_gateway_holds_all_that_was_acknowledged_before_it_began() {
    let mut gateway = embedded().await;
    let (counted, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let posting: Vec<_> = (0..4)
        .map(|task| {
            let (ingest, counted, is_over) = (gateway.ingest, Arc::clone(&counted), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut connection = Connection::open(ingest).await.unwrap();
                let mut number = 0_u64;
                while !is_over.load(Ordering::SeqCst) {
                    // Each payment gets three events.
                    let payment = format!("pay_{task}_{}", number / 3);
                    let id = format!("e{number}");
                    let body = generic(&id, "pending", &payment, now_s()).to_string().into_bytes();
                    let headers = crate::support::signed("acme", &body);
                    let answer = connection.request("POST", "/webhooks/acme", &headers, &body).await.unwrap();
                    assert_eq!(answer.head.status / 100, 2, "{}", answer.text());
                    number += 1;
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                number
            })
        })
        .collect();
    eventually("there is something in tree and journal", async || counted.load(Ordering::SeqCst) > 3000)
        .await;
    let before = counted.load(Ordering::SeqCst);
    let backup = path(&gateway, "backup");
    let report = succeeds(&gateway, &["backup", backup.to_str().unwrap()]).await;
    let after = counted.load(Ordering::SeqCst);
    is_over.store(true, Ordering::SeqCst);
    let mut posted = Vec::new();
    for task in posting {
        posted.push(task.await.unwrap());
    }
    let events = report["read"]["events"].as_u64().unwrap();
    assert!((before..=after + 4).contains(&events), "{before} <= {events} <= {after}");
    assert_eq!(beside(&gateway), ["backup"]);
    let whole = succeeds(&gateway, &["check", "--data", backup.to_str().unwrap()]).await;
    assert_eq!(whole["ok"], true);

    // What each payment has is a beginning of what it had.
    restore(&mut gateway, backup.to_str().unwrap()).await;
    let mut found = 0;
    for (task, posted) in posted.into_iter().enumerate() {
        for payment in 0..posted.div_ceil(3) {
            let snapshot = gateway.snapshot(&format!("pay_{task}_{payment}")).await;
            let seq = snapshot["seq"].as_u64().unwrap();
            let ids: Vec<_> =
                snapshot["timeline"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
            let expected: Vec<_> = (0..seq).map(|place| format!("e{}", payment * 3 + place)).collect();
            assert_eq!(ids, expected.iter().collect::<Vec<_>>());
            found += seq;
        }
    }
    assert_eq!(found, events);
    // It goes on where the backup ended, and knows what it has seen.
    let known = generic("e0", "pending", "pay_0_0", now_s());
    assert_eq!(gateway.post("acme", &known).await.head.status / 100, 2);
    gateway.accept(&generic("new", "pending", "pay_0_0", now_s())).await;
    assert_eq!(gateway.snapshot("pay_0_0").await["seq"], 4);
}

#[tokio::test]
async fn i3_streams_that_are_further_than_a_restored_store_are_told_so() {
    let mut gateway = embedded().await;
    let started = now_s();
    for (id, payment) in [("a1", "pay_a"), ("b1", "pay_b"), ("d1", "pay_d")] {
        gateway.accept(&generic(id, "pending", payment, started)).await;
    }
    let backup = path(&gateway, "backup");
    succeeds(&gateway, &["backup", backup.to_str().unwrap()]).await;
    for (id, payment) in [("a2", "pay_a"), ("b2", "pay_b"), ("c1", "pay_c")] {
        gateway.accept(&generic(id, "confirmed", payment, started)).await;
    }
    let mut cursors = Vec::new();
    for payment in ["pay_a", "pay_b", "pay_c", "pay_d"] {
        let (cursor, _) = next_message(&mut gateway.stream(payment).await).await;
        cursors.push(cursor);
    }
    restore(&mut gateway, backup.to_str().unwrap()).await;
    // Another event takes the place that the lost one had.
    gateway.accept(&generic("b3", "failed", "pay_b", started + 1)).await;
    let expected = [
        ("pay_a", "snapshot", "rolled_back", 1, "processing"),
        ("pay_b", "snapshot", "unknown_cursor", 2, "failed"),
        ("pay_c", "snapshot", "evicted", 0, "unknown"),
    ];
    for (cursor, (payment, kind, reason, seq, status)) in cursors.iter().zip(expected) {
        let mut stream = gateway.resume(payment, cursor).await;
        let (id, first) = next_message(&mut stream).await;
        assert_eq!(
            (&first["type"], &first["reason"], &first["seq"]),
            (&kind.into(), &reason.into(), &seq.into()),
            "{payment}: {first}"
        );
        assert_eq!(first["status"], status, "{payment}");
        assert_ne!(id, *cursor, "{payment}");
        // From there it is an ordinary stream.
        gateway.accept(&generic("later", "pending", payment, started + 2)).await;
        let next = read_until(&mut stream, seq + 1).await;
        assert_eq!((next.len(), &next[0]["type"]), (1, &"update".into()), "{payment}");
    }
    // Where nothing came after the backup, nothing is repeated.
    let mut stream = gateway.resume("pay_d", &cursors[3]).await;
    assert_eq!(next_message(&mut stream).await.1["type"], "ready");
}

/// Streams that were open before and return by themselves, as browsers do.
#[tokio::test]
async fn i3_a_follower_is_never_left_behind_by_a_restored_store() {
    let mut gateway = embedded().await;
    let started = now_s();
    gateway.accept(&generic("e1", "pending", "pay_1", started)).await;
    let backup = path(&gateway, "backup");
    succeeds(&gateway, &["backup", backup.to_str().unwrap()]).await;
    let mut follower = gateway.follower("pay_1");
    gateway.accept(&generic("e2", "pending", "pay_1", started)).await;
    gateway.accept(&generic("e3", "pending", "pay_1", started)).await;
    follower.follow(|seen, _| seen.seq == 3).await.unwrap();
    restore(&mut gateway, backup.to_str().unwrap()).await;
    gateway.accept(&generic("f2", "failed", "pay_1", started + 1)).await;
    let back = follower.follow(|seen, _| !seen.snapshots.is_empty() && seen.seq == 2);
    tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
    let Seen { status, snapshots: reasons, events, .. } = follower.seen;
    assert_eq!((&*status, &*events[&2]), ("failed", "f2"));
    assert!(
        reasons.iter().all(|reason| ["rolled_back", "unknown_cursor"].contains(&reason.as_str())),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_folder_that_no_gateway_has_open_is_copied_as_it_is() {
    let mut gateway = embedded().await;
    for number in 0..50 {
        gateway.accept(&generic("e1", "pending", &format!("pay_{number}"), now_s())).await;
    }
    // The journal holds what the tree lacks.
    gateway.kill();
    let before = contents(&gateway.data_path());
    let backup = path(&gateway, "new/backup");
    succeeds(&gateway, &["backup", backup.to_str().unwrap()]).await;
    let files = |all: &[(PathBuf, Vec<u8>)], folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().to_owned();
        all.iter().map(|(path, content)| (name(path), content.clone())).collect()
    };
    assert!(contents(&gateway.data_path()) == before, "the folder was changed");
    assert!(
        files(&contents(&backup), &backup) == files(&before, &gateway.data_path()),
        "the copy is another one"
    );
    fs::remove_dir_all(gateway.data_path()).unwrap();
    // An empty folder is as good as none.
    fs::create_dir(gateway.data_path()).unwrap();
    succeeds(&gateway, &["restore", backup.to_str().unwrap()]).await;
    gateway.restart().await;
    for number in 0..50 {
        assert_eq!(gateway.snapshot(&format!("pay_{number}")).await["seq"], 1);
    }
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_damaged_is_copied() {
    let mut gateway = embedded().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let (full, file, link) = (path(&gateway, "full"), path(&gateway, "a-file"), path(&gateway, "a-link"));
    fs::create_dir(&full).unwrap();
    fs::write(full.join("holiday.jpg"), "x").unwrap();
    fs::write(&file, "x").unwrap();
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let within = gateway.data_path().join("backup");
    let backup = path(&gateway, "backup");
    let all = [
        (&full, "not an empty folder"),
        (&file, "not an empty folder"),
        (&link, "not an empty folder"),
        (&within, "within the data folder"),
    ];
    for (to, why) in all {
        let error = fails(&gateway, &["backup", to.to_str().unwrap()]).await;
        assert!(error.contains(why), "while it runs: {error}");
    }
    succeeds(&gateway, &["backup", backup.to_str().unwrap()]).await;
    let error = fails(&gateway, &["backup", backup.to_str().unwrap()]).await;
    assert!(error.contains("not an empty folder"), "{error}");
    // While the gateway runs, neither its folder nor the path of it is taken.
    let error = fails(&gateway, &["restore", backup.to_str().unwrap()]).await;
    assert!(error.contains("in use by another gateway"), "{error}");
    let error =
        fails(&gateway, &["restore", gateway.data_path().to_str().unwrap(), "--data", "elsewhere"]).await;
    assert!(error.contains("in use by another gateway"), "{error}");

    gateway.stop().await;
    for (to, why) in all {
        let error = fails(&gateway, &["backup", to.to_str().unwrap()]).await;
        assert!(error.contains(why), "while it is stopped: {error}");
    }
    let error = fails(&gateway, &["restore", backup.to_str().unwrap()]).await;
    assert!(error.contains("not an empty folder"), "{error}");
    let error = fails(&gateway, &["restore", full.to_str().unwrap()]).await;
    assert!(error.contains("no data folder of Paystream"), "{error}");

    // A flipped bit, in what is to be copied and in what is to be restored.
    let elsewhere = path(&gateway, "elsewhere");
    for (folder, command) in [(gateway.data_path(), "backup"), (backup.clone(), "restore")] {
        let table = contents(&folder)
            .into_iter()
            .find(|(path, _)| path.to_string_lossy().contains("tables"))
            .unwrap();
        let mut damaged = table.1.clone();
        damaged[40] ^= 1;
        fs::write(&table.0, &damaged).unwrap();
        let (elsewhere, folder) = (elsewhere.to_str().unwrap(), folder.to_str().unwrap());
        let error = match command {
            "backup" => fails(&gateway, &["backup", elsewhere]).await,
            _ => fails(&gateway, &["restore", folder, "--data", elsewhere]).await,
        };
        assert!(error.contains("damaged, so it is not copied"), "{command}: {error}");
        fs::write(&table.0, &table.1).unwrap();
    }
    assert!(!elsewhere.exists() && fs::read_link(&link).is_ok());
    assert_eq!(fs::read(&file).unwrap(), b"x");
    assert_eq!(beside(&gateway), ["backup"], "nothing unfinished is left");
    gateway.restart().await;
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 1);
}

#[tokio::test]
async fn a_backup_needs_the_token_and_an_embedded_store_and_comes_one_at_a_time() {
    let gateway = embedded().await;
    let route = "/admin/store/backup";
    let bearer = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    assert_eq!(request(gateway.admin, "GET", route, &[], b"").await.unwrap().head.status, 401);
    let wrong = [header("authorization", "Bearer 0123456789abcdef0123456789abcdef")];
    assert_eq!(request(gateway.admin, "GET", route, &wrong, b"").await.unwrap().head.status, 401);
    assert_eq!(request(gateway.admin, "POST", route, &bearer, b"").await.unwrap().head.status, 405);
    let asked = request(gateway.admin, "GET", &format!("{route}?to=/tmp/x"), &bearer, b"").await.unwrap();
    assert_eq!((asked.head.status, &asked.json()["reason"]), (400, &"bad_parameter".into()));

    // One that is asked for and not read holds the turn, and gives it back when it leaves. It is longer than what the sockets hold.
    let posting: Vec<_> = (0..8).map(|task| tokio::spawn(post_many(gateway.ingest, task, 600))).collect();
    for task in posting {
        task.await.unwrap();
    }
    let mut reading = Connection::open(gateway.admin).await.unwrap();
    assert_eq!(reading.send("GET", route, &bearer, b"").await.unwrap().status, 200);
    let second = request(gateway.admin, "GET", route, &bearer, b"").await.unwrap();
    assert_eq!(
        (second.head.status, &second.json()["reason"]),
        (409, &"backup_in_progress".into()),
        "{}",
        second.text()
    );
    let error = fails(&gateway, &["backup", path(&gateway, "backup").to_str().unwrap()]).await;
    assert!(error.contains("another backup is being made"), "{error}");
    drop(reading);
    eventually("the turn is free again", async || {
        let output = store(&gateway, &["backup", path(&gateway, "backup").to_str().unwrap()]).await;
        output.status.success()
    })
    .await;

    let redis = RedisServer::start().await;
    let on_redis = Gateway::with(Setup::on(&redis)).await;
    let refused = request(on_redis.admin, "GET", route, &bearer, b"").await.unwrap();
    assert_eq!((refused.head.status, &refused.json()["reason"]), (404, &"no_data_folder".into()));
    let output = store(&on_redis, &["backup", path(&gateway, "other").to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Posts events of so many payments over one connection.
async fn post_many(ingest: std::net::SocketAddr, task: usize, payments: usize) {
    let mut connection = Connection::open(ingest).await.unwrap();
    for number in 0..payments {
        let payment = format!("pay_{task}_{number}");
        let body = generic("e1", "pending", &payment, now_s()).to_string().into_bytes();
        let headers = crate::support::signed("acme", &body);
        let answer = connection.request("POST", "/webhooks/acme", &headers, &body).await.unwrap();
        assert_eq!(answer.head.status / 100, 2, "{}", answer.text());
    }
}
