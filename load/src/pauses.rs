//! Pauses of the machine: how long the host or the kernel kept a processor from every process.
//!
//! On each processor that the server or the tool may use, a thread of real-time priority wakes every half millisecond and records how late
//! it was. Nothing that is measured can delay that thread, so whatever delays it delays every process on that processor: a host that runs
//! another machine, or a thread of the kernel. The steal time in `/proc/stat` shows less, and in steps of 10 ms.

use crate::clock;
use anyhow::{Context as _, Result, ensure};
use rustix::{
    process::Pid,
    thread::{CpuSet, clock_nanosleep_absolute, gettid, sched_getaffinity, sched_setaffinity},
    time::{ClockId, Timespec},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, mem,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The length of the spans of which each is found quiet or not, in microseconds.
pub(crate) const SPAN_US: u64 = 5_000;

/// How often each thread wakes, in microseconds.
const PERIOD_US: u64 = 500;

/// Lateness up to this is normal for waking up, and is not counted as a pause.
const WAKING_US: u64 = 200;

/// How long the consequences of a pause may last, as a multiple of its length. A server that is busy four fifths of the time needs four
/// times the length of the pause to catch up, after the pause itself.
const SETTLING: u64 = 5;

/// What is known of the pauses at the end of a span. It can be sent to another process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Look {
    At {
        at_us: u64,
        /// See [`Pauses::while_quiet`].
        pauses: Option<u64>,
    },
    /// Nobody watches any more.
    Over,
}

/// The pauses that have been seen. The watching threads write it, and the readers and the session read it.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// The time of the last look at each processor; empty while nothing watches.
    looks: Mutex<Vec<Arc<AtomicU64>>>,
    count: AtomicU64,
    sum_us: AtomicU64,
    settled_us: AtomicU64,
    /// Looks for the readers of other processes, until the session passes them on.
    news: Mutex<Vec<Look>>,
}

impl Pauses {
    /// The number of pauses so far; none unless the machine is being watched, no pause is going on, and the consequences of the last one are
    /// over.
    pub(crate) fn while_quiet(&self, now_us: u64) -> Option<u64> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest_us = looks.iter().map(|look| look.load(Ordering::Relaxed)).min()?;
        let goes_on = oldest_us + PERIOD_US + WAKING_US < now_us;
        let is_quiet = !goes_on && self.settled_us.load(Ordering::Relaxed) <= now_us;
        is_quiet.then(|| self.count.load(Ordering::Relaxed))
    }

    /// What is known at this moment.
    pub(crate) fn look(&self, now_us: u64) -> Look {
        Look::At { at_us: now_us, pauses: self.while_quiet(now_us) }
    }

    /// Takes the looks that other processes have not been told of.
    pub(crate) fn take_news(&self) -> Vec<Look> {
        mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, look: Look) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(look);
    }

    /// The sum of all pauses over all processors, in microseconds.
    pub(crate) fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }

    /// Records that a look was `late_us` late.
    fn late(&self, late_us: u64, now_us: u64) {
        if late_us > WAKING_US {
            self.sum_us.fetch_add(late_us, Ordering::Relaxed);
            self.settled_us.fetch_max(now_us + SETTLING * late_us, Ordering::Relaxed);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The threads that watch. They end when it is dropped.
pub(crate) struct Watch {
    pauses: Arc<Pauses>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Whether other processes have to be told.
    tells: bool,
}

impl Watch {
    /// Watches the processors that these processes and this one may use. With `tells`, it keeps a look of each span for readers in other
    /// processes. Fails without the permission for real-time priority.
    pub(crate) fn begin(pauses: &Arc<Pauses>, pids: &[u32], tells: bool) -> Result<Self> {
        let mut watch =
            Self { pauses: Arc::clone(pauses), is_over: Arc::default(), threads: Vec::new(), tells };
        let mut looks = Vec::new();
        for processor in processors(pids)? {
            let (ready, is_ready) = mpsc::channel();
            let (pauses, is_over) = (Arc::clone(pauses), Arc::clone(&watch.is_over));
            let last = Arc::new(AtomicU64::new(clock::now_us()));
            looks.push(Arc::clone(&last));
            let thread = thread::Builder::new().name(format!("watch-{processor}"));
            watch.threads.push(thread.spawn(move || {
                let placed = place(processor);
                let begins = placed.is_ok();
                // The receiver waits for this, so sending does not fail.
                let _ = ready.send(placed);
                if begins {
                    look(&pauses, &last, &is_over);
                }
            })?);
            let placed = is_ready.recv().context("a thread that watches a processor failed")?;
            placed.with_context(|| format!("cannot watch processor {processor}"))?;
        }
        *pauses.looks.lock().unwrap_or_else(PoisonError::into_inner) = looks;
        if tells {
            let (pauses, is_over) = (Arc::clone(pauses), Arc::clone(&watch.is_over));
            let thread = thread::Builder::new().name("spans".to_owned());
            watch.threads.push(thread.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    thread::park_timeout(Duration::from_micros(SPAN_US));
                    pauses.tell(pauses.look(clock::now_us()));
                }
            })?);
        }
        Ok(watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.pauses.looks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to report.
            let _ = thread.join();
        }
        if self.tells {
            self.pauses.tell(Look::Over);
        }
    }
}

/// Processors that any thread of these processes, or this process, may use.
fn processors(pids: &[u32]) -> Result<Vec<usize>> {
    let mut all = vec![sched_getaffinity(None)?];
    for pid in pids {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"))
            .with_context(|| format!("cannot list the threads of process {pid}"))?;
        let names = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        // A thread may end between the listing and the call; it is then left out.
        all.extend(names.filter_map(|task| sched_getaffinity(Pid::from_raw(task)).ok()));
    }
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| all.iter().any(|set| set.is_set(*cpu))).collect())
}

/// Pins this thread to a processor and gives it real-time priority over all ordinary threads.
fn place(processor: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only)?;
    let own = gettid().as_raw_nonzero().to_string();
    let chrt = Command::new("chrt").args(["-f", "-p", "50", &own]).output();
    let chrt = chrt.context("cannot start chrt, which util-linux contains")?;
    let said = String::from_utf8_lossy(&chrt.stderr);
    ensure!(chrt.status.success(), "no real-time priority (CAP_SYS_NICE): {}", said.trim());
    Ok(())
}

fn look(pauses: &Pauses, last: &AtomicU64, is_over: &AtomicBool) {
    let mut due_us = clock::now_us() + PERIOD_US;
    while !is_over.load(Ordering::Relaxed) {
        let part = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let at = Timespec { tv_sec: part(due_us / 1_000_000), tv_nsec: part(due_us % 1_000_000 * 1_000) };
        // If the sleep is interrupted, the look is early, which counts as no lateness.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
        let now_us = clock::now_us();
        pauses.late(now_us.saturating_sub(due_us), now_us);
        last.store(now_us, Ordering::Relaxed);
        due_us = now_us.max(due_us) + PERIOD_US;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn quiet_is_after_a_pause_has_been_made_up_for_and_while_none_goes_on() {
        let pauses = Pauses::default();
        assert_eq!(pauses.while_quiet(0), None, "nobody watches");
        let looks = [1_000, 1_000].map(|us| Arc::new(AtomicU64::new(us)));
        *pauses.looks.lock().unwrap() = looks.to_vec();
        pauses.late(WAKING_US, 1_000);
        assert_eq!((pauses.while_quiet(1_700), pauses.while_quiet(1_701)), (Some(0), None));
        // One processor was looked at again; the other was not.
        looks[0].store(3_000, Ordering::Relaxed);
        assert_eq!(pauses.while_quiet(3_000), None);
        looks[1].store(3_000, Ordering::Relaxed);
        pauses.late(300, 3_000);
        looks.iter().for_each(|look| look.store(5_000, Ordering::Relaxed));
        assert_eq!((pauses.while_quiet(4_499), pauses.while_quiet(4_500)), (None, Some(1)));
        assert_eq!(pauses.sum_us(), 300);
    }

    #[test]
    fn a_pause_is_seen_while_somebody_watches() {
        let pauses = Arc::<Pauses>::default();
        let own = std::process::id();
        let watch = match Watch::begin(&pauses, &[own], true) {
            Ok(watch) => watch,
            // Without the permission nothing watches, and the report says why.
            Err(why) => {
                assert!(format!("{why:#}").contains("no real-time priority"), "{why:#}");
                assert_eq!(pauses.while_quiet(clock::now_us()), None);
                return;
            }
        };
        // To a process, being stopped looks like a host that runs another machine.
        let stop = format!("kill -STOP {own}; sleep 0.1; kill -CONT {own}");
        assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
        let begun = Instant::now();
        while pauses.sum_us() < 90_000 {
            assert!(begun.elapsed() < Duration::from_secs(10), "{pauses:?}");
            thread::yield_now();
        }
        drop(watch);
        assert_eq!(pauses.while_quiet(clock::now_us()), None);
        let told = pauses.take_news();
        assert!(
            matches!(told.first(), Some(Look::At { .. })) && matches!(told.last(), Some(Look::Over)),
            "{told:?}"
        );
        assert!(pauses.take_news().is_empty());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(processors(&[u32::MAX >> 1]).is_err());
    }
}
