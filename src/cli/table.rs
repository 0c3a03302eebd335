//! Tables for people: columns as wide as their longest cell.

use super::output;
use serde_json::Value;
use std::io;

/// A table, whose last column ends where its text ends.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these titles and no rows.
    pub(super) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Writes the table to standard output.
    pub(super) fn print(&self) -> io::Result<()> {
        self.lines().iter().try_for_each(|line| output::say(line))
    }

    fn lines(&self) -> Vec<String> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            for (place, cell) in row.iter().enumerate() {
                let width = cell.chars().count();
                match widths.get_mut(place) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// A member of an object as one word: a text as it is, nothing for what is missing.
pub(super) fn word(object: &Value, key: &str) -> String {
    match object.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut table = Table::new(&["A", "LONG", "C"]);
        let object = json!({ "a": "wörter", "number": 7, "nothing": null });
        table.row(["a", "nothing", "number"].map(|key| word(&object, key)));
        table.row([String::new(), "x".to_owned(), word(&object, "missing")]);
        assert_eq!(table.lines(), ["A       LONG  C", "wörter        7", "        x"]);
    }
}
