//! What was typed: the file with the line of each value, and the environment's overrides. Knows TOML, not what the keys
//! mean.

use super::{Environment, duration, mistake::Collector, secret};
use secrecy::SecretString;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::RangeInclusive,
    time::Duration,
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
        errors.is_empty().then_some(Self { file, text, root, environment, used, overridable, mistakes })
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
        Section { document: self, label, name: Some(name), line, table, known: Vec::new() }
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

    pub(super) fn report(&self, place: &Place, message: &str) {
        match place {
            Place::Line(line) => self.mistakes.add(Some(*line), &format!("{}:{line}: {message}", self.file)),
            Place::Variable(name) => self.mistakes.add(None, &format!("{name}: {message}")),
        }
    }
}

impl<'d> Section<'d> {
    /// The table `[section.key]`, if there is one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'d>> {
        self.known.push(key);
        let value = self.table?.get(key)?;
        let line = line_of(self.document.text, value.span().start);
        let label = format!("[{}.{key}]", self.label.trim_matches(['[', ']']));
        let Some(table) = value.get_ref().as_table() else {
            self.document.report(&Place::Line(line), &format!("{label}: must be a table"));
            return None;
        };
        let (document, line, table) = (self.document, Some(line), Some(table));
        Some(Section { document, label, name: None, line, table, known: Vec::new() })
    }

    /// The tables `[[section.key]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'d>> {
        self.known.push(key);
        let label = format!("[[{}.{key}]]", self.label.trim_matches(['[', ']']));
        self.document.tables(self.table.and_then(|table| table.get(key)), &label)
    }

    /// The typed value of `key`: the override, else what the file says.
    fn given(&mut self, key: &'static str, overridable: bool) -> Option<(Place, Given<'d>)> {
        self.known.push(key);
        if let Some(section) = self.name.filter(|_| overridable) {
            let name = format!("{OVERRIDE}{section}__{key}").to_ascii_uppercase();
            self.document.overridable.borrow_mut().insert(name.clone());
            if let Some(value) = self.document.environment.get(&name) {
                self.document.used.borrow_mut().insert(name.clone());
                return Some((Place::Variable(name), Given::Variable(value)));
            }
        }
        let value = self.table?.get(key)?;
        Some((Place::Line(line_of(self.document.text, value.span().start)), Given::Toml(value.get_ref())))
    }

    /// Reports a mistake of `key`.
    pub(super) fn wrong(&self, place: &Place, key: &str, message: &str) {
        self.document.report(place, &format!("{} {key}: {message}", self.label));
    }

    /// Where `key` stands, else where the section begins.
    pub(super) fn place(&self, key: &str) -> Place {
        let value = self.table.and_then(|table| table.get(key));
        let line = value.map(|value| line_of(self.document.text, value.span().start)).or(self.line);
        Place::Line(line.unwrap_or(1))
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, allowed: &str) -> Option<(Place, String)> {
        let (place, given) = self.given(key, true)?;
        let text = match given {
            Given::Variable(text) => Some(text),
            Given::Toml(value) => value.as_str(),
        };
        if text.is_none() {
            self.wrong(&place, key, &format!("must be a text in quotes; allowed: {allowed}"));
        }
        text.map(|text| (place, text.to_owned()))
    }

    /// A text that means something; `read` says by its error what it is not.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        allowed: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (place, text) = self.text(key, allowed)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(&place, key, &format!("{text:?} {error}; allowed: {allowed}"));
                None
            }
        }
    }

    /// Like [`Section::parsed`], and a mistake if there is none.
    pub(super) fn required<T, E: Display>(
        &mut self,
        key: &'static str,
        allowed: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.parsed(key, allowed, read);
        if !self.has(key) {
            self.wrong(&self.place(key), key, &format!("is missing; allowed: {allowed}"));
        }
        value
    }

    /// Whether the file has `key`, well or badly written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// A span of time within `range`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let bounds = format!("{} to {}", duration::show(*range.start()), duration::show(*range.end()));
        self.parsed(key, &format!("{bounds}, as {}", duration::ALLOWED), |text| match duration::parse(text) {
            Err(_) => Err("is not a duration"),
            Ok(span) if !range.contains(&span) => Err("is out of range"),
            Ok(span) => Ok(span),
        })
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &'static str, range: &RangeInclusive<u64>) -> Option<u64> {
        let (place, given) = self.given(key, true)?;
        let (shown, number) = match given {
            Given::Variable(text) => (format!("{text:?}"), text.parse().ok()),
            Given::Toml(value) => match value.as_integer() {
                Some(integer) => {
                    let digits = integer.as_str();
                    (digits.to_owned(), u64::from_str_radix(digits, integer.radix()).ok())
                }
                None => (format!("a {}", value.type_str()), None),
            },
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.wrong(
                &place,
                key,
                &format!("{shown} is not allowed; allowed: a whole number from {least} to {most}"),
            );
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let (place, given) = self.given(key, true)?;
        let flag = match given {
            Given::Variable(text) => text.parse().ok(),
            Given::Toml(value) => value.as_bool(),
        };
        if flag.is_none() {
            self.wrong(&place, key, "allowed: true or false, without quotes");
        }
        flag
    }

    /// A list of texts, each with its place.
    pub(super) fn texts(&mut self, key: &'static str, allowed: &str) -> Option<Vec<(Place, String)>> {
        let (place, given) = self.given(key, false)?;
        let Given::Toml(value) = given else { return None };
        let Some(array) = value.as_array() else {
            self.wrong(&place, key, &format!("must be a list in square brackets; allowed: {allowed}"));
            return None;
        };
        let mut texts = Vec::new();
        for item in array {
            let place = Place::Line(line_of(self.document.text, item.span().start));
            match item.get_ref().as_str() {
                Some(text) => texts.push((place, text.to_owned())),
                None => self.wrong(&place, key, &format!("must list texts in quotes; allowed: {allowed}")),
            }
        }
        Some(texts)
    }

    /// A table of texts by name; empty if there is none.
    pub(super) fn words(&mut self, key: &'static str, allowed: &str) -> Option<BTreeMap<String, String>> {
        let Some((place, given)) = self.given(key, false) else { return Some(BTreeMap::new()) };
        let words = match given {
            Given::Variable(_) => None,
            Given::Toml(value) => value.as_table().and_then(|table| {
                let word = |(name, word): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                    let name: &std::borrow::Cow<'_, str> = name.get_ref();
                    Some((name.to_string(), word.get_ref().as_str()?.to_owned()))
                };
                table.iter().map(word).collect()
            }),
        };
        if words.is_none() {
            self.wrong(&place, key, &format!("must be a table of texts in quotes; allowed: {allowed}"));
        }
        words
    }

    /// A secret, by reference.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        let (place, reference) = self.text(key, secret::ALLOWED)?;
        self.resolve(&place, key, &reference)
    }

    /// Several secrets, by reference.
    pub(super) fn secrets(&mut self, key: &'static str) -> Option<Vec<SecretString>> {
        let references = self.texts(key, secret::ALLOWED)?;
        references.iter().map(|(place, reference)| self.resolve(place, key, reference)).collect()
    }

    /// What a reference refers to.
    pub(super) fn resolve(&self, place: &Place, key: &str, reference: &str) -> Option<SecretString> {
        match secret::resolve(reference, self.document.environment) {
            Ok(secret) => Some(secret),
            Err(why) => {
                self.wrong(place, key, &why);
                None
            }
        }
    }

    /// Refuses the keys that nobody asked for.
    pub(super) fn end(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            if !self.known.contains(&&**key.get_ref()) {
                let place = Place::Line(line_of(self.document.text, key.span().start));
                let meant = suggestion(key.get_ref(), self.known.iter().copied());
                let known = self.known.join(", ");
                self.wrong(&place, key.get_ref(), &format!("unknown key{meant}; known: {known}"));
            }
        }
    }
}

/// The line of a byte, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// `, did you mean …?` if one of `known` is near.
fn suggestion<'k>(typed: &str, known: impl Iterator<Item = &'k str>) -> String {
    /// Near enough: two letters swapped, one forgotten, another word of the same stem. Found by trying.
    const NEAR: f64 = 0.8;
    let scored = known.map(|name| (strsim::jaro_winkler(typed, name), name));
    let best = scored.filter(|(score, _)| *score > NEAR).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default()
}
