//! A mistake in a preset: which key is wrong, and what is allowed there.

/// What is wrong, and where.
pub(in crate::source::preset) struct Mistake {
    pub(in crate::source::preset) key: String,
    pub(in crate::source::preset) reason: String,
}

/// What was checked, or the first mistake in it.
pub(in crate::source::preset) type Checked<T> = Result<T, Mistake>;

/// The mistake at this key.
pub(in crate::source::preset) fn mistake<T>(key: impl Into<String>, reason: impl ToString) -> Checked<T> {
    Err(Mistake { key: key.into(), reason: reason.to_string() })
}
