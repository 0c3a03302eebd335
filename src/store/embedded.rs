//! Placeholder.
#![allow(missing_docs)]
use std::{path::PathBuf, time::Duration};
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    pub path: PathBuf,
    pub history: Duration,
}
