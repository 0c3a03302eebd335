//! Watches the filesystem of the data folder, so that operators hear of a disk that fills up before a write fails.
//!
//! It only looks and warns. Whether the node is ready is decided by the store, whose writes fail when the disk is full.

use crate::{
    metrics::{DiskSpace, Metrics},
    shutdown::Shutdown,
};
use rustix::fs::statvfs;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{task::spawn_blocking, time::sleep};

/// How often the filesystem is looked at. At 20,000 events of 600 bytes a second, 10 GiB last for a quarter of an hour.
const INTERVAL: Duration = Duration::from_secs(10);

/// The share of the filesystem below which its free space is low.
const LOW_SHARE: u64 = 10;

/// The most free space that counts as low, in bytes: a tenth of a large disk would be an alarm long before there is a danger.
const LOW_AT_MOST: u64 = 10 << 30;

/// Looks at the filesystem of `folder` until the shutdown.
pub(super) async fn watch(folder: PathBuf, metrics: Arc<Metrics>, shutdown: Shutdown) {
    let mut alarm = Alarm::default();
    loop {
        let path = folder.clone();
        match spawn_blocking(move || space(&path)).await {
            Ok(Ok(space)) => {
                metrics.disk(space);
                report(alarm.see(space), space, &folder);
            }
            Ok(Err(error)) => tracing::debug!(%error, "the free space of the disk is not known"),
            // The runtime is shutting down.
            Err(_) => return,
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = shutdown.stopped() => return,
        }
    }
}

/// Asks the operating system. The free space is what an ordinary user may still write.
fn space(folder: &Path) -> io::Result<DiskSpace> {
    let found = statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(DiskSpace { free: bytes(found.f_bavail), size: bytes(found.f_blocks) })
}

/// A change between enough free space and too little of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Crossing {
    /// The free space has become low.
    Low,
    /// There is enough free space again.
    Enough,
}

/// Remembers whether the free space is low, so that each change is reported once.
#[derive(Default)]
struct Alarm {
    is_low: bool,
}

impl Alarm {
    /// Takes the space that was seen, and returns the change to report. There is enough again only from a quarter above the
    /// threshold on, so that a disk about there is not reported each time.
    fn see(&mut self, DiskSpace { free, size }: DiskSpace) -> Option<Crossing> {
        let low = (size / LOW_SHARE).min(LOW_AT_MOST);
        let crossing = match self.is_low {
            false if free < low => Crossing::Low,
            true if free >= low + low / 4 => Crossing::Enough,
            _ => return None,
        };
        self.is_low = crossing == Crossing::Low;
        Some(crossing)
    }
}

fn report(crossing: Option<Crossing>, DiskSpace { free, size }: DiskSpace, folder: &Path) {
    let folder = folder.display();
    match crossing {
        Some(Crossing::Low) => tracing::warn!(
            %folder,
            free_bytes = free,
            size_bytes = size,
            "the disk of the data folder is almost full; when it is full, webhooks are answered with 503; make room, or shorten history"
        ),
        Some(Crossing::Enough) => {
            tracing::info!(%folder, free_bytes = free, size_bytes = size, "the disk of the data folder has enough room again");
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn each_crossing_is_reported_once() {
        let mut alarm = Alarm::default();
        let seen = [50, 11, 9, 5, 9, 11, 12, 9, 13, 50, 1].map(|free| {
            let size = 100 * GIB;
            alarm.see(DiskSpace { free: free * GIB, size })
        });
        let (low, enough) = (Some(Crossing::Low), Some(Crossing::Enough));
        assert_eq!(seen, [None, None, low, None, None, None, None, None, enough, None, low]);
    }

    #[test]
    fn low_is_a_tenth_and_at_most_ten_gibibytes() {
        for (free, size, is_low) in [
            (9 * GIB, 4000 * GIB, true),
            (11 * GIB, 4000 * GIB, false),
            (GIB / 2 + 1, 5 * GIB, false),
            (GIB / 2 - 1, 5 * GIB, true),
            (0, 100, true),
            (0, 0, false),
        ] {
            let seen = Alarm::default().see(DiskSpace { free, size });
            assert_eq!(seen == Some(Crossing::Low), is_low, "{free} of {size}");
        }
    }

    #[test]
    fn the_space_of_a_real_folder_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let DiskSpace { free, size } = space(folder.path()).unwrap();
        assert!(size > 0 && free <= size, "{free} of {size}");
        assert!(space(&folder.path().join("missing")).is_err());
    }
}
