//! Pages that are printed from the program: the configuration, the commands, the metrics.

use super::root;
use crate::support::{Gateway, paystream};
use std::fs;

/// Between these lines stands what is printed.
const BEGIN: &str = "<!-- printed from the program -->\n";
const END: &str = "<!-- end -->\n";

/// Checks that a page holds `text`, or writes it there if the environment says so.
fn holds(page: &str, text: &str) {
    let path = root().join("docs/src/reference").join(page);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let expected = format!("\n{text}\n");
    if found != expected && std::env::var_os("PAYSTREAM_WRITE_README").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(found == expected, "{}: run this test once with PAYSTREAM_WRITE_README=1", path.display());
}

fn printed(arguments: &[&str]) -> String {
    let output = paystream().args(arguments).env("COLUMNS", "120").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_of_the_configuration_is_the_default_configuration() {
    holds(
        "configuration.md",
        &format!("```toml\n{}\n```\n", printed(&["check", "--print-default"]).trim_end()),
    );
}

/// The names of the commands in a help text, with what stands before them.
fn commands(before: &[&str]) -> Vec<String> {
    let help = printed(&[before, &["--help"]].concat());
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let list = list.lines().take_while(|line| line.starts_with("  "));
    let names =
        list.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_page_of_the_commands_is_what_they_say_of_themselves() {
    let mut text = String::new();
    let mut add = |command: &[&str]| {
        let help = printed(&[command, &["--help"]].concat());
        let help: Vec<_> = help.lines().map(str::trim_end).collect();
        let help = help.join("\n");
        text.push_str(&format!(
            "## paystream {}\n\n```text\n{}\n```\n\n",
            command.join(" "),
            help.trim_end()
        ));
    };
    for command in commands(&[]) {
        let further = commands(&[&command]);
        add(&[&command]);
        further.iter().for_each(|name| add(&[&command, name]));
    }
    holds("commands.md", text.trim_end_matches('\n').to_owned().as_str());
}

#[tokio::test]
async fn the_page_of_the_metrics_has_all_that_a_gateway_tells() {
    let gateway = Gateway::start().await;
    let text = gateway.admin("/metrics").await.text();
    let mut table = "| metric | type | |\n|---|---|---|\n".to_owned();
    for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = help.split_once(' ').unwrap();
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let suffix = if kind == "counter" { "_total" } else { "" };
        table.push_str(&format!("| `{name}{suffix}` | {kind} | {} |\n", help.trim_end_matches('.')));
    }
    holds("metrics.md", &table);
}
