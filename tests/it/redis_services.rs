//! Servers that answer as rented services do: commands are refused or unknown, fields are missing, nothing is appended to a file. They are real
//! servers of Redis with these commands renamed away or forbidden, so none of the services themselves was tried.

use crate::support::{
    Cluster, Gateway, Proxy, RedisServer, Setup, Store, Trouble, free_address, generic, next_message, now_s,
    paystream,
};
use std::{fs, process::Output};

/// `CONFIG` is unknown, and nothing is appended to a file, as at ElastiCache.
const WITHOUT_CONFIG: [&str; 5] = ["--rename-command", "CONFIG", "", "--appendonly", "no"];

fn on(url: &str, more: &str) -> Setup {
    Setup { store: Store::Redis { url: url.to_owned(), more: more.to_owned() }, ..Setup::default() }
}

/// Runs `paystream check --connect` on a store with these lines.
async fn check(url: &str, more: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    on(url, more).write(folder.path(), [free_address(), free_address(), free_address()]);
    let mut command = paystream();
    command.args(["check", "--connect", "--config"]).arg(folder.path().join("paystream.toml"));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A gateway on such a service takes a webhook and streams it.
async fn works(url: &str, more: &str) {
    let checked = check(url, more).await;
    assert!(checked.status.success(), "{}", said(&checked));
    let gateway = Gateway::with(on(url, more)).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    assert_eq!(next_message(&mut stream).await.1["status"], "captured");
}

/// The check fails and says why; and so does the start.
async fn is_refused(url: &str, more: &str, why: &str) {
    let checked = check(url, more).await;
    assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
    assert!(said(&checked).contains(why), "{}", said(&checked));
}

#[tokio::test]
async fn a_service_without_config_and_append_only_file_needs_the_operators_word() {
    let server = RedisServer::with(&WITHOUT_CONFIG).await;
    is_refused(&server.url(), "", "its append-only file is off").await;
    works(&server.url(), "durability = \"service\"").await;
}

#[tokio::test]
async fn a_cluster_without_config_works_as_a_service() {
    // The test's own cluster needs CONFIG to be made; afterwards the gateway's user may not use it.
    let cluster = Cluster::with(3, 0, &["--appendonly", "no"]).await;
    for server in &cluster.servers {
        let user = [
            "ACL",
            "SETUSER",
            "gateway",
            "on",
            ">0123456789abcdef0123456789abcdef",
            "~*",
            "&*",
            "+@all",
            "-config",
            "-role",
        ];
        assert!(server.ask(&user).starts_with("+OK"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.url");
    let login = "redis+cluster://gateway:0123456789abcdef0123456789abcdef@";
    fs::write(&file, cluster.url().replace("redis+cluster://", login)).unwrap();
    let url = format!("file:{}", file.display());
    is_refused(&url, "", "its append-only file is off").await;
    works(&url, "durability = \"service\"").await;
}

#[tokio::test]
async fn a_service_without_role_is_heard() {
    let server = RedisServer::with(&["--rename-command", "ROLE", "", "--rename-command", "CONFIG", ""]).await;
    works(&server.url(), "durability = \"service\"").await;
}

#[tokio::test]
async fn a_policy_that_evicts_is_refused_of_a_service_too() {
    let server =
        RedisServer::with(&["--maxmemory-policy", "volatile-lru", "--rename-command", "CONFIG", ""]).await;
    is_refused(&server.url(), "durability = \"service\"", "choose noeviction in the service's own settings")
        .await;
}

#[tokio::test]
async fn services_that_lack_a_command_are_refused_with_a_word_that_says_so() {
    for command in ["EVAL", "SSUBSCRIBE", "XADD"] {
        let server = RedisServer::with(&["--rename-command", command, ""]).await;
        is_refused(
            &server.url(),
            "durability = \"service\"",
            "it lacks a command that the store cannot do without",
        )
        .await;
    }
}

#[tokio::test]
async fn a_service_that_drops_connections_as_it_scales_is_found_again() {
    let server = RedisServer::with(&WITHOUT_CONFIG).await;
    let proxy = Proxy::to(server.address).await;
    let gateway = Gateway::with(on(&format!("redis://{}", proxy.address), "durability = \"service\"")).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    for (id, status, shown) in [("e1", "pending", "processing"), ("e2", "confirmed", "captured")] {
        proxy.set(Trouble::None);
        proxy.cut();
        gateway.accept(&generic(id, status, "pay_1", now_s())).await;
        while next_message(&mut stream).await.1["status"] != shown {}
    }
    assert!(fs::read_to_string(gateway.config_path()).unwrap().contains("durability = \"service\""));
}
