//! What a diagnosis says.

/// Why a delivery was not verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Diagnosis {
    /// The code of the cause: lower-case letters, digits and underscores.
    pub(crate) cause: &'static str,
    /// What is wrong, and what to change. It holds no secret.
    pub(crate) change: String,
    /// Whether it is certain, because the delivery verifies without the mistake. Otherwise it is a guess from what can be seen.
    pub(crate) sure: bool,
}

/// A cause without which the delivery verifies.
pub(super) const fn sure(cause: &'static str, change: String) -> Diagnosis {
    Diagnosis { cause, change, sure: true }
}

/// A cause that is only seen.
pub(super) const fn guess(cause: &'static str, change: String) -> Diagnosis {
    Diagnosis { cause, change, sure: false }
}
