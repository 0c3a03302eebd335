//! Mistakes in the configuration: one line with the key, what is allowed and a remedy; exit code 2 before a port is bound.

use crate::support::{Setup, free_address, paystream};
use std::{fs, process::Output};
use tempfile::TempDir;

struct Case {
    folder: TempDir,
    toml: String,
}

impl Case {
    /// The configuration of all tests, with `from` replaced by `to`.
    fn new(from: &str, to: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let setup = Setup {
            stream: "heartbeat = \"15s\"".to_owned(),
            limits: "body_bytes = 1048576".to_owned(),
            log: "format = \"text\"".to_owned(),
            ..Setup::default()
        };
        setup.write(folder.path(), [free_address(), free_address(), free_address()]);
        let toml = fs::read_to_string(folder.path().join("paystream.toml")).unwrap();
        assert!(toml.contains(from), "{from} is not in\n{toml}");
        Self { toml: toml.replacen(from, to, 1), folder }
    }

    fn run(&self, command: &str) -> Output {
        let path = self.folder.path().join("paystream.toml");
        fs::write(&path, &self.toml).unwrap();
        paystream().arg(command).arg("--config").arg(path).output().unwrap()
    }
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn each_mistake_is_one_line_that_names_its_key_and_exit_code_2() {
    for (from, to, words) in [
        ("public = \"127", "public = \"nowhere:127", &["public"][..]),
        ("kind = \"embedded\"", "kind = \"mysql\"", &["kind", "mysql", "embedded"]),
        ("kind = \"embedded\"", "kind = \"embedded\"\nhistory = \"3d\"", &["history", "45"]),
        ("kind = \"embedded\"", "kind = \"embedded\"\nhistory = \"soon\"", &["history", "soon"]),
        ("kind = \"embedded\"", "kind = \"embedded\"\ncolour = \"red\"", &["colour"]),
        ("provider = \"stripe\"", "provider = \"strype\"", &["provider", "strype", "stripe"]),
        ("provider = \"stripe\"", "provider = \"./no-such-preset.toml\"", &["provider", "no-such-preset"]),
        ("name = \"other\"", "name = \"acme\"", &["name", "acme"]),
        ("name = \"acme\"", "name = \"ac me\"", &["name"]),
        ("realm = \"other\"", "realm = \"\"", &["realm"]),
        ("secrets = [\"file:", "secrets = [] # ", &["secrets"]),
        ("secrets = [\"file:", "secrets = [\"plain:", &["secrets", "env:", "file:"]),
        ("secrets = [\"file:", "secrets = [\"env:NO_SUCH_VARIABLE\"] # ", &["NO_SUCH_VARIABLE"]),
        ("secrets = [\"file:", "secrets = [\"file:/no/such/file\"] # ", &["/no/such/file"]),
        ("algorithm = \"HS256\"", "algorithm = \"none\"", &["algorithm", "none", "HS256"]),
        ("kid = \"ops\"", "kid = \"k1\"", &["kid", "k1"]),
        ("realms = [", "realms = [] # ", &["realms"]),
        ("operator = false", "operator = \"no\"", &["operator"]),
        ("https://shop.example", "shop.example", &["cors", "shop.example"]),
        ("https://shop.example", "*", &["cors"]),
        ("heartbeat = \"15s\"", "heartbeat = \"15\"", &["heartbeat"]),
        ("heartbeat = \"15s\"", "heartbeat = \"0s\"", &["heartbeat"]),
        ("heartbeat = \"15s\"", "heartbeet = \"15s\"", &["heartbeet", "heartbeat"]),
        ("body_bytes = 1048576", "body_bytes = -1", &["body_bytes"]),
        ("body_bytes = 1048576", "body_bytes = 0", &["body_bytes"]),
        ("format = \"text\"", "format = \"xml\"", &["format", "xml", "json"]),
    ] {
        let case = Case::new(from, to);
        for command in ["check", "serve"] {
            let output = case.run(command);
            let lines = lines(&output);
            assert_eq!(output.status.code(), Some(2), "{command}, {to}: {lines:?}");
            assert_eq!(lines.len(), 1, "{command}, {to}: {lines:?}");
            for word in words {
                assert!(lines[0].contains(word), "{command}, {to}: {word:?} is not in {:?}", lines[0]);
            }
            assert!(!case.folder.path().join("data").exists(), "{command}, {to}: the store was opened");
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut case = Case::new("heartbeat = \"15s\"", "heartbeat = \"0s\"");
    case.toml = case.toml.replacen("algorithm = \"HS256\"", "algorithm = \"none\"", 1);
    case.toml = case.toml.replacen("provider = \"stripe\"", "provider = \"strype\"", 1);
    let output = case.run("check");
    assert_eq!(output.status.code(), Some(2));
    let lines = lines(&output);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for word in ["heartbeat", "algorithm", "provider"] {
        assert!(lines.iter().any(|line| line.contains(word)), "{word}: {lines:?}");
    }
}

#[test]
fn what_is_no_toml_and_what_is_not_there_are_told_with_their_place() {
    let mut case = Case::new("[store]", "[store");
    let place = case.toml.lines().position(|line| line == "[store").unwrap() + 1;
    let output = case.run("check");
    // What the parser stumbles over afterwards may follow.
    assert_eq!(output.status.code(), Some(2), "{:?}", lines(&output));
    assert!(lines(&output)[0].contains(&format!("paystream.toml:{place}:")), "{:?}", lines(&output));
    case.toml = String::new();
    assert_ne!(case.run("check").status.code(), Some(101), "no panic");
    let output = paystream().args(["check", "--config", "/no/such/paystream.toml"]).output().unwrap();
    assert_eq!((output.status.code(), lines(&output).len()), (Some(2), 1), "{:?}", lines(&output));
    assert!(lines(&output)[0].contains("/no/such/paystream.toml"));
}

#[test]
fn placeholders_and_short_secrets_are_refused_and_never_printed() {
    for secret in
        ["", " ", "changeme", "secret", "your-secret-here", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "short1"]
    {
        for file in ["acme-0.secret", "k1.key", "admin.token"] {
            let case = Case::new("[store]", "[store]");
            fs::write(case.folder.path().join(file), secret).unwrap();
            let output = case.run("check");
            let lines = lines(&output);
            assert_eq!(output.status.code(), Some(2), "{file} = {secret:?}: {lines:?}");
            assert_eq!(lines.len(), 1, "{lines:?}");
            if secret.len() > 6 {
                assert!(!lines[0].contains(secret), "{file} is printed: {lines:?}");
            }
        }
    }
}

#[test]
fn a_port_that_is_taken_and_a_foreign_data_folder_are_told_in_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let case = Case::new("[store]", "[store]");
    let public = case.toml.lines().find(|line| line.starts_with("public")).unwrap().to_owned();
    let case = Case { toml: case.toml.replace(&public, &format!("public = \"{address}\"")), ..case };
    let output = case.run("serve");
    assert_eq!(output.status.code(), Some(1), "{:?}", lines(&output));
    assert!(lines(&output).iter().any(|line| line.contains(&address)), "{:?}", lines(&output));

    let case = Case::new("[store]", "[store]");
    let data = case.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("thesis.tex"), "not ours").unwrap();
    let output = case.run("serve");
    assert_eq!(output.status.code(), Some(1), "{:?}", lines(&output));
    assert!(lines(&output).iter().any(|line| line.contains("data")), "{:?}", lines(&output));
    assert_eq!(fs::read_to_string(data.join("thesis.tex")).unwrap(), "not ours");
}
