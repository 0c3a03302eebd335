//! Secrets in files are read again when a file changes: nobody has to tell the gateway of a rotation.

use crate::support::{
    ADMIN_TOKEN, GENERIC_SECRET, Gateway, OTHER_SECRET, RedisServer, Setup, Store, TOKEN_KEY, claims,
    eventually, generic, header, next_message, read_to_end,
};
use load::{
    http::request,
    sign::{self, jwt_hs256},
};
use std::{fs, os::unix::fs::symlink, path::Path};

const NEW: &str = "c0ffee1d4be07d19c5f23a86907e1db4c83f5a2d";
const NEWER: &str = "5eaf00d2b8c7441e9a6d03f1827bc95e64a0d371";

/// Posts a webhook signed with `secret`, and returns the status.
async fn post(gateway: &Gateway, id: &str, secret: &str) -> u16 {
    let body = generic(id, "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    gateway.post_raw("acme", &sign::generic(secret, &body), &body).await.head.status
}

async fn reloads(gateway: &Gateway, outcome: &str) -> f64 {
    let outcome = format!("outcome=\"{outcome}\"");
    gateway.metric("paystream_reloads_total", &["cause=\"secret_file\"", &outcome]).await
}

/// As an editor, a job of CI or a secret manager does: beside the file, and then in its place.
fn replace(path: &Path, secret: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, secret).unwrap();
    fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn a_webhook_secret_is_rotated_by_its_files_while_deliveries_of_both_come() {
    let mut setup = Setup::default();
    setup.sources[0].secrets = vec![GENERIC_SECRET.to_owned(), OTHER_SECRET.to_owned()];
    let gateway = Gateway::with(setup).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    let file = |index: u8| gateway.folder().join(format!("acme-{index}.secret"));
    assert_eq!(post(&gateway, "e0", NEW).await, 401);
    // The new secret takes the place of the spare one. The old one counts all the while.
    fs::write(file(1), NEW).unwrap();
    eventually("the new secret counts", async || {
        assert_eq!(post(&gateway, "e1", GENERIC_SECRET).await, 200);
        post(&gateway, "e1", NEW).await == 200
    })
    .await;
    assert_eq!(post(&gateway, "e1", OTHER_SECRET).await, 401);
    // Then the old one is replaced. The new one counts all the while.
    replace(&file(0), NEWER);
    eventually("the old secret counts no more", async || {
        assert_eq!(post(&gateway, "e1", NEW).await, 200);
        post(&gateway, "e1", GENERIC_SECRET).await == 401
    })
    .await;
    assert_eq!(post(&gateway, "e2", NEWER).await, 200);
    for seq in 1..=2 {
        assert_eq!(next_message(&mut stream).await.1["seq"], seq, "the same stream, all the while");
    }
    assert!((reloads(&gateway, "done").await - 2.0).abs() < 0.1);
    let log = gateway.log();
    assert_eq!(log.matches("acme-1.secret").count(), 1, "{log}");
    assert!(!log.contains(NEW) && !log.contains(NEWER), "{log}");
}

/// The kubelet writes a new folder and turns the link `..data` to it, by which all files of the secret change at once.
#[tokio::test]
async fn the_swap_of_a_kubernetes_secret_is_noticed() {
    let gateway = Gateway::start().await;
    let volume = gateway.folder().join("volume");
    let write = |version: &str, secret: &str| {
        fs::create_dir_all(volume.join(version)).unwrap();
        fs::write(volume.join(version).join("acme"), secret).unwrap();
        symlink(version, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    };
    write("..2026_11_30_a", GENERIC_SECRET);
    symlink("..data/acme", volume.join("acme")).unwrap();
    let path = gateway.folder().join("acme-0.secret");
    fs::remove_file(&path).unwrap();
    symlink("volume/acme", &path).unwrap();
    for (version, secret, before) in [("..2026_11_30_b", NEW, GENERIC_SECRET), ("..2026_11_30_c", NEWER, NEW)]
    {
        assert_eq!(post(&gateway, "e1", before).await, 200);
        write(version, secret);
        eventually("the new secret counts", async || post(&gateway, "e1", secret).await == 200).await;
        assert_eq!(post(&gateway, "e1", before).await, 401);
    }
    // The link with the same content in the first place was no reason to reload.
    assert!((reloads(&gateway, "done").await - 2.0).abs() < 0.1);
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_secret_warns_once_and_is_taken_when_it_is_mended() {
    let gateway = Gateway::start().await;
    let path = gateway.folder().join("acme-0.secret");
    let warned = || gateway.log().matches("configuration not reloaded, the old one stays in use").count();
    for (number, broken) in (1..).zip(["", "changeme", "two words of it", &"x".repeat(70_000)]) {
        fs::write(&path, broken).unwrap();
        eventually("it is refused", async || warned() == number).await;
        assert_eq!(post(&gateway, "e1", GENERIC_SECRET).await, 200, "{number}");
    }
    fs::remove_file(&path).unwrap();
    eventually("it is missed", async || warned() == 5).await;
    assert_eq!(post(&gateway, "e1", GENERIC_SECRET).await, 200);
    assert!((reloads(&gateway, "refused").await - 5.0).abs() < 0.1, "each change once");
    fs::write(&path, NEW).unwrap();
    eventually("the new secret counts", async || post(&gateway, "e1", NEW).await == 200).await;
    assert_eq!(post(&gateway, "e1", GENERIC_SECRET).await, 401);
    let log = gateway.log();
    assert!(!log.contains("two words") && !log.contains(NEW), "{log}");
}

/// The configuration file may be in the middle of an edit: a rotation neither fails by it nor takes it over.
#[tokio::test]
async fn a_rotation_does_not_take_over_what_nobody_asked_to_reload() {
    let mut setup = Setup::default();
    let gateway = Gateway::with(setup.clone()).await;
    for unfinished in ["[limits]\nbody_bytes = 1\n", "this is no TOML"] {
        fs::write(gateway.config_path(), unfinished).unwrap();
        let secret = if unfinished.starts_with('[') { NEW } else { NEWER };
        replace(&gateway.folder().join("acme-0.secret"), secret);
        eventually("the new secret counts", async || post(&gateway, "e1", secret).await == 200).await;
    }
    // After a reload by a signal, the files of the new configuration are those that count.
    setup.sources[0].secrets = vec![NEW.to_owned(), NEWER.to_owned()];
    gateway.configure(&setup);
    gateway.hang_up();
    eventually("the first secret counts again", async || post(&gateway, "e1", NEW).await == 200).await;
    replace(&gateway.folder().join("acme-1.secret"), GENERIC_SECRET);
    eventually("so does the second", async || post(&gateway, "e1", GENERIC_SECRET).await == 200).await;
}

#[tokio::test]
async fn the_keys_of_tokens_and_the_admin_token_are_rotated_alike() {
    let gateway = Gateway::start().await;
    let bearer = |secret: &str| {
        let token = jwt_hs256("k1", secret.as_bytes(), &claims("default", &["pay_1"]));
        vec![header("authorization", &format!("Bearer {token}"))]
    };
    let mut stream = gateway.open("/v1/payments/pay_1/events", &bearer(TOKEN_KEY)).await;
    next_message(&mut stream).await;
    replace(&gateway.folder().join("k1.key"), NEWER);
    let (messages, _) = read_to_end(&mut stream).await;
    assert_eq!(messages.last().unwrap()["reason"], "token_expired", "the old key's streams end");
    assert_eq!(gateway.get("/v1/payments/pay_1", &bearer(TOKEN_KEY)).await.head.status, 401);
    assert_eq!(gateway.get("/v1/payments/pay_1", &bearer(NEWER)).await.head.status, 200);

    replace(&gateway.folder().join("admin.token"), NEW);
    let admin = async |token: &str| {
        let bearer = [header("authorization", &format!("Bearer {token}"))];
        let path = "/admin/quarantine?source=acme";
        request(gateway.admin, "GET", path, &bearer, b"").await.unwrap().head.status
    };
    eventually("the new admin token counts", async || admin(NEW).await == 200).await;
    assert_eq!(admin(ADMIN_TOKEN).await, 401);
}

/// Services hand out passwords that expire, and change the file that holds them.
#[tokio::test]
async fn a_changed_password_of_the_store_is_used_by_new_connections_without_a_restart() {
    const OLD: &str = "0123456789abcdef0123456789abcdef";
    let redis = RedisServer::start().await;
    let set = |more: &[&str]| {
        let command = [&["ACL", "SETUSER", "gateway", "on", "~*", "&*", "+@all"], more].concat();
        assert!(redis.ask(&command).starts_with("+OK"));
    };
    set(&[&format!(">{OLD}")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.password");
    fs::write(&path, OLD).unwrap();
    let url = redis.url().replacen("redis://", "redis://gateway@", 1);
    let store = Store::Redis { url, more: format!("password = \"file:{}\"", path.display()) };
    let gateway = Gateway::with(Setup { store, ..Setup::default() }).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    assert_eq!(post(&gateway, "e1", GENERIC_SECRET).await, 200);
    assert_eq!(next_message(&mut stream).await.1["seq"], 1);

    // Both passwords are good for a while. Then the old one is not, and the server ends all connections.
    set(&[&format!(">{NEW}")]);
    replace(&path, NEW);
    let told = "new connections to the store log in with the changed user or password";
    eventually("it is told", async || gateway.log().contains(told)).await;
    set(&[&format!("<{OLD}")]);
    assert!(!redis.ask(&["CLIENT", "KILL", "USER", "gateway"]).starts_with('-'));
    eventually("webhooks are taken", async || post(&gateway, "e2", GENERIC_SECRET).await == 200).await;
    while next_message(&mut stream).await.1["seq"] != 2 {}

    // Another address needs a restart, and says so.
    assert!(!gateway.log().contains(OLD) && !gateway.log().contains(NEW), "{}", gateway.log());
    let text = fs::read_to_string(gateway.config_path()).unwrap();
    fs::write(gateway.config_path(), text.replace("redis://gateway@127.0.0.1", "redis://gateway@127.0.0.2"))
        .unwrap();
    gateway.hang_up();
    let told = "the changed address applies after a restart";
    eventually("it is told", async || gateway.log().contains(told)).await;
    assert_eq!(post(&gateway, "e3", GENERIC_SECRET).await, 200);
}
