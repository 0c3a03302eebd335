//! What is wrong with a preset file.

/// What is wrong with a preset file: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {reason}")]
pub struct PresetError {
    /// The file, or the name of a built-in preset.
    pub file: String,
    /// The key in it.
    pub key: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}
