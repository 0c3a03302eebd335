//! The error of a preset file.

/// What is wrong with a preset file: the place, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {reason}")]
pub struct PresetError {
    /// The path of the file, or the name of a built-in preset.
    pub file: String,
    /// The key in the file, such as `map[0].facts`, or the line if the file is not valid TOML.
    pub key: String,
    /// What is wrong with the value, and what is allowed.
    pub reason: String,
}
