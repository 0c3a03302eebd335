//! Which arguments are accepted, and which are refused with which exit code.

use super::{exit::Usage, *};
use crate::config::ConfigMistakes;
use clap::CommandFactory;
use std::fs;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

/// The error of a command that fails before it starts anything.
fn fail(line: &str) -> anyhow::Error {
    run(parse(line).unwrap().command).unwrap_err()
}

/// A configuration with one source and one key, in a folder that is deleted after the test.
fn config() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    let file = folder.path().join("paystream.toml");
    let secret = secret.display();
    fs::write(
        &file,
        format!(
            "[[source]]\nname = \"acme\"\nprovider = \"generic\"\nsecrets = [\"file:{secret}\"]\n\
             [[access.key]]\nkid = \"k1\"\nalgorithm = \"HS256\"\nsecret = \"file:{secret}\"\nrealms = [\"default\"]\n"
        ),
    )
    .unwrap();
    let file = file.display().to_string();
    (folder, file)
}

#[test]
fn the_arguments_are_consistent_and_every_command_has_examples() {
    Cli::command().debug_assert();
    for command in Cli::command().get_subcommands_mut() {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Examples:\n  "), "{help}");
    }
}

#[test]
fn commands_are_understood() {
    for line in [
        "paystream serve",
        "paystream serve --config f.toml --role ingest",
        "paystream serve --dev",
        "paystream demo --port 3000",
        "paystream check --print-default",
        "paystream token --payment a --payment b --ttl 1h --realm live --kid k --json",
        "paystream trigger --source acme --payment p",
        "paystream trigger --source acme --payment p refund --fast --amount 1 --currency JPY --url http://[::1]:1/x",
        "paystream trigger --list",
        "paystream trigger --dev --source dev --payment p all --signing-key file:k.pem --webhooks w.toml",
        "paystream listen --source acme",
        "paystream listen --dev --source dev --forward-to http://localhost:3000/hook --bind [::1]:0 --json",
        "paystream watch --payment p --url https://pay.example --until-finished",
        "paystream doctor --url https://pay.example --payment p --token t --origin https://shop.example --seconds 600",
        "paystream doctor --url https://pay.example/behind/a/path --config f.toml --heartbeat 30s --json",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn wrong_arguments_are_refused_with_exit_code_2() {
    for line in [
        "paystream",
        "paystream nonsense",
        "paystream serve --role both",
        "paystream serve --dev --config f.toml",
        "paystream demo --port 70000",
        "paystream token",
        "paystream token --payment p --ttl soon",
        "paystream token --payment zażółć",
        "paystream trigger --source acme",
        "paystream trigger --source acme --payment p --amount 0",
        "paystream trigger --source acme --payment p --currency EURO",
        "paystream trigger --source acme --payment p --url ftp://x",
        "paystream listen",
        "paystream listen --source acme --forward-to localhost:3000",
        "paystream listen --source acme --bind localhost",
        "paystream watch",
        "paystream watch --payment p --url nowhere",
        "paystream doctor --payment p",
        "paystream doctor --url https://pay.example",
        "paystream doctor --url https://pay.example --payment p --seconds 601",
        "paystream doctor --url https://pay.example --payment p --seconds 0",
        "paystream doctor --url https://user:password@pay.example --payment p",
        "paystream doctor --url https://pay.example/?access_token=t --payment p",
        "paystream doctor --url https://pay.example --payment p --origin shop.example",
        "paystream doctor --url https://pay.example --payment p --origin https://shop.example/checkout",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert_eq!(parse("paystream --help").unwrap_err().exit_code(), 0);
    assert_eq!(parse("paystream --version").unwrap_err().exit_code(), 0);
}

#[test]
fn a_wrong_configuration_stops_every_command_before_it_starts() {
    for line in
        ["serve", "check", "token --payment p", "trigger --source acme --payment p", "listen --source acme"]
    {
        let error = fail(&format!("paystream {line} --config /nowhere/paystream.toml"));
        assert!(error.is::<ConfigMistakes>(), "{line}: {error}");
    }
    let (_folder, file) = config();
    let error = fail(&format!("paystream serve --config {file} --role ingest"));
    assert!(error.is::<ConfigMistakes>(), "{error}");
}

#[test]
fn what_cannot_be_asked_for_is_told_with_what_can() {
    let (_folder, file) = config();
    for (line, expected) in [
        ("token --payment p --realm live", "realm \"live\""),
        ("token --payment p --kid k2", "k1"),
        ("token --payment p --ttl 25h", "24 hours"),
        (
            "trigger --source acne --payment p",
            "there is no source \"acne\"; the configured sources are: acme",
        ),
        ("trigger --source acme --payment p refund", "it has happy"),
        ("listen --source acne", "the configured sources are: acme"),
        ("trigger --source acme --payment p nonsense", "neither a scenario nor an event type"),
    ] {
        let error = fail(&format!("paystream {line} --config {file}"));
        assert!(error.is::<Usage>(), "{line}: {error}");
        assert!(error.to_string().contains(expected), "{error} lacks {expected}");
    }
}

/// Splits a line as a shell does, as far as the pages use it: quotes, comments and substitutions, for which `x` stands in.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut depth) = (Vec::new(), None::<String>, None, 0);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '$' if letters.peek() == Some(&'(') && quote != Some('\'') => {
                word.get_or_insert_default().push('x');
                depth += 1;
                letters.next();
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            '\'' | '"' if quote == Some(letter) => quote = None,
            '\'' | '"' if quote.is_none() => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            '#' if quote.is_none() && word.is_none() => break,
            '|' | '>' | '&' | ')' | ';' if quote.is_none() => break,
            _ if letter.is_whitespace() && quote.is_none() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// All commands in a page: in blocks for a shell, and between backticks.
fn commands_of(page: &str) -> Vec<String> {
    let (blocks, prose): (Vec<_>, Vec<_>) =
        page.split("```").enumerate().partition(|(index, _)| index % 2 == 1);
    let blocks = blocks.into_iter().filter(|(_, block)| block.starts_with("sh\n"));
    let lines = blocks.flat_map(|(_, block)| block.split('\n')).map(str::to_owned);
    let prose: String = prose.into_iter().map(|(_, text)| text).collect();
    let inline: Vec<_> = prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect();
    let starts = lines.chain(inline).flat_map(|line| {
        let starts: Vec<_> = line.match_indices("paystream ").map(|(index, _)| index).collect();
        let begins = |index: &usize| {
            let before = line.get(..*index).unwrap_or_default();
            before.is_empty()
                || before.ends_with("$(")
                || before.ends_with("<(")
                || before.ends_with(' ') && !before.contains("release")
        };
        starts
            .into_iter()
            .filter(begins)
            .filter_map(|index| line.get(index..).map(str::to_owned))
            .collect::<Vec<_>>()
    });
    starts.collect()
}

/// A command in a page that this version does not understand misleads every reader.
#[test]
fn every_command_in_the_pages_is_understood() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("load/README.md")];
    let mut folders = vec![root.join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    let mut checked = 0;
    for file in files {
        for command in commands_of(&fs::read_to_string(&file).unwrap()) {
            let words = words(&command);
            // Prose that names the program and goes on.
            let Some(name) = words.get(1).filter(|name| name.bytes().all(|b| b.is_ascii_lowercase())) else {
                continue;
            };
            let is_help = |error: &clap::Error| error.exit_code() == 0;
            let parsed = Cli::try_parse_from(&words);
            let needs_more = words.len() == 2 || (name == "store" && words.len() == 3);
            let missing = parsed.as_ref().is_err_and(|error| {
                needs_more && matches!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument)
            });
            assert!(
                parsed.is_ok() || parsed.as_ref().is_err_and(is_help) || missing,
                "{}: {command}: {parsed:?}",
                file.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 35, "only {checked} commands were found");
}
