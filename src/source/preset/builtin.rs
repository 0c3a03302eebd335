//! The presets that come with the program.

// `BUILT_IN`: name and text of each preset that comes with the program, sorted. The build script collects them, so that
// a file in the folder is all that a provider needs.
include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// The names of the built-in presets, sorted.
pub fn presets() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The text of the built-in preset of that name.
pub(super) fn text_of(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
