//! How full the data folder of the embedded store is: its filesystem, and its journal.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The space of a filesystem, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSpace {
    /// What this process may still write.
    pub free: u64,
    /// What files may occupy at all.
    pub size: u64,
}

/// The use of the embedded store's journal, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalUse {
    /// What the tree lacks of it. When it comes near `size`, appends are refused.
    pub used: u64,
    /// What it may hold.
    pub size: u64,
}

/// Both when they were last looked at. A collector and not gauges, because a node without a data folder must not show series that
/// say 0 bytes.
#[derive(Debug, Default)]
pub(super) struct FolderCollector(Mutex<Seen>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    space: Option<DiskSpace>,
    journal: Option<JournalUse>,
}

impl FolderCollector {
    pub(super) fn set_space(&self, space: DiskSpace) {
        self.seen().space = Some(space);
    }

    pub(super) fn set_journal(&self, journal: JournalUse) {
        self.seen().journal = Some(journal);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for FolderCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Seen { space, journal } = *self.seen();
        let space = space.map(|DiskSpace { free, size }| {
            [
                ("disk_free", "Free space of the filesystem that holds the data folder", free),
                ("disk_size", "Size of the filesystem that holds the data folder", size),
            ]
        });
        let journal = journal.map(|JournalUse { used, size }| {
            [
                ("journal_used", "What the tree of the embedded store lacks of its journal", used),
                ("journal_size", "What the journal of the embedded store may hold", size),
            ]
        });
        for (name, help, bytes) in [space, journal].into_iter().flatten().flatten() {
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        Ok(())
    }
}
