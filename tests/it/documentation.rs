//! The documentation, held to the program: its links lead somewhere, its snippets run, and what machines read of the routes and streams is
//! what the gateway answers.
//!
//! Pages that are printed from the program are written anew with `PAYSTREAM_WRITE_README=1`.

mod generated;
mod links;
mod snippets;
mod tokens;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project, by its path from the root.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All pages below `docs/src`, by their paths from the root.
fn pages() -> Vec<String> {
    fn below(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, pages);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut pages = Vec::new();
    below(&root().join("docs/src"), &mut pages);
    pages.sort();
    assert!(pages.len() > 30, "{pages:?}");
    pages.iter().map(|page| page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()).collect()
}

/// A fenced block of a page.
struct Block {
    /// The page, by its path from the root.
    page: String,
    /// The language that stands behind the fence.
    language: String,
    /// The comment `<!-- … -->` before it, or nothing.
    marker: String,
    text: String,
}

/// All fenced blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open, mut marker) = (Vec::<Block>::new(), None, String::new());
    for line in read(page).lines() {
        let trimmed = line.trim_start();
        match (&mut open, trimmed.strip_prefix("```")) {
            (None, Some(language)) => {
                let indent = line.len() - trimmed.len();
                let marker = std::mem::take(&mut marker);
                let (page, language) = (page.to_owned(), language.to_owned());
                open = Some((indent, Block { page, language, marker, text: String::new() }));
            }
            (Some(_), Some("")) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), _) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {
                let comment = trimmed.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                if let Some(comment) = comment {
                    comment.clone_into(&mut marker);
                } else if !trimmed.is_empty() {
                    marker.clear();
                }
            }
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}

/// All blocks of the documentation in this language, README included.
fn all_blocks(language: &str) -> Vec<Block> {
    let pages = pages().into_iter().chain(["README.md".to_owned()]);
    pages.flat_map(|page| blocks(&page)).filter(|block| block.language == language).collect()
}
