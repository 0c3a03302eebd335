//! The table of events that the built-in presets know and leave without effect, in Markdown, for people.

use super::{
    builtin::{presets, text_of},
    load::whole,
    raw,
};

/// Returns one row for each `[[ignored]]` entry of the built-in presets, and for each entry of their `[[map]]` that keeps events
/// as notes and says why. The columns are: preset, event types, what they are kept as, why.
#[must_use]
pub fn ignored_table() -> String {
    let head = "| preset | event types | kept as | why |\n|---|---|---|---|\n".to_owned();
    presets().fold(head, |table, name| table + &rows(name))
}

/// Returns the rows of a preset. A preset that cannot be parsed has no row; a test shows that all built-in ones can.
fn rows(name: &str) -> String {
    let Some(Ok(preset)) = text_of(name).map(whole) else { return String::new() };
    let row = |kinds: &[String], kept: &str, why: &str| {
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
        format!("| `{name}` | {} | {kept} | {why} |\n", kinds.join(", "))
    };
    let ignored = preset.ignored.iter().map(|entry| row(&entry.kinds, "ignored", &entry.why));
    let noted = |entry: &raw::Map| Some(row(&entry.kinds, "note", entry.why.as_deref()?));
    ignored.chain(preset.map.iter().filter_map(noted)).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::table::tests::stands_in, *};
    use crate::source::preset::raw::FactKind;

    #[test]
    fn the_page_of_ignored_events_has_the_table() {
        stands_in(
            "docs/src/providers/ignored-events.md",
            "<!-- ignored: `paystream check --ignored` -->\n",
            &ignored_table(),
        );
    }

    #[test]
    fn every_preset_with_a_mapping_says_which_events_have_no_effect_and_why() {
        for name in presets() {
            let preset = whole(text_of(name).unwrap()).ok().unwrap();
            let mut notes =
                preset.map.iter().filter(|entry| entry.facts.iter().all(|fact| fact.fact == FactKind::Note));
            let is_explained = !rows(name).is_empty() && notes.all(|entry| entry.why.is_some());
            assert_eq!(is_explained, !preset.map.is_empty(), "{name}");
        }
    }
}
