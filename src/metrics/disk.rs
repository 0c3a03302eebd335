//! How full the filesystem is that the embedded store writes to.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// The space of a filesystem, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSpace {
    /// What this process may still write.
    pub free: u64,
    /// What files may occupy at all.
    pub size: u64,
}

/// The space when it was last looked at. A collector and not a gauge, because a node without a data folder must not show a series
/// that says 0 bytes.
#[derive(Debug, Default)]
pub(super) struct DiskCollector(Mutex<Option<DiskSpace>>);

impl DiskCollector {
    pub(super) fn set(&self, space: DiskSpace) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(space);
    }
}

impl Collector for DiskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(DiskSpace { free, size }) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Ok(());
        };
        for (name, help, bytes) in [
            ("disk_free", "Free space of the filesystem that holds the data folder", free),
            ("disk_size", "Size of the filesystem that holds the data folder", size),
        ] {
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        Ok(())
    }
}
