//! Properties that hold for whatever bytes a stranger sends. There is one function for each parser of such bytes; the fuzzer's
//! targets in `fuzz/` call it, and so do the tests with the corpora that are kept there.
//!
//! Each function asserts what its parser promises in a way of its own: what is written is read again as the same, a plain model
//! agrees, nobody passes without a secret. None of this is built into the program.

pub(crate) mod request;
mod token;
mod values;

pub use token::token;
pub use values::{cursor, money};

use crate::{redact, source};

/// A fuzz target: its name in `fuzz/`, and the function that checks an input.
pub type Target = (&'static str, fn(&[u8]));

/// All fuzz targets, sorted by name.
pub const TARGETS: [Target; 14] = [
    ("adapter", source::fuzzing::adapter),
    ("canonical", source::fuzzing::canonical),
    ("card", redact::fuzzing::card),
    ("cursor", cursor),
    ("depth", source::fuzzing::depth),
    ("form", source::fuzzing::form),
    ("header", source::fuzzing::header),
    ("mapping", source::fuzzing::mapping),
    ("money", money),
    ("recipe", source::fuzzing::recipe),
    ("redact", redact::fuzzing::redact),
    ("time", source::fuzzing::time),
    ("token", token),
    ("xml", source::fuzzing::xml),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(path).unwrap())
        };
        files.map(file).collect()
    }

    #[test]
    fn every_target_holds_over_its_corpus_and_what_lies_beside_it() {
        for (target, holds) in TARGETS {
            let corpus = corpus(target);
            assert!(corpus.len() >= 12, "{target} has a corpus");
            holds(b"");
            for (path, input) in corpus {
                assert!(input.len() <= 4096, "{path} is small");
                holds(&input);
                for cut in 1..8 {
                    let at = input.len() * cut / 8;
                    holds(&input[..at]);
                    let mut changed = input.clone();
                    if let Some(byte) = changed.get_mut(at) {
                        *byte ^= 1 << cut;
                    }
                    holds(&changed);
                }
            }
        }
    }

    #[test]
    fn every_target_has_its_binary() {
        let manifest = include_str!("../fuzz/Cargo.toml");
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for (target, _) in TARGETS {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
    }
}
