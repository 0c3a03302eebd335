//! Reads the parameters of queries whose filters must not be ignored: one that is not known, or whose value is not understood, is refused
//! with what is allowed, since an answer that ignores a filter looks as if it had been obeyed.

use super::{asked::Asked, problem::Problem};

/// Values that a parameter may have in one request, so that a filter is not a work of its own.
const MAX_VALUES: usize = 64;

/// What is allowed as a time.
pub(super) const TIME: &str = "a time as in RFC 3339, such as 2026-11-30T17:00:00Z";

/// Refuses parameters that are not among these.
pub(super) fn known_only<'a>(
    asked: &Asked,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), Problem> {
    if asked.names().all(|name| known.clone().any(|known| known == name)) {
        return Ok(());
    }
    let all: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    Err(bad_parameter(format!("the query has an unknown parameter; allowed: {}", all.join(", "))))
}

/// Reads all values of a parameter that may be repeated.
pub(super) fn several<T, E>(
    asked: &Asked,
    name: &str,
    allowed: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Problem> {
    if asked.parameters(name).nth(MAX_VALUES).is_some() {
        return Err(bad_parameter(format!("`{name}` can be given at most {MAX_VALUES} times")));
    }
    asked.parameters(name).map(|text| read(text).map_err(|_| bad_value(name, allowed))).collect()
}

/// Reads a parameter that may be given once.
pub(super) fn one<T, E>(
    asked: &Asked,
    name: &str,
    allowed: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Problem> {
    let mut given = asked.parameters(name);
    let first = given.next();
    if given.next().is_some() {
        return Err(bad_parameter(format!("`{name}` can be given once")));
    }
    first.map(|text| read(text).map_err(|_| bad_value(name, allowed))).transpose()
}

fn bad_value(name: &str, allowed: &str) -> Problem {
    bad_parameter(format!("the value of `{name}` is not understood; allowed: {allowed}"))
}

fn bad_parameter(detail: String) -> Problem {
    Problem::bad_request("bad_parameter", detail)
}
