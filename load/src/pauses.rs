//! Pauses of the machine: how long host or kernel kept a processor from everybody.
//!
//! On each processor that server or tool may use, a thread of real-time priority wakes every half millisecond and tells by
//! how much it was late. Nothing that is measured can hold it up, so that whatever does, holds up all alike: a host that ran
//! another machine, a thread of the kernel. What a host owns up to in `/proc/stat` is less, and comes in steps of 10 ms.

use crate::clock;
use anyhow::{Context as _, Result, ensure};
use rustix::{
    process::Pid,
    thread::{CpuSet, clock_nanosleep_absolute, gettid, sched_getaffinity, sched_setaffinity},
    time::{ClockId, Timespec},
};
use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

/// How often each processor is looked at, in microseconds; rarer on machines of more than four, so that looking stays cheap.
const PERIOD_US: u64 = 500;

/// Lateness up to here is what waking takes.
const WAKING_US: u64 = 200;

/// What has been seen, for all to read.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    watched: AtomicBool,
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Pauses {
    /// Pauses so far, if somebody watches.
    pub(crate) fn count(&self) -> Option<u64> {
        self.watched.load(Ordering::Relaxed).then(|| self.count.load(Ordering::Relaxed))
    }

    /// Their sum over all processors, in microseconds.
    pub(crate) fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }

    fn saw(&self, late_us: u64) {
        self.sum_us.fetch_add(late_us, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Watches until it is dropped.
pub(crate) struct Watch {
    pauses: Arc<Pauses>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Watches the processors that these processes and this one may use. Fails without leave for real-time priority.
    pub(crate) fn begin(pauses: &Arc<Pauses>, pids: &[u32]) -> Result<Self> {
        let processors = processors(pids)?;
        let period_us = PERIOD_US * processors.len().div_ceil(4) as u64;
        pauses.watched.store(true, Ordering::Relaxed);
        let mut watch = Self { pauses: Arc::clone(pauses), threads: Vec::new() };
        for processor in processors {
            let (ready, is_ready) = mpsc::channel();
            let pauses = Arc::clone(pauses);
            let thread = thread::Builder::new().name(format!("watch-{processor}"));
            watch.threads.push(thread.spawn(move || {
                let placed = place(processor);
                let begins = placed.is_ok();
                // The other end waits for it.
                let _ = ready.send(placed);
                if begins {
                    look(&pauses, period_us);
                }
            })?);
            is_ready.recv().context("a watching thread failed")??;
        }
        Ok(watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.pauses.watched.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that failed has nothing more to tell.
            let _ = thread.join();
        }
    }
}

fn processors(pids: &[u32]) -> Result<Vec<usize>> {
    let mut all = vec![sched_getaffinity(None)?];
    for pid in pids {
        let pid = Pid::from_raw(pid.cast_signed()).context("no process id")?;
        all.push(sched_getaffinity(Some(pid))?);
    }
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| all.iter().any(|set| set.is_set(*cpu))).collect())
}

/// Gives this thread a processor, and precedence over all that is not of the kernel's own urgency.
fn place(processor: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only)?;
    let own = gettid().as_raw_nonzero().to_string();
    let chrt = Command::new("chrt")
        .args(["--fifo", "--pid", "50", &own])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("chrt, of util-linux, is needed")?;
    ensure!(chrt.success(), "real-time priority is not allowed (CAP_SYS_NICE)");
    Ok(())
}

fn look(pauses: &Pauses, period_us: u64) {
    let mut due_us = clock::now_us() + period_us;
    while pauses.watched.load(Ordering::Relaxed) {
        let part = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let at = Timespec { tv_sec: part(due_us / 1_000_000), tv_nsec: part(due_us % 1_000_000 * 1_000) };
        // An interrupted sleep is a look before its time.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
        let now_us = clock::now_us();
        let late_us = now_us.saturating_sub(due_us);
        if late_us > WAKING_US {
            pauses.saw(late_us);
        }
        due_us = now_us.max(due_us) + period_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seen_while_somebody_watches() {
        let pauses = Arc::<Pauses>::default();
        assert_eq!(pauses.count(), None, "nobody watches");
        let own = std::process::id();
        let Ok(watch) = Watch::begin(&pauses, &[own]) else {
            // Without leave nobody does.
            assert!(!rustix::process::geteuid().is_root());
            assert_eq!(pauses.count(), None);
            return;
        };
        // What looks to a process like a host that runs another machine.
        let stop = format!("kill -STOP {own}; sleep 0.1; kill -CONT {own}");
        assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
        while pauses.sum_us() < 90_000 {
            thread::yield_now();
        }
        assert!(pauses.count().unwrap() > 0);
        drop(watch);
        assert_eq!(pauses.count(), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(processors(&[u32::MAX >> 1]).is_err());
    }
}
