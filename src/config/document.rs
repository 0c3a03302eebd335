//! What was typed: the file with the line of each value, and the environment's overrides. Knows TOML, not what the keys
//! mean.

mod section;

use super::{Environment, mistake::Collector};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Environment variables that override a key: `PAYSTREAM__SECTION__KEY`.
const OVERRIDE: &str = "PAYSTREAM__";

/// The typed text.
pub(super) struct Document<'a> {
    file: &'a str,
    /// Where the relative paths of the file begin.
    folder: PathBuf,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    environment: &'a Environment,
    /// The names of overrides that a key asked for.
    used: RefCell<BTreeSet<String>>,
    /// The names of overrides that could have been given, for suggestions.
    overridable: RefCell<BTreeSet<String>>,
    mistakes: &'a Collector,
}

/// A table of it. Keys are asked for one by one; [`Section::end`] then refuses all others.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    /// How messages call it: `[listen]`.
    label: String,
    /// Its name in overrides; none for tables of arrays, whose keys cannot be overridden.
    name: Option<&'static str>,
    line: Option<usize>,
    table: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    /// Whether references to secrets are followed. If not, only their form is checked.
    follows_secrets: bool,
}

/// Where a value stands.
#[derive(Clone)]
pub(super) enum Place {
    Line(usize),
    Variable(String),
}

/// A value as typed.
enum Given<'d> {
    Toml(&'d DeValue<'d>),
    /// From the environment: text, whatever type is wanted.
    Variable(&'d str),
}

impl<'a> Document<'a> {
    /// None if it is no TOML; the mistakes tell.
    pub(super) fn parse(
        file: &'a str,
        text: &'a str,
        environment: &'a Environment,
        mistakes: &'a Collector,
    ) -> Option<Self> {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map(|span| line_of(text, span.start));
            let place = line.map(|line| format!(":{line}")).unwrap_or_default();
            mistakes.add(line, &format!("{file}{place}: not TOML: {}", error.message()));
        }
        let (used, overridable) = Default::default();
        let folder = folder_of(Path::new(file));
        errors.is_empty().then_some(Self {
            file,
            folder,
            text,
            root,
            environment,
            used,
            overridable,
            mistakes,
        })
    }

    /// The section `[name]`, empty if the file has none.
    pub(super) fn section<'d>(&'d self, name: &'static str) -> Section<'d> {
        let label = format!("[{name}]");
        let (line, table) = match self.root.get_ref().get(name) {
            None => (None, None),
            Some(value) => {
                let line = line_of(self.text, value.span().start);
                if value.get_ref().as_table().is_none() {
                    self.report(&Place::Line(line), &format!("{label}: must be a table"));
                }
                (Some(line), value.get_ref().as_table())
            }
        };
        Section {
            document: self,
            label,
            name: Some(name),
            line,
            table,
            known: Vec::new(),
            follows_secrets: true,
        }
    }

    /// The tables `[[name]]`.
    pub(super) fn sections<'d>(&'d self, name: &'static str) -> Vec<Section<'d>> {
        self.tables(self.root.get_ref().get(name), &format!("[[{name}]]"))
    }

    fn tables<'d>(&'d self, value: Option<&'d Spanned<DeValue<'a>>>, label: &str) -> Vec<Section<'d>> {
        let Some(value) = value else { return Vec::new() };
        let mut sections = Vec::new();
        let tables = value.get_ref().as_array().map_or(std::slice::from_ref(value), |tables| tables);
        for table in tables {
            let line = line_of(self.text, table.span().start);
            let label = label.to_owned();
            match table.get_ref().as_table().filter(|_| value.get_ref().is_array()) {
                Some(table) => {
                    let (line, table) = (Some(line), Some(table));
                    sections.push(Section {
                        document: self,
                        label,
                        name: None,
                        line,
                        table,
                        known: Vec::new(),
                        follows_secrets: true,
                    });
                }
                None => self.report(
                    &Place::Line(line),
                    &format!("{label}: one of several; write it in double brackets"),
                ),
            }
        }
        sections
    }

    /// Refuses sections that nobody knows, and overrides that nothing asked for.
    pub(super) fn end(&self, sections: &[&'static str]) {
        for key in self.root.get_ref().keys() {
            if !sections.contains(&&**key.get_ref()) {
                let line = line_of(self.text, key.span().start);
                let meant = suggestion(key.get_ref(), sections.iter().copied());
                let known = sections.join(", ");
                self.report(
                    &Place::Line(line),
                    &format!("[{}]: unknown section{meant}; known: {known}", key.get_ref()),
                );
            }
        }
        let (used, overridable) = (self.used.borrow(), self.overridable.borrow());
        for name in self.environment.keys().filter(|name| name.starts_with(OVERRIDE) && !used.contains(*name))
        {
            let meant = suggestion(name, overridable.iter().map(String::as_str));
            self.mistakes.add(
                None,
                &format!(
                    "{name}: overrides no key{meant}; allowed: {OVERRIDE}SECTION__KEY of a single value"
                ),
            );
        }
    }

    /// The absolute form of a path that was typed at `place`. A relative one in the file begins at the file's folder, so that the
    /// file means the same from wherever it is used; one in the environment begins at the working directory, as in a shell.
    fn absolute(&self, place: &Place, path: &Path) -> PathBuf {
        match place {
            Place::Line(_) => absolute(self.folder.join(path)),
            Place::Variable(_) => absolute(path.to_owned()),
        }
    }

    pub(super) fn report(&self, place: &Place, message: &str) {
        match place {
            Place::Line(line) => self.mistakes.add(Some(*line), &format!("{}:{line}: {message}", self.file)),
            Place::Variable(name) => self.mistakes.add(None, &format!("{name}: {message}")),
        }
    }
}

/// The environment variable that overrides a key.
fn override_of(section: &str, key: &str) -> String {
    format!("{OVERRIDE}{section}__{key}").to_ascii_uppercase()
}

/// Only without a working directory is a relative path left as it is; whoever opens it then says what is wrong.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The folder of a configuration file. What is piped in has none: there the working directory stands in for it.
fn folder_of(file: &Path) -> PathBuf {
    let is_piped = fs::metadata(file).is_ok_and(|found| !found.is_file());
    let beside = file.parent().filter(|_| !is_piped).unwrap_or(Path::new(""));
    let folder = absolute(Path::new(".").join(beside));
    // For the sake of those who read it in a log: without `..` in it.
    folder.canonicalize().unwrap_or(folder)
}

/// The line of a byte, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// `, did you mean …?` if one of `known` is near.
pub(super) fn suggestion<'k>(typed: &str, known: impl Iterator<Item = &'k str>) -> String {
    /// Near enough: two letters swapped, one forgotten, another word of the same stem. Found by trying.
    const NEAR: f64 = 0.8;
    let scored = known.map(|name| (strsim::jaro_winkler(typed, name), name));
    let best = scored.filter(|(score, _)| *score > NEAR).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default()
}
