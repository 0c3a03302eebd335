//! The command line: what people type, and what programs read.

use crate::support::{GENERIC_SECRET, Gateway, Program, eventually, header, next_message, paystream, token};
use std::process::{Child, Command, Output, Stdio};

const COMMANDS: [&str; 7] = ["serve", "demo", "trigger", "watch", "reconcile", "token", "check"];

/// Runs a command of the gateway's configuration, off the runtime's thread, so that it can be answered meanwhile.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn command(gateway: &Gateway, name: &str, arguments: &[&str]) -> Command {
    let mut command = paystream();
    command.arg(name).arg("--config").arg(gateway.config_path()).args(arguments);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Ends a child with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_command_explains_itself() {
    let help = paystream().arg("--help").output().unwrap();
    assert!(help.status.success());
    for name in COMMANDS {
        assert!(stdout(&help).contains(name), "{name} is not in\n{}", stdout(&help));
        let help = paystream().args([name, "--help"]).output().unwrap();
        assert!(help.status.success(), "{name}");
        assert!(stdout(&help).lines().count() > 5, "{name}: {}", stdout(&help));
    }
    let version = paystream().arg("--version").output().unwrap();
    assert!(stdout(&version).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_mistyped_is_exit_code_2_and_no_panic() {
    for arguments in [
        &[][..],
        &["surf"],
        &["serve", "--speed"],
        &["serve", "--role", "cook", "--config", "x"],
        &["token"],
        &["trigger", "--source"],
        &["watch"],
        &["watch", "--url", "not a url", "--payment", "p", "--token", "x"],
        &["token", "--config", "/no/such/file", "--payment", "p"],
        &["check", "--config", "/proc/self/mem"],
    ] {
        let output = paystream().args(arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.is_empty(), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn check_accepts_what_serve_runs_with() {
    let gateway = Gateway::start().await;
    let output = run(command(&gateway, "check", &[])).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!stdout(&output).contains(GENERIC_SECRET));
}

#[test]
fn check_prints_the_tables_that_the_pages_hold() {
    for (flag, page) in [
        ("--presets", include_str!("../../README.md")),
        ("--ignored", include_str!("../../docs/ignored-events.md")),
    ] {
        let output = paystream().args(["check", flag]).output().unwrap();
        let table = stdout(&output);
        assert!(table.starts_with("| preset |") && page.contains(&table), "{flag}: {table}");
    }
}

#[tokio::test]
async fn token_prints_a_token_that_is_admitted_for_its_payments_only() {
    let gateway = Gateway::start().await;
    let output = run(command(&gateway, "token", &["--payment", "a", "--payment", "b", "--ttl", "5m"])).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let token = stdout(&output).trim().to_owned();
    assert_eq!(token.split('.').count(), 3, "{token}");
    for (payment, status) in [("a", 200), ("b", 200), ("c", 403)] {
        let headers = [header("authorization", &format!("Bearer {token}"))];
        assert_eq!(gateway.get(&format!("/v1/payments/{payment}"), &headers).await.head.status, status);
    }
    for ttl in ["25h", "0s", "soon"] {
        let output = run(command(&gateway, "token", &["--payment", "a", "--ttl", ttl])).await;
        assert_ne!(output.status.code(), Some(0), "{ttl}: {}", stdout(&output));
    }
}

#[tokio::test]
async fn trigger_signs_and_posts_a_payments_life() {
    let gateway = Gateway::start().await;
    for source in ["acme", "stripe"] {
        let payment = format!("pay_{source}");
        let output = run(command(&gateway, "trigger", &["--source", source, "--payment", &payment])).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        eventually("it is captured", async || gateway.snapshot(&payment).await["status"] == "captured").await;
    }
    let output = run(command(&gateway, "trigger", &["--source", "nobody", "--payment", "p"])).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody"));
}

#[tokio::test]
async fn watch_follows_a_payment_across_a_restart() {
    let mut gateway = Gateway::start().await;
    let url = format!("http://{}", gateway.public);
    let mut watching = Program::spawn(
        paystream()
            .args(["watch", "--json", "--url", &url, "--payment", "pay_1"])
            .args(["--token", &token("default", &["pay_1"])])
            .stderr(Stdio::null()),
    );
    let mut until_seq = async |seq: u64| loop {
        let message = watching.next().await;
        if message["seq"] == seq {
            return message;
        }
    };
    until_seq(0).await;
    gateway.accept(&crate::support::generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    assert_eq!(until_seq(1).await["status"], "processing");
    gateway.kill();
    gateway.restart().await;
    gateway.accept(&crate::support::generic("e2", "confirmed", "pay_1", 1_700_000_000)).await;
    assert_eq!(until_seq(2).await["status"], "captured");
}

#[tokio::test]
async fn dev_runs_open_on_loopback_and_says_so_loudly() {
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let _serving = Ending(
        paystream()
            .args(["serve", "--dev"])
            .current_dir(folder.path())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap(),
    );
    let said = || std::fs::read_to_string(&log).unwrap();
    eventually("it serves or says why not", async || said().contains("public=") || said().contains("8080"))
        .await;
    if !said().contains("public=") {
        // Its port is fixed, so that its documentation can name it. Another program has it; that was said.
        assert!(said().contains("in use"), "{}", said());
        return;
    }
    eventually("it says so loudly", async || said().contains("DEVELOPMENT MODE")).await;
    let said = said();
    let public = said.split("public=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let public: std::net::SocketAddr = public.parse().unwrap();
    assert!(public.ip().is_loopback());
    let mut stream = load::stream::Stream::open(public, "/v1/payments/pay_1/events", &[]).await.unwrap();
    assert_eq!(next_message(&mut stream).await.1["type"], "snapshot");
}
