//! The blocks of the pages: configurations are checked, JSON is parsed, and what is typed into a shell is run.
//!
//! The page of the tutorial, the front end's pages and Node's token are run in a browser or in Node by `web-demo/e2e`.

use super::{Block, all_blocks, pages, read};
use crate::support::{
    ADMIN_TOKEN, Authority, Gateway, Program, Serving, eventually, generic, now_s, paystream, signed, stripe,
    token,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Secrets in the forms that their presets want. All others may be any long text.
const SECRETS: [(&str, &str); 3] = [
    ("ADYEN_HMAC_KEY", "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"),
    ("REDIS_URL", "redis://:secret@127.0.0.1:6379"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x"),
];

/// Whether a block is a piece of `paystream.toml`, and not of a preset or of another program's file.
fn is_configuration(block: &Block) -> bool {
    let sections =
        ["listen", "tls", "store", "source", "access", "stream", "admin", "pages", "limits", "log"];
    let mut headings = block.text.lines().filter(|line| line.starts_with('['));
    headings.any(|line| {
        let name = line.trim_matches('[').split([']', '.']).next().unwrap();
        sections.contains(&name)
    })
}

#[test]
fn every_configuration_in_the_pages_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new("Test Authority").certify(&["pay.shop.example"]).write(folder.path(), "own");
    let own = |extension: &str| folder.path().join("own").with_extension(extension).display().to_string();
    let mut checked = 0;
    for block in all_blocks("toml") {
        if !is_configuration(&block) {
            // Presets: `source::preset` tries those.
            assert!(block.page.ends_with("adding-a-provider.md"), "{}: {}", block.page, block.text);
            continue;
        }
        let file = folder.path().join("paystream.toml");
        // The files that a client of ACME writes.
        let text =
            ["/etc/paystream/tls/fullchain.pem", "/etc/paystream/lego/certificates/pay.shop.example.crt"]
                .iter()
                .fold(block.text.clone(), |text, path| text.replace(path, &own("pem")));
        let text =
            ["/etc/paystream/tls/privkey.pem", "/etc/paystream/lego/certificates/pay.shop.example.key"]
                .iter()
                .fold(text, |text, path| text.replace(path, &own("key")));
        fs::write(&file, &text).unwrap();
        let mut command = paystream();
        command.args(["check", "--config"]).arg(&file);
        for reference in block.text.split("\"env:").skip(1) {
            let name = reference.split('"').next().unwrap();
            let secret = SECRETS.iter().find(|(known, _)| *known == name);
            command.env(
                name,
                secret.map_or("c2f7d90b16e84a53bd0c1e6f7a92d4c8e15b3f60a1b2c3d4", |(_, secret)| secret),
            );
        }
        let credentials = folder.path().join("credentials");
        for reference in block.text.split("\"credential:").skip(1) {
            fs::create_dir_all(&credentials).unwrap();
            let file = credentials.join(reference.split('"').next().unwrap());
            fs::write(file, "c2f7d90b16e84a53bd0c1e6f7a92d4c8e15b3f60a1b2c3d4").unwrap();
        }
        command.env("CREDENTIALS_DIRECTORY", credentials);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // A preset of the reader's own, which only its page has.
        if block.page.ends_with("adding-a-provider.md") && block.text.contains(".toml\"") {
            assert!(said.contains(".toml"), "{said}");
            continue;
        }
        assert!(output.status.success(), "{}:\n{}\n{said}", block.page, block.text);
        checked += 1;
    }
    assert!(checked >= 15, "{checked}");
}

#[test]
fn every_json_in_the_pages_can_be_parsed() {
    let blocks = all_blocks("json");
    assert!(blocks.len() > 10);
    for block in blocks {
        let parsed = serde_json::from_str::<Value>(&block.text);
        assert!(parsed.is_ok(), "{}: {:?}\n{}", block.page, parsed.err(), block.text);
    }
}

/// Where the blocks of shell run that do not run here: page, beginning, and the test that does the same with the program under test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("docs/src/guides/tls.md", "certbot", "a certificate of Let's Encrypt for a name of one's own"),
    ("docs/src/guides/tls.md", "lego", "the same"),
    ("docs/src/guides/tls.md", "PAYSTREAM_CLIENT_CERTIFICATE", "`tls::mutual` runs this command"),
    ("docs/src/guides/install.md", "", "tests/packages/deb and tests/packages/image do the same"),
    ("docs/src/guides/kubernetes.md", "", "tests/packages/chart.py renders what they would send"),
    (
        "docs/src/guides/operator.md",
        "paystream deliveries",
        "`deliveries::` runs the command, also with --follow",
    ),
    ("docs/src/guides/proxies.md", "paystream doctor", "`doctor::` runs the command"),
    ("docs/src/guides/operator.md", "paystream streams", "`streams::` runs the commands"),
    ("docs/src/guides/backfill.md", "paystream backfill", "`backfill::` runs the command"),
    ("docs/src/guides/signatures.md", "paystream verify", "`diagnosis::` runs the command"),
    ("docs/src/providers/outcomes.md", "paystream quarantine", "`quarantine::` runs the commands"),
    ("README.md", "cargo run --release -- demo", "demo::"),
    ("docs/src/start.md", "cargo run --release -- demo", "demo::"),
    ("docs/src/start.md", "tests/run", "the tests themselves"),
    ("docs/src/shop.md", "", "web-demo/e2e/shop-in-ten.test.mjs"),
    ("docs/src/guides/load-testing.md", "cargo build --release --workspace", "tests/run: mixed load"),
    ("docs/src/guides/several-nodes.md", "deploy/self-signed", "behind_nginx::"),
    ("docs/src/providers/adding-a-provider.md", "", "commands::trigger"),
    ("docs/src/design/", "", "tests/run, or a measurement of hours"),
];

/// A folder with the program under test by its name, for `PATH`.
fn program_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_paystream"), folder.path().join("paystream")).unwrap();
    folder
}

/// Runs a block as a reader would, in `home`, with the addresses of this gateway in place of those in the page.
async fn shell(block: &Block, gateway: &Gateway, home: &Path, path: &Path) -> Output {
    let config = gateway.config_path();
    let script = block
        .text
        .replace("--config paystream.toml", &format!("--config {}", config.display()))
        .replace("127.0.0.1:8080", &gateway.public.to_string())
        .replace("127.0.0.1:9090", &gateway.admin.to_string())
        .replace("source=stripe-live", "source=stripe")
        .replace("--source mollie --payment tr_7UhSN1zuXS", "--source stripe --payment pi_123")
        .replace("/backups/", &format!("{}/", home.display()));
    let mut command = Command::new("bash");
    command
        .args(["-e", "-u", "-o", "pipefail", "-c", &script])
        .current_dir(home)
        .env("HOME", home)
        .env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()))
        .env("PAYSTREAM_ADMIN_TOKEN", ADMIN_TOKEN);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn every_block_of_shell_runs_here_or_where_it_says() {
    let gateway = Gateway::start().await;
    for (id, kind) in [("e1", "payment_intent.created"), ("e2", "payment_intent.succeeded")] {
        assert_eq!(gateway.post("stripe", &stripe(id, kind, "pi_123", now_s())).await.head.status, 200);
    }
    gateway.accept(&generic("e3", "pending", "pay_abc", now_s())).await;
    let (home, path) = (tempfile::tempdir().unwrap(), program_folder());
    let (mut ran, mut used) = (0, vec![false; ELSEWHERE.len()]);
    for block in all_blocks("sh") {
        let place = ELSEWHERE.iter().position(|(page, beginning, _)| {
            block.page.starts_with(page) && block.text.starts_with(beginning)
        });
        if let Some(place) = place {
            used[place] = true;
            continue;
        }
        if block.page == "docs/src/start.md" {
            continue; // The conversation with `serve --dev`, below.
        }
        let output = shell(&block, &gateway, home.path(), path.path()).await;
        let (said, out) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        // The command of `reconcile` shows its answer, which needs a provider's API: `confirm::` asks one.
        let is_expected = if block.text.contains("reconcile") {
            said.contains("[source.api]")
        } else {
            output.status.success()
        };
        assert!(is_expected, "{}:\n{}\n{said}{out}", block.page, block.text);
        if let Some((_, code)) =
            block.text.split_once("  # ").filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            assert!(out.trim_end().ends_with(code.get(..3).unwrap()), "{}: {out}", block.text);
        }
        ran += 1;
    }
    assert!(ran >= 8, "only {ran} blocks ran");
    let unused: Vec<_> =
        ELSEWHERE.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry).collect();
    assert!(unused.is_empty(), "no page has {unused:?}");
}

/// The page shows one snapshot. Its members are those of an answer.
#[tokio::test]
async fn the_snapshot_of_the_guide_has_the_members_of_an_answer() {
    let gateway = Gateway::start().await;
    assert_eq!(
        gateway
            .post("stripe", &stripe("e1", "payment_intent.succeeded", "pi_123", now_s()))
            .await
            .head
            .status,
        200
    );
    let shown = super::blocks("docs/src/guides/back-end.md")
        .into_iter()
        .find(|block| block.language == "json")
        .unwrap();
    let shown: Value = serde_json::from_str(&shown.text).unwrap();
    let answer = gateway.snapshot("pi_123").await;
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&shown), members(&answer));
}

/// `serve --dev` prints the command that plays a payment, and the page says how to follow it.
#[tokio::test]
async fn the_conversation_of_the_first_five_minutes_ends_with_a_captured_payment() {
    let page = read("docs/src/start.md");
    let typed: Vec<_> =
        page.lines().filter(|line| line.contains("paystream ") && !line.starts_with(['`', 'P'])).collect();
    assert!(page.contains("paystream trigger --dev --source dev --payment pay_1"), "{typed:?}");
    assert!(page.contains("paystream watch --payment pay_1 --until-finished"));
    let here = tempfile::tempdir().unwrap();
    let mut gateway = Serving::spawn(here.path(), &["--dev", "--port", "0"], &[]);
    let url = format!("http://{}", gateway.address("public").await);
    eventually("it prints the command", async || gateway.log().contains("PAYSTREAM_DEV_SECRET=")).await;
    let log = gateway.log();
    let secret = log.split("PAYSTREAM_DEV_SECRET=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let mut watching =
        Program::spawn(paystream().args(["watch", "--payment", "pay_1", "--json", "--url", &url]));
    assert_eq!(watching.next().await["status"], "unknown");
    let mut trigger = paystream();
    trigger
        .args(["trigger", "--dev", "--source", "dev", "--payment", "pay_1", "--fast", "--url", &url])
        .env("PAYSTREAM_DEV_SECRET", &secret);
    let output = tokio::task::spawn_blocking(move || trigger.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    while watching.next().await["status"] != "captured" {}
}

/// The loop of the guide for front ends, in Python, across a restart of the gateway.
#[tokio::test]
async fn the_loop_in_python_goes_on_after_a_restart() {
    let python = std::env::var("PAYSTREAM_PYTHON").expect("tests/run sets PAYSTREAM_PYTHON");
    let blocks = super::blocks("docs/src/guides/front-end.md");
    let code = &blocks.iter().find(|block| block.language == "python").unwrap().text;
    let mut gateway = Gateway::start().await;
    let url = format!("http://{}/v1/payments/pay_1/events", gateway.public);
    let script = format!(
        "{code}\nfollow({}, {}, lambda message: print(json.dumps(message), flush=True))\n",
        json!(url),
        json!(token("default", &["pay_1"]))
    );
    let mut client = Program::spawn(Command::new(python).args(["-c", &script]));
    assert_eq!(client.next().await["status"], "unknown");
    for (id, status, shown) in [("e1", "pending", "processing"), ("e2", "confirmed", "captured")] {
        gateway.accept(&generic(id, status, "pay_1", now_s())).await;
        while client.next().await["status"] != shown {}
        gateway.kill();
        gateway.restart().await;
    }
}

/// The generic payload of the page of presets is one that a gateway takes.
#[tokio::test]
async fn the_generic_payload_of_the_pages_is_accepted() {
    let gateway = Gateway::start().await;
    let blocks = super::blocks("docs/src/providers/presets.md");
    let payload = blocks.iter().find(|block| block.text.contains("payment.confirmed")).unwrap();
    let body = payload.text.as_bytes();
    let answer = gateway.post_raw("acme", &signed("acme", body), body).await;
    assert_eq!(
        (answer.head.status, answer.json()["outcome"].as_str()),
        (200, Some("accepted")),
        "{}",
        answer.text()
    );
    assert_eq!(gateway.snapshot("order-7").await["status"], "captured");
}

#[test]
fn each_page_begins_with_its_title() {
    for page in pages() {
        assert!(read(&page).starts_with("# "), "{page}");
    }
}
