//! The configuration as it was written: the file with the line of each value, and the overrides of the environment. This file knows
//! TOML, but not what the keys mean.

mod reference;
mod section;

use super::{environment::Environment, files::SecretFiles, mistake::Collector};
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

/// The beginning of environment variables that override a key: `PAYSTREAM__SECTION__KEY`.
const OVERRIDE: &str = "PAYSTREAM__";

/// A parsed file together with the overrides. Its sections are asked for one by one; [`Document::end`] then refuses all others.
pub(super) struct Document<'a> {
    file: &'a str,
    /// The folder of the file. Relative paths in the file are relative to it.
    folder: PathBuf,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    environment: &'a Environment,
    /// The names of the overrides that were used.
    used: RefCell<BTreeSet<String>>,
    /// The names of all possible overrides, for suggestions.
    overridable: RefCell<BTreeSet<String>>,
    /// The files with secrets that were read.
    files: RefCell<SecretFiles>,
    mistakes: &'a Collector,
}

/// A table of the document. Its keys are asked for one by one; [`Section::end`] then refuses all others.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    /// The name of the table in messages, such as `[listen]`.
    label: String,
    /// The name of the section in overrides. It is `None` for subtables and tables of arrays, whose keys cannot be overridden.
    name: Option<&'static str>,
    line: Option<usize>,
    table: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    /// Whether references to secrets are resolved. If not, only their form is checked.
    resolves_secrets: bool,
}

/// An item of a list that may hold texts and tables.
pub(super) enum TextOrTable<'d> {
    /// A text.
    Text(String),
    /// A table. Whoever takes it apart calls [`Section::end`].
    Table(Section<'d>),
}

/// The place of a value, for messages.
#[derive(Clone)]
pub(super) enum Location {
    /// The line of the file, counted from 1.
    Line(usize),
    /// The name of the environment variable.
    Variable(String),
}

/// A value as it was written.
enum Given<'d> {
    /// A value of the file.
    Toml(&'d DeValue<'d>),
    /// The text of an environment variable, whatever the type of the key.
    Variable(&'d str),
}

impl<'a> Document<'a> {
    /// Parses the text of a file. Returns `None` and reports mistakes if it is not TOML.
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
            mistakes.add(line, &format!("{file}{place}: this is not valid TOML: {}", error.message()));
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
            files: RefCell::default(),
            mistakes,
        })
    }

    /// The section `[name]`. It is empty if the file has none.
    pub(super) fn section<'d>(&'d self, name: &'static str) -> Section<'d> {
        let label = format!("[{name}]");
        let (line, table) = match self.root.get_ref().get(name) {
            None => (None, None),
            Some(value) => {
                let line = line_of(self.text, value.span().start);
                if value.get_ref().as_table().is_none() {
                    self.report(&Location::Line(line), &format!("{label}: the value must be a table"));
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
            resolves_secrets: true,
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
                        resolves_secrets: true,
                    });
                }
                None => self.report(
                    &Location::Line(line),
                    &format!("{label}: there can be several of these tables, so the name has to be in double brackets"),
                ),
            }
        }
        sections
    }

    /// The files with secrets that were read so far.
    pub(super) fn secret_files(&self) -> SecretFiles {
        self.files.borrow().clone()
    }

    /// Reports unknown sections and unused overrides.
    pub(super) fn end(&self, sections: &[&'static str]) {
        for key in self.root.get_ref().keys() {
            if !sections.contains(&&**key.get_ref()) {
                let line = line_of(self.text, key.span().start);
                let meant = suggestion(key.get_ref(), sections.iter().copied());
                let known = sections.join(", ");
                self.report(
                    &Location::Line(line),
                    &format!(
                        "[{}]: this section is unknown{meant}; the known sections are: {known}",
                        key.get_ref()
                    ),
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
                    "{name}: this variable overrides no key{meant}; allowed: {OVERRIDE}SECTION__KEY for a key with a single value"
                ),
            );
        }
    }

    /// The absolute form of a path that was written at `place`. A relative path in the file is relative to the folder of the file, so
    /// that the file means the same wherever the program is started. In the environment, it is relative to the working directory,
    /// as in a shell.
    fn absolute(&self, place: &Location, path: &Path) -> PathBuf {
        match place {
            Location::Line(_) => absolute(self.folder.join(path)),
            Location::Variable(_) => absolute(path.to_owned()),
        }
    }

    /// Reports a mistake at `place`.
    pub(super) fn report(&self, place: &Location, message: &str) {
        match place {
            Location::Line(line) => {
                self.mistakes.add(Some(*line), &format!("{}:{line}: {message}", self.file));
            }
            Location::Variable(name) => self.mistakes.add(None, &format!("{name}: {message}")),
        }
    }
}

/// The environment variable that overrides a key.
fn override_of(section: &str, key: &str) -> String {
    format!("{OVERRIDE}{section}__{key}").to_ascii_uppercase()
}

/// The absolute form of a path. If the working directory is gone, the path stays relative, and opening it fails with a clear error.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The folder of a configuration file. A file that is piped in has none, so the working directory takes its place.
fn folder_of(file: &Path) -> PathBuf {
    let is_piped = fs::metadata(file).is_ok_and(|found| !found.is_file());
    let beside = file.parent().filter(|_| !is_piped).unwrap_or(Path::new(""));
    let folder = absolute(Path::new(".").join(beside));
    // Without `..` the path is easier to read in logs.
    folder.canonicalize().unwrap_or(folder)
}

/// The line of the byte at position `at`, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// The text `; did you mean …?` if one of `known` is similar to what was written, otherwise an empty text.
pub(super) fn suggestion<'k>(typed: &str, known: impl Iterator<Item = &'k str>) -> String {
    /// The least similarity of a suggestion. It was found by trying: it accepts two swapped letters, a missing letter, and another
    /// word of the same stem.
    const NEAR: f64 = 0.8;
    let scored = known.map(|name| (strsim::jaro_winkler(typed, name), name));
    let best = scored.filter(|(score, _)| *score > NEAR).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default()
}
