//! Backups that are cut short, forged, or in the way of a close.

use super::{carrying::sent, *};
use crate::store::embedded::backup::within;
use std::os::unix::fs::PermissionsExt as _;

async fn filled(path: &Path, logs: usize) -> Embedded {
    let store = open(path).unwrap();
    for number in 0..logs {
        append(&store, &format!("pay_{number}"), "evt").await;
    }
    store
}

#[tokio::test]
async fn a_stream_that_was_cut_or_changed_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let sound = sent(&filled(&dir.path().join("live"), 20).await).await;
    let copy = dir.path().join("copy");
    let mut changed = sound.clone();
    changed[sound.len() / 2] ^= 1;
    let other_version = [b"Paystream backup 2\n", &sound[19..]].concat();
    for stream in [
        &sound[..sound.len() - 1],
        &sound[..sound.len() / 2],
        &[],
        &changed,
        &other_version,
        b"<!DOCTYPE html>",
    ] {
        copy_from_gateway(stream, None, &copy).unwrap_err();
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["live"]);
    }
    let Copied { logs, .. } = copy_from_gateway(&*sound, None, &copy).unwrap();
    assert_eq!(logs, Some(Logs { logs: 20, events: 20 }));
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
}

/// A store cannot be opened again before the last thread that reads it has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_closed_in_the_midst_of_a_backup_that_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 3000).await;
    let unread = store.backup().await.unwrap().unwrap();
    let started = Instant::now();
    while unread.len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.close().await;
    open(dir.path()).unwrap();
    assert!(store.backup().await.is_err());
}

#[tokio::test]
async fn a_copy_that_is_moved_into_a_folder_is_whole_or_no_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    let stream = sent(&filled(&dir.path().join("live"), 3).await).await;
    let target = dir.path().join("mounted");
    fs::create_dir(&target).unwrap();
    within(&target, &stream).unwrap();
    let store = open(&target).unwrap();
    assert_eq!(read(&store, "pay_2").await.entries.len(), 1);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 3, "nothing but db, journal and PAYSTREAM");
}
