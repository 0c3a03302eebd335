//! No file of this tool imports from a file that, directly or through others, imports from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Files by their modules: `["report", "html"]` for `report/html.rs`, and nothing for `main.rs`, where all modules begin.
type Files = BTreeMap<Vec<String>, String>;

/// Reads every file below a folder, except programs of their own and tests.
fn read(folder: &Path, module: &[String], files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let inside = [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            if name != "bin" {
                read(&path, &inside, files);
            }
        } else if !matches!(name.as_str(), "lib" | "tests") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            files.insert(
                if name == "main" { Vec::new() } else { inside },
                lines.collect::<Vec<_>>().join("\n"),
            );
        }
    }
}

/// Splits a text into words and single signs; `::` is one sign.
fn tokens(text: &str) -> Vec<&str> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            letter if is_letter(letter) => rest.find(|letter| !is_letter(letter)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            other => other.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Collects the path, or the tree of paths in braces, that begins at a token. Returns the index of the token after it.
fn take_paths<'a>(
    tokens: &[&'a str],
    mut at: usize,
    before: &[&'a str],
    paths: &mut Vec<Vec<&'a str>>,
) -> usize {
    let mut path = [before, &[tokens[at]]].concat();
    while tokens.get(at + 1) == Some(&"::") {
        at += 2;
        if tokens[at] == "{" {
            at += 1;
            while tokens[at] != "}" {
                at = if tokens[at] == "," { at + 1 } else { take_paths(tokens, at, &path, paths) };
            }
            return at + 1;
        }
        path.push(tokens[at]);
    }
    paths.push(path);
    at + 1
}

/// The modules that the paths in a file lead to.
fn imports<'a>(module: &[String], text: &str, files: &'a Files) -> BTreeSet<&'a Vec<String>> {
    let tokens = tokens(text);
    let (mut at, mut paths) = (0, Vec::new());
    while at < tokens.len() {
        let begins = tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "::");
        at = if begins { take_paths(&tokens, at, &[], &mut paths) } else { at + 1 };
    }
    let target = |path: Vec<&str>| {
        let (mut base, mut rest) = (module.to_vec(), path.as_slice());
        while let [first @ ("crate" | "self" | "super"), more @ ..] = rest {
            match *first {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                _ => {}
            }
            rest = more;
        }
        let is_absolute = rest.len() < path.len();
        let found = (0..=rest.len()).rev().find_map(|length| {
            let parts = rest[..length].iter().map(|part| (*part).to_owned());
            files
                .get_key_value(&base.iter().cloned().chain(parts).collect::<Vec<_>>())
                .filter(|_| is_absolute || length > 0)
        });
        found.map(|(target, _)| target).filter(|target| *target != module)
    };
    paths.into_iter().filter_map(target).collect()
}

/// Removes files that import from none of those left, until there is no such file. What remains lies on a circle or imports from one.
fn circles(files: &Files) -> BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> {
    let mut left: BTreeMap<_, _> =
        files.iter().map(|(module, text)| (module, imports(module, text, files))).collect();
    loop {
        let free: Vec<_> =
            left.iter().filter(|(_, imports)| imports.is_empty()).map(|(module, _)| *module).collect();
        if free.is_empty() {
            return left;
        }
        left.retain(|module, _| !free.contains(module));
        left.values_mut().for_each(|imports| imports.retain(|import| !free.contains(import)));
    }
}

#[test]
fn no_file_imports_in_a_circle() {
    let mut files = Files::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut files);
    assert!(files.len() > 30, "{:?}", files.keys());
    assert_eq!(circles(&files), BTreeMap::new());
}

#[test]
fn a_circle_is_found_however_it_is_spelled() {
    for (parent, child) in [
        ("mod b; use b::{C, d::E};", "use super::F;"),
        ("mod b; fn f() { b::g(); }", "fn g() { crate::a::f(); }"),
        ("mod b; use self::b::C;", "use crate::{x::Y, a::{self, F}};"),
    ] {
        let file = |name: &str, text: &str| (name.split("::").map(str::to_owned).collect(), text.to_owned());
        let files = Files::from([file("a", parent), file("a::b", child), file("x", "use crate::a::b::C;")]);
        assert!(circles(&files).contains_key(&vec!["a".to_owned()]), "{parent} {child}");
        let files =
            Files::from([file("a", parent), file("a::b", "use crate::x::Y;"), file("x", "use std::fmt;")]);
        assert_eq!(circles(&files), BTreeMap::new(), "{parent}");
    }
}
