//! The streams that stay in HTTP, as operators find them: those of HTTP/2, and those of all payments of a realm. The others are asked for
//! at the threads that drive them.

use super::{
    inspect::{StreamFilter, StreamId, StreamInfo, StreamList},
    moment::Moment,
};
use crate::hub::{Bell, Ringer as _};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// All of them. A stream is known as long as whoever drives it holds its [`Resident`].
#[derive(Default)]
pub(super) struct Residents {
    known: Mutex<HashMap<u64, Weak<Resident>>>,
    next: AtomicU64,
}

/// One of them.
pub(super) struct Resident {
    /// As it was when it began.
    info: StreamInfo,
    began: Instant,
    /// How many events it is behind.
    lag: AtomicU64,
    /// Why an operator wants it to end.
    dismissed: OnceLock<Arc<str>>,
    bell: Arc<Bell>,
}

impl Residents {
    /// Adds a stream, which `bell` wakes.
    pub(super) fn add(&self, mut info: StreamInfo, bell: Arc<Bell>) -> Arc<Resident> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        info.id = StreamId::Http(number);
        let began = Instant::now();
        let (lag, dismissed) = (AtomicU64::new(info.lag), OnceLock::new());
        let resident = Arc::new(Resident { info, began, lag, dismissed, bell });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == known.capacity() {
            known.retain(|_, resident| resident.strong_count() > 0);
            // The next look at all of them comes after as many new ones as there are.
            let living = known.len();
            known.reserve(living);
        }
        known.insert(number, Arc::downgrade(&resident));
        resident
    }

    /// Lists those that are asked for.
    pub(super) fn list(&self, filter: &StreamFilter, limit: usize) -> StreamList {
        let mut list = StreamList::default();
        self.all().iter().map(|resident| resident.info()).filter(|info| filter.has(info)).for_each(|info| {
            list.add(info, limit);
        });
        list
    }

    /// Ends those that are asked for, and returns how many they are.
    pub(super) fn dismiss(&self, filter: &StreamFilter, why: &Arc<str>) -> usize {
        let mut count = 0;
        for resident in self.all().iter().filter(|resident| filter.has(&resident.info())) {
            if resident.dismissed.set(Arc::clone(why)).is_ok() {
                count += 1;
                resident.bell.ring(0);
            }
        }
        count
    }

    fn all(&self) -> Vec<Arc<Resident>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(Weak::upgrade).collect()
    }
}

impl Resident {
    /// Why it has to end, if an operator wants it to.
    pub(super) fn dismissed(&self) -> Option<&str> {
        self.dismissed.get().map(|why| &**why)
    }

    pub(super) fn note_lag(&self, lag: u64) {
        self.lag.store(lag, Ordering::Relaxed);
    }

    fn info(&self) -> StreamInfo {
        let age: Duration = self.began.elapsed();
        StreamInfo { age, lag: self.lag.load(Ordering::Relaxed), ..self.info.clone() }
    }
}

/// The longest of what clients may wait for after an operator has ended their stream: at least half a minute, so that they are not back
/// at once.
pub(super) fn pause_ms(at: &Moment<'_>) -> u64 {
    at.draw_retry_ms().max(rand::random_range(30_000..=60_000))
}
