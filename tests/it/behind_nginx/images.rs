//! What `compose.yaml` and `Dockerfile` run, and how confined it is. Docker itself is not needed.

use super::compose;
use crate::support::{PATIENCE, ask_at, free_address};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Instant,
};
use tempfile::TempDir;

#[test]
fn every_container_is_an_ordinary_user_who_can_change_nothing() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert!(service["cap_add"].is_null() && service["privileged"].is_null(), "{name}");
        let user = service["user"].as_str().unwrap();
        assert!(!user.starts_with('0') && !user.starts_with("root"), "{name}: {user}");
        assert!(service["mem_limit"].is_string() && service["pids_limit"].is_u64(), "{name} has no limits");
    }
    // Redis is reached by the gateways alone.
    let networks = |name: &str| -> Vec<String> {
        match &compose["services"][name]["networks"] {
            Value::Null => vec!["default".to_owned()],
            Value::Array(list) => list.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            table => table.as_object().unwrap().keys().cloned().collect(),
        }
    };
    assert_eq!(networks("redis"), ["store"]);
    assert_eq!(networks("nginx"), ["default"]);
    assert_eq!(compose["networks"]["store"]["internal"], true);
    for gateway in ["gateway-1", "gateway-2"] {
        assert_eq!(networks(gateway), ["default", "store"], "{gateway}");
    }
    let published: Vec<_> = compose["services"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, service)| !service["ports"].is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(published, ["nginx"]);
}

/// The command of `compose.yaml`, in a folder and at a port of the test's own.
#[tokio::test]
async fn redis_as_compose_starts_it_asks_for_the_password_and_shows_it_to_nobody() {
    let service = &compose()["services"]["redis"];
    let command: Vec<&str> =
        service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(command[..2], ["sh", "-c"]);
    let (address, folder) = (free_address(), TempDir::new().unwrap());
    let ours = format!(
        "redis-server - --port {} --bind 127.0.0.1 --dir {}",
        address.port(),
        folder.path().display()
    );
    let script = command[2].replace("$$", "$").replace("redis-server -", &ours);
    assert!(script.contains(&ours), "{script}");
    let secret = "8f3b1c2d9a7e4650";
    let mut redis = Command::new(command[0])
        .args([command[1], &script])
        .env("REDISCLI_AUTH", secret)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "redis does not start");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = ask_at(address, &["PING"]).unwrap_or_default();
    assert!(refused.contains("NOAUTH"), "{refused}");
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", redis.id())).unwrap();
    assert!(arguments.contains("redis-server") && !arguments.contains(secret), "{arguments:?}");
    redis.kill().unwrap();
    redis.wait().unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// `deploy/pin-images` on copies of the files, with a `docker` that answers `said` about every image.
fn pin(folder: &Path, arguments: &[&str], said: &str) -> Output {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(
        bin.join("docker"),
        format!("#!/bin/sh\necho \"$@\" >>{}/asked\necho '{said}'\n", folder.display()),
    )
    .unwrap();
    fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Command::new(root().join("deploy/pin-images"))
        .args(arguments)
        .args(["compose.yaml", "Dockerfile"])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .unwrap()
}

#[test]
fn the_images_are_pinned_to_the_digests_that_the_registry_tells() {
    let folder = TempDir::new().unwrap();
    let here = |name: &str| folder.path().join(name);
    for name in ["compose.yaml", "Dockerfile"] {
        fs::copy(root().join(name), here(name)).unwrap();
    }
    let text =
        || ["compose.yaml", "Dockerfile"].map(|name| fs::read_to_string(here(name)).unwrap()).join("\n");
    let before = text();
    for nonsense in ["", "null", "sha256:abc", "\"sha256:XYZ\""] {
        let refused = pin(folder.path(), &[], nonsense);
        assert!(!refused.status.success(), "{nonsense}");
        assert_eq!(text(), before, "{nonsense}");
    }
    for digit in ["1", "2"] {
        let digest = format!("sha256:{}", digit.repeat(64));
        let pinned = pin(folder.path(), &[], &format!("\"{digest}\""));
        assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
        let text = text();
        assert_eq!(text.matches(&format!("@{digest}")).count(), 3, "{text}");
        assert_eq!(
            text.matches("@sha256:").count(),
            3,
            "a newer digest takes the place of the older one:\n{text}"
        );
        assert!(pin(folder.path(), &["--check"], "").status.success());
    }
    let strip = |text: String| text.replace(&format!("@sha256:{}", "2".repeat(64)), "");
    let unpinned =
        before.split("@sha256:").enumerate().map(|(index, part)| if index == 0 { part } else { &part[64..] });
    assert_eq!(strip(text()), unpinned.collect::<String>(), "nothing else is changed");
    let asked = fs::read_to_string(here("asked")).unwrap();
    for image in ["redis:", "nginx:", "rust:"] {
        assert!(
            asked.lines().any(|line| line.starts_with("buildx imagetools inspect") && line.contains(image)),
            "{image}: {asked}"
        );
    }
    // A file without digests fails the check of a release.
    fs::write(here("Dockerfile"), "FROM debian:bookworm-slim\n").unwrap();
    assert!(!pin(folder.path(), &["--check"], "").status.success());
}

/// The explanations of problems are compiled in, and stood in a folder that was left out of the image's build.
#[test]
fn the_build_of_the_image_gets_every_file_that_is_compiled_in() {
    fn compiled_in(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                compiled_in(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod").next().unwrap();
                for call in ["include_str!(\"", "include_bytes!(\""] {
                    let names = text.split(call).skip(1).map(|rest| rest.split('"').next().unwrap());
                    files.extend(names.map(|name| path.parent().unwrap().join(name)));
                }
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    compiled_in(&root.join("src"), &mut files);
    let files: Vec<_> = files.iter().filter(|file| !file.to_string_lossy().contains("/tests/")).collect();
    assert!(files.len() > 20, "{files:?}");
    let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
    for file in files {
        let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let file = file.strip_prefix(root.canonicalize().unwrap()).unwrap().to_owned();
        let is_ignored = ignored.lines().any(|line| file.starts_with(line));
        assert!(!is_ignored, "{} is compiled in, and .dockerignore leaves it out", file.display());
    }
}
