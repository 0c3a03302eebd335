//! Links, the table of contents, and the words.

use super::{pages, read, root};
use std::collections::{BTreeMap, BTreeSet};

/// The pages outside the book whose links are checked too.
const OTHERS: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "load/README.md", "clients/js/README.md"];

/// Text without fenced blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let outside = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// Text without what stands in backticks.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// The anchors of a page, as GitHub and mdBook make them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let headings = prose(text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let name: String = heading
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
                    _ => None,
                })
                .collect();
            let count = seen.entry(name.clone()).and_modify(|count| *count += 1).or_default();
            if *count == 0 { name } else { format!("{name}-{count}") }
        })
        .collect()
}

/// The targets of the links and pictures of a page.
fn targets(text: &str) -> Vec<String> {
    let text = prose(text).replace('\n', " ");
    let text = text.split('`').enumerate().fold(String::new(), |text, (index, part)| {
        // A link's text may be code; its target never is.
        let stands_in = if index % 2 == 0 { part.to_owned() } else { "code".to_owned() };
        text + &stands_in
    });
    let starts = text.split("](").skip(1);
    starts.map(|rest| rest.split([')', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let mut broken = Vec::new();
    for page in pages().into_iter().chain(OTHERS.map(str::to_owned)) {
        let text = read(&page);
        for target in targets(&text).into_iter().filter(|target| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = root().join(&page).parent().unwrap().join(path);
            let file = if path.is_empty() { root().join(&page) } else { file };
            let has_anchor = || {
                anchor.is_empty()
                    || std::fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor))
            };
            if !file.exists() || !has_anchor() {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let summary = read("docs/src/SUMMARY.md");
    let mut listed =
        targets(&summary).into_iter().map(|target| format!("docs/src/{target}")).collect::<Vec<_>>();
    listed.sort();
    let pages: Vec<_> = pages().into_iter().filter(|page| page != "docs/src/SUMMARY.md").collect();
    assert_eq!(listed, pages);
}

#[test]
fn the_readme_is_short() {
    let readme = read("README.md");
    assert!(
        readme.lines().count() <= 90,
        "README has {} lines; write pages below docs/src",
        readme.lines().count()
    );
    let words = without_code(&prose(&readme)).split_whitespace().count();
    assert!(words <= 450, "README has {words} words; write pages below docs/src");
}

/// Words that readers whose first language is not English have to look up, or that mean something else to them.
#[test]
fn the_pages_and_the_manual_of_the_configuration_use_plain_words() {
    let odd = ["called off", "owed", "deaf", "coded", "takes over", "lives", "honoured"];
    let manual = "src/config/default.toml".to_owned();
    let mut found = Vec::new();
    for page in pages().into_iter().chain(OTHERS.map(str::to_owned)).chain([manual]) {
        let text = without_code(&prose(&read(&page))).to_lowercase();
        let words: Vec<_> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
        let text = format!(" {} ", words.join(" "));
        found.extend(
            odd.iter()
                .filter(|word| text.contains(&format!(" {word} ")))
                .map(|word| format!("{page}: {word}")),
        );
    }
    assert!(found.is_empty(), "{found:?}");
}
