//! `[[ignored]]`: checks its entries. Nothing is compiled, because they only document the preset.

use super::words::sentence;
use crate::source::{
    mapping::glob,
    preset::{
        mistake::{Checked, mistake},
        raw,
    },
};

/// Checks that each entry has a type and a reason, and that no type listed by its full name is mapped after all. Entries of
/// `map` with `when` do not count, because they may leave some events of a type unmapped.
pub(in crate::source::preset) fn ignored(ignored: &[raw::Ignored], map: &[raw::Map]) -> Checked<()> {
    for (i, entry) in ignored.iter().enumerate() {
        let key = format!("ignored[{i}]");
        if entry.kinds.is_empty() {
            return mistake(format!("{key}.type"), "at least one type is needed");
        }
        sentence(format!("{key}.why"), &entry.why)?;
        let mut names = entry.kinds.iter().filter(|kind| !kind.contains('*'));
        if let Some(name) = names.find(|name| is_mapped(name, map)) {
            return mistake(format!("{key}.type"), format!("`{name}` is mapped, not ignored"));
        }
    }
    Ok(())
}

fn is_mapped(name: &str, map: &[raw::Map]) -> bool {
    let mut patterns = map.iter().filter(|entry| entry.when.is_empty()).flat_map(|entry| &entry.kinds);
    patterns.any(|pattern| glob(pattern, name))
}
