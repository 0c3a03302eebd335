//! The files of the store import one another in one direction only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// For each file below `src/store/redis` the names in its `use super::…` that stand before its tests.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let names = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: String = code
            .lines()
            .filter(|line| !line.trim().starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let uses = code.split("super::").skip(1).filter_map(|rest| rest.split(';').next());
        uses.flat_map(|list| list.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
            .map(str::to_owned)
            .collect()
    };
    sources.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), names(&path))).collect()
}

#[test]
fn no_file_of_the_redis_store_imports_in_a_circle() {
    let mut left = imports();
    assert!(left.len() > 5, "{left:?}");
    loop {
        let files: BTreeSet<_> = left.keys().cloned().collect();
        left.retain(|file, names| names.iter().any(|name| name != file && files.contains(name)));
        if left.len() == files.len() {
            break;
        }
    }
    for (file, names) in &mut left {
        names.retain(|name| name != file);
    }
    assert!(left.is_empty(), "these import one another: {:?}", left.keys().collect::<Vec<_>>());
}
