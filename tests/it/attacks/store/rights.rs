//! Who may look into the data folder, and what a symbolic link in it is good for.

use crate::support::{Gateway, Setup, Store, generic, now_s, paystream};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Output,
};

async fn gateway() -> Gateway {
    Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn all(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_path_buf()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(self::all(&path)) } else { all.push(path) }
    }
    all
}

async fn run(gateway: &Gateway, arguments: &[&str]) -> (Output, String) {
    let mut command = paystream();
    command.args(arguments).arg("--config").arg(gateway.config_path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_data_folder_is_its_users_alone_and_wider_rights_are_warned_of() {
    let mut gateway = gateway().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    for path in all(&gateway.data_path()) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert!(!gateway.log().contains("other users"), "{}", gateway.log());
    gateway.stop().await;
    for (path, wide) in [("", 0o755), ("PAYSTREAM", 0o640), ("db/version", 0o604)] {
        let path = gateway.data_path().join(path);
        let narrow = mode(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(wide)).unwrap();
        for command in [&["check"][..], &["store", "check"]] {
            let (output, said) = run(&gateway, command).await;
            assert!(output.status.success(), "{said}");
            assert!(said.contains("other users of this machine") && said.contains("chmod -R go="), "{said}");
        }
        gateway.restart().await;
        assert!(gateway.log().contains("other users of this machine may open 1 of"), "{}", gateway.log());
        gateway.stop().await;
        fs::set_permissions(&path, fs::Permissions::from_mode(narrow)).unwrap();
    }
}

#[tokio::test]
async fn a_symbolic_link_in_the_data_folder_is_refused_and_nothing_is_written_through_it() {
    let mut gateway = gateway().await;
    gateway.stop().await;
    let data = gateway.data_path();
    let outside = gateway.folder().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["PAYSTREAM", "db", "db/keyspaces", "db/version", "db/lock"] {
        let (path, moved) = (data.join(name), outside.join(name.replace('/', "_")));
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
        let (output, said) = run(&gateway, &["serve"]).await;
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("is a symbolic link") && said.contains(name), "{name}: {said}");
        assert_eq!(run(&gateway, &["store", "check"]).await.0.status.code(), Some(1), "{name}");
        fs::remove_file(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
    }
    // A marker that an attacker planted in a folder that is still empty would be written through.
    let victim = outside.join("victim");
    fs::write(&victim, "").unwrap();
    let aside = outside.join("aside");
    fs::rename(&data, &aside).unwrap();
    fs::create_dir(&data).unwrap();
    symlink(&victim, data.join("PAYSTREAM")).unwrap();
    let (output, said) = run(&gateway, &["serve"]).await;
    assert_eq!((output.status.code(), said.contains("is a symbolic link")), (Some(1), true), "{said}");
    assert_eq!(fs::read(&victim).unwrap(), b"");
    fs::remove_dir_all(&data).unwrap();
    // The folder itself may be a link to one of our own, as where a volume is mounted elsewhere.
    symlink(&aside, &data).unwrap();
    gateway.restart().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
}

#[tokio::test]
async fn a_folder_in_use_is_not_checked_and_a_stopped_one_is() {
    let mut gateway = gateway().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let (output, said) = run(&gateway, &["store", "check"]).await;
    assert_eq!((output.status.code(), said.contains("in use by another gateway")), (Some(1), true), "{said}");
    // Once nothing comes for a moment, an empty group stands behind the event; without it, damage to the last group cannot be told from a
    // write that the kill cut off.
    let journal = gateway.data_path().join("journal/00.segment");
    let groups = || memchr::memmem::find_iter(&fs::read(&journal).unwrap(), b"\xf5p\xf6s").count();
    crate::support::eventually("the end of the journal is marked", async || groups() == 2).await;
    gateway.kill();
    let (output, said) = run(&gateway, &["store", "check", "--json"]).await;
    assert!(output.status.success(), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["ok"], &said["journal"]["events"]), (&true.into(), &1.into()), "{said}");

    // One flipped bit in the acknowledged event: the start is refused, and the check says what it costs.
    let sound = fs::read(&journal).unwrap();
    let place = memchr::memmem::find(&sound, b"pay_1").unwrap();
    let mut flipped = sound.clone();
    flipped[place] ^= 1;
    fs::write(&journal, &flipped).unwrap();
    let (output, said) = run(&gateway, &["serve"]).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("00.segment") && said.contains("paystream store check"), "{said}");
    let (output, said) = run(&gateway, &["store", "check"]).await;
    assert_eq!((output.status.code(), said.contains("would be lost: ")), (Some(1), true), "{said}");
    assert!(fs::read(&journal).unwrap() == flipped, "the damaged journal was changed");
    fs::write(&journal, &sound).unwrap();
    gateway.restart().await;
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 1);

    // There is nothing to check where there is nothing, and nothing is made there.
    let nowhere = gateway.folder().join("nowhere");
    let (output, said) = run(&gateway, &["store", "check", "--data", nowhere.to_str().unwrap()]).await;
    assert_eq!(
        (output.status.code(), said.contains("no data folder of Paystream")),
        (Some(1), true),
        "{said}"
    );
    assert!(!nowhere.exists());
}
