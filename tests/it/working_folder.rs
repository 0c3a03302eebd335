//! A configuration means the same wherever the program is started.

use crate::support::{Serving, Setup, Store, generic, paystream, signed, token};
use load::http::request;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Creates `gw/paystream.toml`, which contains relative paths only, and a folder `elsewhere` beside `gw`.
fn folders() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    // The paths are compared, so they must not contain symbolic links.
    let root = folder.path().canonicalize().unwrap();
    let (home, elsewhere) = (root.join("gw"), root.join("elsewhere"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    Setup { store: Store::Embedded, ..Setup::default() }.write(&home, [any; 3]);
    let file = home.join("paystream.toml");
    let toml = fs::read_to_string(&file).unwrap();
    let own = format!("{}/", home.display());
    let toml = toml.replace(&format!("path = \"{own}data\""), "path = \"./data\"").replace(&own, "");
    assert!(!toml.contains(&own) && toml.contains("\"file:"), "{toml}");
    fs::write(&file, toml).unwrap();
    (folder, home, elsewhere)
}

/// `serve --config ../gw/paystream.toml` silently created an empty store in the working directory, so every payment was unknown.
#[tokio::test]
async fn a_gateway_that_is_started_elsewhere_goes_on_with_its_store() {
    let (_folder, home, elsewhere) = folders();
    let data = home.join("data");
    let mut gateway = Serving::spawn(&home, &["--config", "paystream.toml"], &[]);
    let ingest = gateway.address("ingest").await;
    let made = format!("data folder made, since there was none path={}", data.display());
    assert!(gateway.log().contains(&made), "{}", gateway.log());
    let body = generic("e1", "confirmed", "pay_1", 1_700_000_000).to_string().into_bytes();
    let answer = request(ingest, "POST", "/webhooks/acme", &signed("acme", &body), &body).await.unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    gateway.kill();

    let mut gateway = Serving::spawn(&elsewhere, &["--config", "../gw/paystream.toml"], &[]);
    let public = gateway.address("public").await;
    let found = format!("data folder found path={}", data.display());
    assert!(gateway.log().contains(&found), "{}", gateway.log());
    let path = format!("/v1/payments/pay_1?access_token={}", token("default", &["pay_1"]));
    let answer = request(public, "GET", &path, &[], b"").await.unwrap();
    assert_eq!(answer.json()["status"], "captured", "{}", answer.text());
    assert_eq!(
        fs::read_dir(&elsewhere).unwrap().count(),
        0,
        "it leaves nothing in the folder where it was started"
    );
}

#[tokio::test]
async fn a_store_that_the_environment_names_is_in_the_working_folder() {
    let (_folder, home, elsewhere) = folders();
    let named = [("PAYSTREAM__STORE__PATH", "./here")];
    let mut gateway = Serving::spawn(&elsewhere, &["--config", "../gw/paystream.toml"], &named);
    gateway.address("public").await;
    let made = format!("path={}", elsewhere.join("here").display());
    assert!(gateway.log().contains(&made), "{}", gateway.log());
    assert!(elsewhere.join("here").is_dir() && !home.join("data").exists());
}

fn check(here: &Path, more: &[&str]) -> String {
    let mut command = paystream();
    let output =
        command.args(["check", "--config", "../gw/paystream.toml"]).args(more).current_dir(here).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// `check` did not mention the store, so a wrong folder was noticed only when payments were missing.
#[tokio::test]
async fn check_says_where_the_data_folder_is_and_makes_none() {
    let (_folder, home, elsewhere) = folders();
    let data = home.join("data").display().to_string();
    let said = check(&elsewhere, &[]);
    assert!(
        said.contains(&format!(
            "store: {data} (does not exist yet; the gateway creates it at its first start)"
        )),
        "{said}"
    );
    assert!(check(&elsewhere, &["--json"]).contains(r#""found":false"#));
    assert!(!home.join("data").exists() && fs::read_dir(&elsewhere).unwrap().count() == 0);

    let mut gateway = Serving::spawn(&home, &["--config", "paystream.toml"], &[]);
    gateway.address("public").await;
    let said = check(&elsewhere, &[]);
    assert!(said.contains(&format!("store: {data} (found)")), "{said}");
    assert!(check(&elsewhere, &["--json"]).contains(r#""found":true"#));
    gateway.kill();

    fs::remove_dir_all(home.join("data")).unwrap();
    fs::create_dir(home.join("data")).unwrap();
    fs::write(home.join("data/thesis.tex"), "not ours").unwrap();
    let said = check(&elsewhere, &[]);
    assert!(said.contains("warning: ") && said.contains("no data folder of Paystream"), "{said}");
}

#[test]
fn check_warns_of_a_source_whose_realm_no_key_opens() {
    let (_folder, home, elsewhere) = folders();
    assert!(!check(&elsewhere, &[]).contains("warning"));
    let file = home.join("paystream.toml");
    let toml = fs::read_to_string(&file).unwrap();
    fs::write(&file, toml.replacen("realm = \"other\"", "realm = \"live\"", 1)).unwrap();
    let said = check(&elsewhere, &[]);
    assert!(
        said.contains("warning: source \"other\": no [[access.key]] may sign for its realm \"live\""),
        "{said}"
    );
    assert!(check(&elsewhere, &["--json"]).contains("no [[access.key]] may sign"));
}

/// Relative paths in the environment of a container are relative to its working directory, so its user has to own that folder.
#[test]
fn the_image_has_a_working_folder_that_its_user_owns() {
    let dockerfile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let image = dockerfile.rsplit("\nFROM ").next().unwrap();
    let argument = |word: &str| image.lines().find_map(|line| line.strip_prefix(word)).map(str::trim);
    let (folder, user) = (argument("WORKDIR").expect("a WORKDIR"), argument("USER").expect("a USER"));
    let (user, group) = user.split_once(':').unwrap();
    let copied = format!("--chown={user}:{group} /image{folder} {folder}");
    assert!(image.contains(&copied), "{image}");
}
