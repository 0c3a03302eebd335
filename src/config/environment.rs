//! The environment variables, as a value, so that tests can pass their own.

use std::{collections::BTreeMap, ffi::OsString};

/// The values of environment variables, by name.
pub type Environment = BTreeMap<String, String>;

/// The environment of this process. Bytes that are not Unicode become replacement characters, so that a name or value with them is
/// refused where it is used.
#[must_use]
pub fn environment() -> Environment {
    let text = |os: OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
