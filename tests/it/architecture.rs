//! The rules of ARCHITECTURE.md about who may know whom, as absences in the source.

mod imports;

use imports::{Tree, circles};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms, each with those that it may reach into beside itself and the leaves. `None` stands for all.
const ROOMS: [(&str, Option<&[&str]>); 18] = [
    ("access", Some(&["payment"])),
    // The composition root.
    ("app", None),
    ("cli", Some(&["access", "app", "config", "payment", "scenario", "source", "store", "telemetry"])),
    // A clock tells times in the payment model's form.
    ("clock", Some(&["payment"])),
    ("config", Some(&["access", "payment", "source", "store", "stream", "telemetry"])),
    ("confirm", Some(&["payment", "source", "store"])),
    // Built for tests and the fuzzer alone; `fuzzing.rs` beside a parser may use what all targets share.
    ("fuzzing", Some(&["access", "payment", "source"])),
    // Readiness is asked of the hub and the store; routes know ingest, sources, streams and access.
    ("http", Some(&["access", "confirm", "hub", "ingest", "payment", "source", "store", "stream"])),
    ("hub", Some(&["payment", "store"])),
    ("ingest", Some(&["payment", "source", "store"])),
    ("lib", Some(&[])),
    ("main", Some(&["cli"])),
    ("payment", Some(&[])),
    ("scenario", Some(&["payment"])),
    ("source", Some(&["payment"])),
    ("store", Some(&["payment"])),
    ("stream", Some(&["hub", "payment"])),
    ("telemetry", Some(&[])),
];

/// Rooms that all others may use but `payment`, and that use none but each other.
const LEAVES: [&str; 16] = [
    "backoff",
    "clock",
    "descriptors",
    "jwt",
    "limits",
    "live",
    "loopback",
    "metrics",
    "outbound",
    "peer",
    "redact",
    "secret",
    "shutdown",
    "systemd",
    "tally",
    "tls",
];

/// Names that once stood for several things. Each may be the name of one type in the whole program.
const FORMER_HOMONYMS: [&str; 6] = ["Heard", "Key", "Options", "Place", "Standing", "Told"];

/// Types that several rooms have under one name, and that are always written with the room's name before it.
const QUALIFIED: [&str; 1] = ["Settings"];

struct File {
    /// Below `src/`, e.g. `hub/topic.rs`.
    name: String,
    text: String,
}

impl File {
    /// The room that it belongs to: `hub` for `hub.rs` and `hub/topic.rs`.
    fn room(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap()
    }

    /// Lines of code, without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
    }

    /// Whether the code names the library `word`: `word::`, as a whole word. (Configuration may well speak of a "redis".)
    fn names(&self, word: &str) -> bool {
        let is_part =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        self.code().any(|line| {
            line.match_indices(word).any(|(at, _)| {
                let bytes = line.as_bytes();
                !is_part(at.checked_sub(1).and_then(|before| bytes.get(before)))
                    && line[at + word.len()..].starts_with("::")
            })
        })
    }

    /// Whether `word` is a module of ours here, declared or imported from the store: it then hides a library of that name.
    fn has_own(&self, word: &str) -> bool {
        let code: String = self.code().flat_map(|line| [line, " "]).collect();
        let is_word = |part: &str| part == word;
        let letters = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
        let imports = code.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
        let mut from_store = imports.filter(|import| import.split(letters).any(|part| part == "store"));
        code.contains(&format!("mod {word};")) || from_store.any(|import| import.split(letters).any(is_word))
    }

    /// Whether the code reaches into one of our rooms: `crate::room`, or `room` in a list after `use crate::{`.
    fn reaches(&self, room: &str) -> bool {
        let code: String = self.code().flat_map(|line| [line, " "]).collect();
        if code.contains(&format!("crate::{room}")) {
            return true;
        }
        code.split("crate::{").skip(1).any(|rest| {
            let list = &rest[..rest.find(';').unwrap_or(rest.len())];
            let mut depth = 0;
            let mut item = String::new();
            let mut items = Vec::new();
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => items.push(std::mem::take(&mut item)),
                    _ if depth == 0 => item.push(letter),
                    _ => {}
                }
                if depth < 0 {
                    break;
                }
            }
            items.push(item);
            items.iter().any(|item| item.trim().split("::").next() == Some(room))
        })
    }
}

fn sources() -> Vec<File> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    below(&root, &mut paths);
    paths.sort();
    let file = |path: PathBuf| File {
        name: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    paths.into_iter().map(file).collect()
}

fn rooms() -> impl Iterator<Item = &'static str> {
    ROOMS.iter().map(|(room, _)| *room).chain(LEAVES)
}

#[test]
fn rooms_reach_only_into_those_they_may_know() {
    let mut broken = Vec::new();
    for file in sources() {
        let known = ROOMS.iter().find(|(room, _)| *room == file.room()).map(|(_, allowed)| *allowed);
        let is_leaf = LEAVES.contains(&file.room());
        assert!(known.is_some() || is_leaf, "{}: no rule says whom its room may know", file.name);
        let Some(allowed) = known.unwrap_or(Some(&[])) else { continue };
        // Tests may put rooms together that do not know each other, and what the fuzzer checks is shared.
        if file.name.ends_with("tests.rs") || file.name.contains("/tests/") {
            continue;
        }
        let is_target = file.name.contains("fuzzing");
        let code = File { text: file.text.split("#[cfg(test)]").next().unwrap().to_owned(), ..file };
        for room in rooms() {
            let is_leaf = LEAVES.contains(&room) && code.room() != "payment";
            let is_shared = room == "fuzzing" && is_target;
            if code.room() != room && !allowed.contains(&room) && !is_leaf && !is_shared && code.reaches(room)
            {
                broken.push(format!("{} reaches into {room}", code.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_two_types_that_meet_have_one_name() {
    let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let room_of = |file: &str| file.split(['/', '.']).next().unwrap().to_owned();
    // Who may know whom: two types meet in every room that may know both.
    let meets = |one: &str, other: &str| {
        ROOMS.iter().any(|(room, allowed)| {
            let knows = |wanted: &str| {
                *room == wanted
                    || LEAVES.contains(&wanted)
                    || allowed.is_none_or(|allowed| allowed.contains(&wanted))
            };
            knows(one) && knows(other)
        })
    };
    let mut broken = Vec::new();
    let types: Vec<(&str, &str, bool)> = tree
        .types()
        .flat_map(|(file, types)| {
            types.iter().map(move |(name, is_public)| (file, name.as_str(), *is_public))
        })
        // What a preset's file looks like is written `raw::Name`, beside what it is compiled to.
        .filter(|(file, ..)| !file.ends_with("raw.rs"))
        .collect();
    for (place, (file, name, is_public)) in types.iter().enumerate() {
        for (other_file, other_name, other_is_public) in &types[place + 1..] {
            if name != other_name || QUALIFIED.contains(name) {
                continue;
            }
            let are_met = *is_public && *other_is_public && meets(&room_of(file), &room_of(other_file));
            if are_met || FORMER_HOMONYMS.contains(name) {
                broken.push(format!("{name} in {file} and in {other_file}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn libraries_are_named_only_where_they_belong() {
    let mut broken = Vec::new();
    for file in sources() {
        // Tests may talk to what they test.
        let file = File { text: file.text.split("#[cfg(test)]").next().unwrap().to_owned(), ..file };
        let is_http = file.room() == "http";
        let is_sink = file.name.starts_with("stream/sink");
        let is_reactor = file.name.starts_with("stream/reactor");
        for (library, allowed) in [
            ("redis", file.name.starts_with("store/redis")),
            ("fjall", file.name.starts_with("store/embedded")),
            ("axum", is_http || is_sink || file.room() == "app"),
            ("hyper", is_http || is_sink),
            ("mio", is_reactor),
            ("jsonwebtoken", file.room() == "access"),
            ("clap", ["cli", "main"].contains(&file.room())),
            ("tokio", file.room() != "payment"),
        ] {
            if !allowed && file.names(library) && !file.has_own(library) {
                broken.push(format!("{} names {library}", file.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_file_uses_another_in_a_circle() {
    for root in ["src/lib.rs", "load/src/lib.rs"] {
        let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root));
        let uses = tree.uses();
        let circles = circles(&uses);
        assert!(circles.is_empty(), "{root}: {circles:#?}");
    }
}

#[test]
fn a_file_is_a_page_or_two() {
    let long: Vec<_> = sources()
        .iter()
        .map(|file| (file.text.lines().count(), file.name.clone()))
        .filter(|(lines, _)| *lines > 500)
        .collect();
    assert!(long.is_empty(), "over 500 lines: {long:?}");
}

#[test]
fn each_file_begins_by_saying_what_it_is_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|file| !file.text.starts_with("//! ") && !file.name.ends_with("tests.rs"))
        .map(|file| file.name)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
    let folders: Vec<_> =
        sources().into_iter().filter(|file| file.name.ends_with("mod.rs")).map(|f| f.name).collect();
    assert!(folders.is_empty(), "a room's file stands beside its folder: {folders:?}");
}

#[test]
fn the_rules_would_notice() {
    let file = |text: &str| File { name: "hub/x.rs".to_owned(), text: text.to_owned() };
    assert!(file("use crate::ingest::Ingest;").reaches("ingest"));
    assert!(file("use crate::{\n    payment::{Event, ingest},\n    stream,\n};").reaches("stream"));
    assert!(!file("use crate::{\n    payment::{Event, ingest},\n    stream,\n};").reaches("ingest"));
    assert!(!file("// use crate::ingest::Ingest;").reaches("ingest"));
    assert!(file("let x = redis::Client::open();").names("redis"));
    assert!(!file("let x = rediscover(redis_like);").names("redis"));
    assert!(file("use crate::{payment::Name, store::{self, redis}};").has_own("redis"));
    assert!(file("pub mod redis;").has_own("redis"));
    assert!(!file("use crate::store::Store;\nuse redis::Client;").has_own("redis"));
}
