//! Several rates one after the other, each with figures of its own, and the server's processes by what they are.

use super::{Session, usage};
use crate::{
    clock,
    poster::Task,
    report::{Part, Step, THIS_TOOL, as_f64},
};
use anyhow::Result;

impl Session {
    /// Names the kinds of the server's processes, whose processor time and memory are then told apart.
    pub(crate) fn name_parts(&mut self, parts: Vec<(String, Vec<u32>)>) {
        self.parts = parts;
    }

    /// The kinds of processes, this tool's among them.
    fn all_parts(&self) -> impl Iterator<Item = (String, Vec<u32>)> {
        self.parts.iter().cloned().chain([(THIS_TOOL.to_owned(), self.team.pids())])
    }

    /// Runs a task of the publisher, waits for all deliveries, and keeps the figures of this rate apart. Returns how
    /// many events were posted; none if some did not arrive.
    pub(crate) fn step(&mut self, rate: f64, task: Task, accepted: &mut Vec<u32>) -> Result<Option<usize>> {
        let cpu =
            |session: &Self| session.all_parts().map(|(_, pids)| usage::cpu_us(&pids)).collect::<Vec<_>>();
        let (from_us, before) = (clock::now_us(), cpu(self));
        let (posted, deliveries) = (std::mem::take(&mut self.report.posted), self.earlier.deliveries);
        self.post(task, accepted)?;
        let us = (clock::now_us() - from_us).max(1);
        let used = cpu(self).into_iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        let shares = self.all_parts().zip(used).map(|((name, _), used)| (name, as_f64(used) / as_f64(us)));
        let shares = shares.collect();
        let is_complete = self.settle(accepted)?;
        let seen = self.team.seen()?;
        self.report.steps.push(Step {
            rate,
            posted: self.report.posted.clone(),
            deliveries: seen.deliveries - deliveries,
            latency: seen.latency.clone(),
            undisturbed: seen.undisturbed.clone(),
            missing: self.report.missing,
            shares,
        });
        self.earlier.deliveries = seen.deliveries;
        self.earlier.add_times(&seen);
        self.forget_times()?;
        let step = std::mem::replace(&mut self.report.posted, posted);
        self.report.posted.add(&step);
        let posted = usize::try_from(step.sent)?;
        Ok(is_complete.then_some(posted))
    }

    /// What the processes use now, by what they are.
    pub(super) fn parts_now(&self) -> Vec<Part> {
        if self.parts.is_empty() {
            return Vec::new();
        }
        let part = |(name, pids): (String, Vec<u32>)| {
            let used = usage::sum(&pids).unwrap_or_default();
            Part { name, processes: pids.len(), used }
        };
        self.all_parts().map(part).collect()
    }
}
