//! Why a verified payload, or a provider's answer, was not understood.

/// A reason code, and the place in the payload where something else was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// The reason code, such as `missing_payment`.
    pub code: &'static str,
    /// The JSON pointer or other place, as the preset spells it.
    pub at: String,
}

/// An error with this code, about this place.
pub(crate) fn unclear<T>(code: &'static str, at: impl ToString) -> Result<T, Unclear> {
    Err(Unclear { code, at: at.to_string() })
}
