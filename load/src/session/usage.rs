//! The resources that processes have used.

use crate::{
    clock,
    pauses::Pauses,
    proc::{self, Process},
};

/// A moment, and what had been used until then: processor time of the server and of this tool, steal time, and pauses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) server_us: u64,
    pub(super) own_us: u64,
    pub(super) stolen_us: u64,
    pub(super) paused_us: u64,
    pub(super) at_us: u64,
}

impl Usage {
    /// The usage until now, by the processes of the server and of this tool.
    pub(super) fn now(server: &[u32], own: &[u32], pauses: &Pauses) -> Self {
        Self {
            server_us: cpu_us(server),
            own_us: cpu_us(own),
            stolen_us: proc::stolen_us(),
            paused_us: pauses.sum_us(),
            at_us: clock::now_us(),
        }
    }
}

/// The processor time of all processes; one that is gone counts as zero.
pub(super) fn cpu_us(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| proc::cpu_us(*pid).ok()).sum()
}

/// The sum of the samples of all processes; none if there are none or one is gone.
pub(super) fn sum(pids: &[u32]) -> Option<Process> {
    let mut sum = Process::default();
    for pid in pids {
        sum.add(&proc::process(*pid).ok()?);
    }
    (!pids.is_empty()).then_some(sum)
}
