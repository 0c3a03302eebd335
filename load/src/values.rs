//! Parsers of numbers of the command line. A number that makes no sense is refused before a run begins.

use anyhow::{Result, ensure};

/// Parses a number of things of which a run needs at least one.
pub(crate) fn at_least_one(text: &str) -> Result<usize> {
    let number = text.parse()?;
    ensure!(number > 0, "at least 1 is needed");
    Ok(number)
}

/// Parses a time in seconds.
pub(crate) fn seconds(text: &str) -> Result<f64> {
    let seconds = text.parse()?;
    ensure!((0.0..=1e6).contains(&seconds), "not a number of seconds from 0 to a million");
    Ok(seconds)
}

/// Parses a figure above nothing.
pub(crate) fn positive(text: &str) -> Result<f64> {
    let figure = text.parse()?;
    ensure!(figure > 0.0 && figure <= 1e12, "not a number above 0");
    Ok(figure)
}

/// Parses a rate per second.
pub(crate) fn per_second(text: &str) -> Result<f64> {
    let rate = text.parse()?;
    ensure!((0.0..=1e6).contains(&rate), "not a number per second from 0 to a million");
    Ok(rate)
}
