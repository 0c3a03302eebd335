//! The buckets of histograms that several files have.

/// Upper bounds of the buckets for times inside the gateway, in seconds: from 0.1 ms to 10 s.
pub(super) const LATENCY_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
