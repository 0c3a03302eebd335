//! What a workload wants of its readers.

/// Streams that may be opening at once where nobody asks for a storm.
const OPENING: usize = 256;

/// What a workload wants of its readers.
pub(crate) struct Readers {
    pub(crate) streams: usize,
    pub(crate) payments: usize,
    pub(crate) churn: f64,
    pub(crate) stalled: usize,
    pub(crate) slow: usize,
    /// Streams that may be opening at once, unless the command line says otherwise.
    pub(crate) opening: usize,
    /// Events are posted as others have been delivered, so readers and publisher have to talk.
    pub(crate) tells_deliveries: bool,
}

impl Readers {
    /// Readers that all read as fast as they can, and open as clients do that nobody hurries.
    pub(crate) fn brisk(streams: usize, payments: usize) -> Self {
        Self { streams, payments, churn: 0.0, stalled: 0, slow: 0, opening: OPENING, tells_deliveries: false }
    }
}
