//! Mistakes in a configuration: all of them at once, one line each.

use std::{cell::RefCell, fmt};

/// One mistake: where, what is allowed, a remedy. Never a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mistake {
    /// The line of the file, counted from 1; none for what is not in the file.
    pub line: Option<usize>,
    /// The whole sentence, its place included; one line.
    pub text: String,
}

/// All mistakes of a configuration, in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn one(text: String) -> Self {
        Self(vec![Mistake { line: None, text }])
    }

    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&mistake.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Gathers mistakes while everything else is read on.
#[derive(Debug, Default)]
pub(super) struct Collector(RefCell<Vec<Mistake>>);

impl Collector {
    /// `text` may quote what was typed: a line break in it must not make two lines of one mistake.
    pub(super) fn add(&self, line: Option<usize>, text: &str) {
        let text = text.trim().replace(['\r', '\n'], " ");
        self.0.borrow_mut().push(Mistake { line, text });
    }

    pub(super) fn into_mistakes(self) -> Mistakes {
        let mut all = self.0.into_inner();
        all.sort();
        Mistakes(all)
    }
}
