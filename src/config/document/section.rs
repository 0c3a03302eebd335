//! Reads the keys of one table, one by one. Each method parses one kind of value, and reports a mistake if the value is of another kind.

use super::{Given, Location, Section, TextOrTable, absolute, line_of, override_of, suggestion};
use crate::{config::duration, payment::Time};
use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{Spanned, de::DeValue};

impl<'d> Section<'d> {
    /// The table `[section.key]`, if there is one.
    pub(in crate::config) fn section(&mut self, key: &'static str) -> Option<Section<'d>> {
        self.known.push(key);
        let value = self.table?.get(key)?;
        let line = line_of(self.document.text, value.span().start);
        let label = format!("[{}.{key}]", self.label.trim_matches(['[', ']']));
        let Some(table) = value.get_ref().as_table() else {
            self.document.report(&Location::Line(line), &format!("{label}: the value must be a table"));
            return None;
        };
        let (document, line, table) = (self.document, Some(line), Some(table));
        let resolves_secrets = self.resolves_secrets;
        Some(Section { document, label, name: None, line, table, known: Vec::new(), resolves_secrets })
    }

    /// The tables `[[section.key]]`.
    pub(in crate::config) fn sections(&mut self, key: &'static str) -> Vec<Section<'d>> {
        self.known.push(key);
        let label = format!("[[{}.{key}]]", self.label.trim_matches(['[', ']']));
        self.document.tables(self.table.and_then(|table| table.get(key)), &label)
    }

    /// The value of `key` as it was written: the override if there is one, otherwise the value in the file.
    fn given(&mut self, key: &'static str, overridable: bool) -> Option<(Location, Given<'d>)> {
        self.known.push(key);
        if let Some(section) = self.name.filter(|_| overridable) {
            let name = override_of(section, key);
            self.document.overridable.borrow_mut().insert(name.clone());
            if let Some(value) = self.document.environment.get(&name) {
                self.document.used.borrow_mut().insert(name.clone());
                return Some((Location::Variable(name), Given::Variable(value)));
            }
        }
        let value = self.table?.get(key)?;
        Some((Location::Line(line_of(self.document.text, value.span().start)), Given::Toml(value.get_ref())))
    }

    /// Reports a mistake in the value of `key`.
    pub(in crate::config) fn wrong(&self, place: &Location, key: &str, message: &str) {
        self.document.report(place, &format!("{} {key}: {message}", self.label));
    }

    /// The place of `key` in the file, or where the section begins if the file does not have the key.
    pub(in crate::config) fn place(&self, key: &str) -> Location {
        let value = self.table.and_then(|table| table.get(key));
        let line = value.map(|value| line_of(self.document.text, value.span().start)).or(self.line);
        Location::Line(line.unwrap_or(1))
    }

    /// A text, with its place.
    pub(in crate::config) fn text(&mut self, key: &'static str, allowed: &str) -> Option<(Location, String)> {
        let (place, given) = self.given(key, true)?;
        let text = match given {
            Given::Variable(text) => Some(text),
            Given::Toml(value) => value.as_str(),
        };
        if text.is_none() {
            self.wrong(&place, key, &format!("the value must be a text in quotes; allowed: {allowed}"));
        }
        text.map(|text| (place, text.to_owned()))
    }

    /// A text that `read` parses. Its error completes a sentence that begins with the text.
    pub(in crate::config) fn parsed<T, E: Display>(
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

    /// The path of a file or folder, absolute.
    pub(in crate::config) fn path(&mut self, key: &'static str, allowed: &str) -> Option<PathBuf> {
        let (place, text) = self.text(key, allowed)?;
        if text.is_empty() {
            self.wrong(&place, key, &format!("the value is empty; allowed: {allowed}"));
            return None;
        }
        Some(self.document.absolute(&place, Path::new(&text)))
    }

    /// The absolute form of a path that is relative to the folder of the file, as a default is.
    pub(in crate::config) fn beside_file(&self, path: &Path) -> PathBuf {
        absolute(self.document.folder.join(path))
    }

    /// Like [`Section::parsed`], but a missing key is a mistake.
    pub(in crate::config) fn required<T, E: Display>(
        &mut self,
        key: &'static str,
        allowed: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.parsed(key, allowed, read);
        if !self.has(key) {
            self.wrong(&self.place(key), key, &format!("this key is missing; allowed: {allowed}"));
        }
        value
    }

    /// Whether the file has `key`, whether its value is valid or not.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the file or the environment has `key`, whether its value is valid or not.
    pub(in crate::config) fn is_given(&self, key: &str) -> bool {
        let overrides = |section| self.document.environment.contains_key(&override_of(section, key));
        self.has(key) || self.name.is_some_and(overrides)
    }

    /// A duration within `range`.
    pub(in crate::config) fn duration(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let bounds = format!("{} to {}", duration::show(*range.start()), duration::show(*range.end()));
        self.parsed(
            key,
            &format!("{bounds}, written as {}", duration::ALLOWED),
            |text| match duration::parse(text) {
                Err(_) => Err("is not a duration"),
                Ok(span) if !range.contains(&span) => Err("is out of range"),
                Ok(span) => Ok(span),
            },
        )
    }

    /// A whole number within `range`.
    pub(in crate::config) fn number(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u64>,
    ) -> Option<u64> {
        let (place, given) = self.given(key, true)?;
        let (shown, number) = match given {
            Given::Variable(text) => (format!("{text:?}"), text.parse().ok()),
            Given::Toml(value) => match value.as_integer() {
                Some(integer) => {
                    let digits = integer.as_str();
                    (digits.to_owned(), u64::from_str_radix(digits, integer.radix()).ok())
                }
                None => (format!("a value of type {}", value.type_str()), None),
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
    pub(in crate::config) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let (place, given) = self.given(key, true)?;
        let flag = match given {
            Given::Variable(text) => text.parse().ok(),
            Given::Toml(value) => value.as_bool(),
        };
        if flag.is_none() {
            self.wrong(&place, key, "the value must be true or false, without quotes");
        }
        flag
    }

    /// A list of texts, each with its place.
    pub(in crate::config) fn texts(
        &mut self,
        key: &'static str,
        allowed: &str,
    ) -> Option<Vec<(Location, String)>> {
        let (place, given) = self.given(key, false)?;
        let Given::Toml(value) = given else { return None };
        let Some(array) = value.as_array() else {
            self.wrong(
                &place,
                key,
                &format!("the value must be a list in square brackets; allowed: {allowed}"),
            );
            return None;
        };
        let mut texts = Vec::new();
        for item in array {
            let place = Location::Line(line_of(self.document.text, item.span().start));
            match item.get_ref().as_str() {
                Some(text) => texts.push((place, text.to_owned())),
                None => self.wrong(
                    &place,
                    key,
                    &format!("the list may only contain texts in quotes; allowed: {allowed}"),
                ),
            }
        }
        Some(texts)
    }

    /// A point in time, as TOML writes it or as a text (RFC 3339, with an offset).
    pub(in crate::config) fn moment(&mut self, key: &'static str) -> Option<Time> {
        let (place, given) = self.given(key, false)?;
        let text = match given {
            Given::Variable(text) => text.to_owned(),
            Given::Toml(value) => match value.as_str() {
                Some(text) => text.to_owned(),
                None => value.as_datetime().map(ToString::to_string).unwrap_or_default(),
            },
        };
        let time = text.parse().ok();
        if time.is_none() {
            let message =
                "the value must be a date and time with an offset; allowed: e.g. 2026-12-24T18:00:00Z";
            self.wrong(&place, key, message);
        }
        time
    }

    /// A list of texts and tables, each with its place.
    pub(in crate::config) fn texts_and_tables(
        &mut self,
        key: &'static str,
        allowed: &str,
    ) -> Option<Vec<(Location, TextOrTable<'d>)>> {
        let (place, given) = self.given(key, false)?;
        let Given::Toml(value) = given else { return None };
        let Some(array) = value.as_array() else {
            let message = format!("the value must be a list in square brackets; allowed: {allowed}");
            self.wrong(&place, key, &message);
            return None;
        };
        let mut items = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let line = line_of(self.document.text, item.span().start);
            let place = Location::Line(line);
            let label = format!("{} {key}[{index}]", self.label);
            match (item.get_ref().as_str(), item.get_ref().as_table()) {
                (Some(text), _) => items.push((place, TextOrTable::Text(text.to_owned()))),
                (None, Some(table)) => {
                    let (document, resolves_secrets) = (self.document, self.resolves_secrets);
                    let (line, table, known) = (Some(line), Some(table), Vec::new());
                    let table = Section { document, label, name: None, line, table, known, resolves_secrets };
                    items.push((place, TextOrTable::Table(table)));
                }
                (None, None) => {
                    let message =
                        format!("the list may only contain texts in quotes and tables; allowed: {allowed}");
                    self.wrong(&place, key, &message);
                }
            }
        }
        Some(items)
    }

    /// A table of texts by name. It is empty if the file does not have the key.
    pub(in crate::config) fn words(
        &mut self,
        key: &'static str,
        allowed: &str,
    ) -> Option<BTreeMap<String, String>> {
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
            self.wrong(
                &place,
                key,
                &format!("the value must be a table of texts in quotes; allowed: {allowed}"),
            );
        }
        words
    }

    /// Reports the keys that were not asked for.
    pub(in crate::config) fn end(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            if !self.known.contains(&&**key.get_ref()) {
                let place = Location::Line(line_of(self.document.text, key.span().start));
                let meant = suggestion(key.get_ref(), self.known.iter().copied());
                let known = self.known.join(", ");
                self.wrong(
                    &place,
                    key.get_ref(),
                    &format!("this key is unknown{meant}; the known keys are: {known}"),
                );
            }
        }
    }
}
