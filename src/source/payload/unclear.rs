//! The reason why a verified payload, or a provider's answer, is not understood.

/// Why a payload is not understood: a reason code, and the place in the payload that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// The reason code, such as `missing_payment`.
    pub code: &'static str,
    /// The JSON pointer or other place, as the preset spells it.
    pub at: String,
}

/// Fails with this code, about this place.
pub(crate) fn unclear<T>(code: &'static str, at: impl ToString) -> Result<T, Unclear> {
    Err(Unclear { code, at: at.to_string() })
}
