//! The command line: its arguments, its output and its exit codes.

use crate::support::{
    ADMIN_TOKEN, GENERIC_SECRET, Gateway, Program, TOKEN_KEY, eventually, header, paystream, token,
};
use std::{
    fs,
    process::{Command, Output, Stdio},
};

const COMMANDS: [&str; 14] = [
    "serve",
    "demo",
    "health",
    "trigger",
    "listen",
    "watch",
    "doctor",
    "reconcile",
    "erase",
    "token",
    "check",
    "completions",
    "man",
    "store",
];

/// Runs a command on a blocking thread, so that the gateway can answer it on the runtime's threads.
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

/// The allocator reads how it is built in before anything of ours runs, so it is asked itself.
#[cfg(target_os = "linux")]
#[test]
fn unused_memory_goes_back_to_the_system_within_a_second_by_threads_of_the_allocator() {
    let asked = paystream().arg("--version").env("_RJEM_MALLOC_CONF", "stats_print:true").output().unwrap();
    let said = String::from_utf8_lossy(&asked.stderr).into_owned() + &stdout(&asked);
    for setting in ["opt.background_thread: true", "opt.dirty_decay_ms: 500 "] {
        assert!(said.contains(setting), "{setting} is not in\n{said}");
    }
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

/// The image has no shell, so its health check is this command.
#[tokio::test]
async fn health_is_good_while_the_gateway_runs_and_bad_when_it_drains_or_is_gone() {
    let mut gateway = Gateway::start().await;
    for of in ["live", "ready", "ingest"] {
        let output = run(command(&gateway, "health", &["--of", of])).await;
        assert_eq!(output.status.code(), Some(0), "{of}: {output:?}");
    }
    let url = format!("http://{}", gateway.admin);
    let elsewhere = paystream().args(["health", "--url", &url]).output().unwrap();
    assert_eq!((elsewhere.status.code(), &*stdout(&elsewhere)), (Some(0), "ok\n"));
    // An open stream keeps the drain going.
    let _stream = gateway.stream("pay_1").await;
    gateway.terminate();
    eventually("it is not ready", async || {
        let output = run(command(&gateway, "health", &["--of", "ready"])).await;
        output.status.code() == Some(1)
    })
    .await;
    gateway.ended().await;
    let output = run(command(&gateway, "health", &[])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not answer"));
}

#[tokio::test]
async fn check_accepts_what_serve_runs_with() {
    let gateway = Gateway::start().await;
    let output = run(command(&gateway, "check", &[])).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!stdout(&output).contains(GENERIC_SECRET));
}

/// The scripts are given to the shells themselves where these are there, as `bash` always is.
#[test]
fn completions_are_scripts_that_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = paystream().args(["completions", shell]).output().unwrap();
        let script = stdout(&output);
        assert!(
            output.status.success() && COMMANDS.iter().all(|name| script.contains(name)),
            "{shell}: {script}"
        );
    }
    let line = "source <(\"$1\" completions bash); COMP_WORDS=(paystream to); COMP_CWORD=1; _paystream paystream to paystream; printf %s \"${COMPREPLY[*]}\"";
    let output =
        Command::new("bash").args(["-c", line, "bash", env!("CARGO_BIN_EXE_paystream")]).output().unwrap();
    assert_eq!(stdout(&output), "token", "{output:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let page = stdout(&paystream().arg("man").output().unwrap());
    assert!(page.contains(".TH paystream 1"), "{page}");
    for name in COMMANDS {
        let page = stdout(&paystream().args(["man", name]).output().unwrap());
        assert!(
            page.contains(&format!(".TH paystream-{name} 1")) && page.contains(".SH OPTIONS"),
            "{name}: {page}"
        );
    }
    let unknown = paystream().args(["man", "surf"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[test]
fn check_prints_the_tables_that_the_pages_hold() {
    for (flag, page) in [
        ("--presets", include_str!("../../docs/src/providers/presets.md")),
        ("--ignored", include_str!("../../docs/src/providers/ignored-events.md")),
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

/// Writes the gateway's configuration with every secret in an environment variable of its own.
fn secrets_in_the_environment(folder: &std::path::Path, gateway: &Gateway) -> std::path::PathBuf {
    let toml = fs::read_to_string(gateway.config_path()).unwrap();
    let toml: Vec<String> = toml
        .split("\"file:")
        .enumerate()
        .map(|(index, part)| match part.split_once('"') {
            Some((path, rest)) if index > 0 => {
                let name = path.rsplit('/').next().unwrap().replace(['.', '-'], "_").to_ascii_uppercase();
                format!("\"env:{name}\"{rest}")
            }
            _ => part.to_owned(),
        })
        .collect();
    let path = folder.join("paystream.toml");
    fs::write(&path, toml.concat()).unwrap();
    path
}

fn with(mut command: Command, name: &str, value: &str) -> Command {
    command.env(name, value);
    command
}

/// Each of these commands needed every secret of the file; `token`, for example, needed those of the providers.
#[tokio::test]
async fn token_trigger_and_reconcile_need_only_the_secrets_that_they_use() {
    let gateway = Gateway::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = secrets_in_the_environment(folder.path(), &gateway);
    let command = |name: &str, arguments: &[&str]| {
        let mut command = paystream();
        command.arg(name).arg("--config").arg(&file).args(arguments);
        command
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let output = run(command("check", &[])).await;
    assert_eq!(output.status.code(), Some(2), "nothing is set: {}", stdout(&output));
    assert_eq!(said(&output).lines().count(), 6, "{}", said(&output));

    let output = run(with(command("token", &["--payment", "pay_1"]), "K1_KEY", TOKEN_KEY)).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let bearer = [header("authorization", &format!("Bearer {}", stdout(&output).trim()))];
    assert_eq!(gateway.get("/v1/payments/pay_1", &bearer).await.head.status, 200);

    let trigger = command("trigger", &["--source", "acme", "--payment", "pay_1", "--fast"]);
    let output = run(with(trigger, "ACME_0_SECRET", GENERIC_SECRET)).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    // The gateway answers with an error, because this source has no [source.api].
    let reconcile = command("reconcile", &["--source", "acme", "--payment", "pay_1"]);
    let output = run(with(reconcile, "ADMIN_TOKEN", ADMIN_TOKEN)).await;
    assert!(said(&output).contains("no_api"), "{}", said(&output));

    for (name, arguments, needed) in [
        ("token", &["--payment", "pay_1"][..], "K1_KEY"),
        ("trigger", &["--source", "acme", "--payment", "pay_1"], "ACME_0_SECRET"),
        ("reconcile", &["--source", "acme", "--payment", "pay_1"], "ADMIN_TOKEN"),
    ] {
        let output = run(command(name, arguments)).await;
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = said(&output);
        assert!(
            said.contains(&format!("{needed} is not set")) && said.lines().count() == 1,
            "{name}: {said}"
        );
    }
}
