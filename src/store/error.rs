//! Why a store could not do what it was asked to do.

/// The store could not do it. This is always a fault on our side, never the caller's, and worth another try later.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or did not answer in time.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What the store holds cannot be read.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// As many commands wait for the store as may wait.
    #[error("the store has too many appends waiting")]
    Overloaded,
    /// The source has [`MAX_PENDING`](super::MAX_PENDING) pending confirmations.
    #[error("the source has too many pending confirmations")]
    TooManyPending,
}
