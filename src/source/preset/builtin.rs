//! The presets that are built into the program.

// `BUILT_IN` holds the name and the text of each built-in preset, sorted by name. The build script collects them, so that
// adding a provider is adding one file.
include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// Returns the names of the built-in presets, sorted.
pub fn presets() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Returns the text of the built-in preset of that name.
pub(super) fn text_of(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
