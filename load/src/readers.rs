//! What a workload wants of its readers.

/// How many streams may be opening at the same time, unless the workload is a storm.
const OPENING: usize = 256;

/// The number and the behaviour of the readers of a workload.
pub(crate) struct Readers {
    pub(crate) streams: usize,
    pub(crate) payments: usize,
    pub(crate) churn: f64,
    pub(crate) stalled: usize,
    pub(crate) slow: usize,
    /// How many streams may be opening at the same time, unless `--opening` says otherwise.
    pub(crate) opening: usize,
    /// Whether the readers tell the publisher of each delivery, because it posts the next event only then.
    pub(crate) tells_deliveries: bool,
}

impl Readers {
    /// Readers that read without delay, and open as clients do outside a storm.
    pub(crate) fn brisk(streams: usize, payments: usize) -> Self {
        Self { streams, payments, churn: 0.0, stalled: 0, slow: 0, opening: OPENING, tells_deliveries: false }
    }
}
