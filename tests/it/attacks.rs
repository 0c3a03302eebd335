//! What an attacker tries on the running gateway, and what it answers. `docs/src/design/security.md` names the test of each attack.

mod admin;
mod console;
mod descriptors;
mod fairness;
mod frames;
mod heads;
mod http2;
mod ingest;
mod labels;
mod realm;
mod store;
mod tls;
mod tokens;

use std::{collections::BTreeSet, fs, path::Path};

/// The names of the test functions in a file, or in all files of a folder.
fn tests_in(path: &Path) -> BTreeSet<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.flat_map(|entry| tests_in(&entry.unwrap().path())).collect();
    }
    let text = fs::read_to_string(path).unwrap();
    let name = |after: &str| Some(after.split_once("fn ")?.1.split_once('(')?.0.to_owned());
    let after_attributes = text.split("#[test]\n").skip(1);
    let after_async = text.split("#[tokio::test").skip(1).filter_map(|rest| Some(rest.split_once("]\n")?.1));
    after_attributes.chain(after_async).filter_map(name).collect()
}

#[test]
fn the_page_of_attacks_names_every_test_of_an_attack_and_none_that_does_not_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/src/design/security.md")).unwrap();
    let named: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    let last = |path: &&str| path.rsplit("::").next().unwrap_or_default().to_owned();
    let named: BTreeSet<String> =
        named.iter().map(last).filter(|name| name != "*" && !name.is_empty()).collect();
    // The tests of the contract are functions that a macro calls for each store.
    let mut all: BTreeSet<String> =
        ["tests/it", "src"].iter().flat_map(|folder| tests_in(&root.join(folder))).collect();
    let contract = fs::read_to_string(root.join("tests/it/contract.rs")).unwrap();
    all.extend(contract.split([' ', ',', '\n']).filter(|word| word.contains('_')).map(str::to_owned));
    let unknown: Vec<_> = named.iter().filter(|name| !all.contains(*name)).collect();
    assert!(unknown.is_empty(), "docs/src/design/security.md names tests that do not exist: {unknown:?}");
    let attacks = tests_in(&root.join("tests/it/attacks"));
    let unnamed: Vec<_> = attacks.iter().filter(|name| !named.contains(*name)).collect();
    assert!(
        unnamed.is_empty(),
        "docs/src/design/security.md does not name these tests of attacks: {unnamed:?}"
    );
}
