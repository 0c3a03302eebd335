//! The mistakes in a configuration. All of them are reported at once, in one line each.

use std::{cell::RefCell, fmt};

/// One mistake, with its place, what is allowed and how to fix it. It never contains a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ConfigMistake {
    /// The line of the file, counted from 1. It is `None` if the mistake is not in the file.
    pub line: Option<usize>,
    /// The whole message in one line, including the place.
    pub text: String,
}

/// All mistakes of a configuration: first those outside the file, then the others in the order of their lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigMistakes(Vec<ConfigMistake>);

impl ConfigMistakes {
    /// A single mistake that is not in the file.
    pub(super) fn one(text: String) -> Self {
        Self(vec![ConfigMistake { line: None, text }])
    }

    /// Iterates over the mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigMistake> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for ConfigMistakes {
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

impl std::error::Error for ConfigMistakes {}

/// Collects mistakes, so that reading can continue after each.
#[derive(Debug, Default)]
pub(super) struct Collector(RefCell<Vec<ConfigMistake>>);

impl Collector {
    /// Adds a mistake. Line breaks in `text`, which may quote the file, become spaces, so that each mistake stays one line.
    pub(super) fn add(&self, line: Option<usize>, text: &str) {
        let text = text.trim().replace(['\r', '\n'], " ");
        self.0.borrow_mut().push(ConfigMistake { line, text });
    }

    /// The collected mistakes in order.
    pub(super) fn into_mistakes(self) -> ConfigMistakes {
        let mut all = self.0.into_inner();
        all.sort();
        ConfigMistakes(all)
    }
}
