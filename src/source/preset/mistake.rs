//! A mistake in a preset: the key that is wrong, and what is allowed there.

/// A mistake in a preset.
pub(in crate::source::preset) struct Mistake {
    /// The key that is wrong, such as `map[0].facts`.
    pub(in crate::source::preset) key: String,
    /// What is wrong with it, and what is allowed.
    pub(in crate::source::preset) reason: String,
}

/// A checked value, or the first mistake that was found in it.
pub(in crate::source::preset) type Checked<T> = Result<T, Mistake>;

/// Reports a mistake at this key.
pub(in crate::source::preset) fn mistake<T>(key: impl Into<String>, reason: impl ToString) -> Checked<T> {
    Err(Mistake { key: key.into(), reason: reason.to_string() })
}
