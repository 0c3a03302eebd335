//! What the rounds measured, as a page.

use super::{kind::Kind, lane::Lane};
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// How one fault healed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heal {
    /// From the end of the fault until every webhook that was under way had been acknowledged.
    pub(super) taken: Duration,
    /// From the end of the fault until every stream showed all that the server holds.
    pub(super) shown: Duration,
    /// Acknowledged events that the durability allowed to lose, and that are lost.
    pub(super) gone: u64,
    /// Streams that were told so by a snapshot.
    pub(super) told: u64,
}

/// The figures of one cell, or of all.
#[derive(Default, Debug)]
pub(super) struct Figures {
    pub(super) heals: BTreeMap<Kind, Vec<Heal>>,
    payments: u64,
    streams: u64,
    messages: u64,
    posted: u64,
    acks: u64,
    deferred: u64,
    slowest_answer: Duration,
    /// Events that named a part of their payment alone.
    alone: u64,
    longest_wait: Duration,
}

impl Figures {
    /// Notes how long events waited for their payments after all webhooks were acknowledged.
    pub(super) fn waited(&mut self, wait: Duration) {
        self.longest_wait = self.longest_wait.max(wait);
    }

    /// Adds a lane that is done with, and was found without fault in every round.
    pub(super) fn take(&mut self, lane: &Lane) {
        let book = lane.provider.post.book();
        self.payments += 1;
        self.streams += lane.watchers.len() as u64;
        self.messages += lane.watchers.iter().map(|watcher| watcher.shows().messages).sum::<u64>();
        self.posted += book.posted;
        self.alone += book.alone;
        self.acks += book.acks;
        self.deferred += book.deferred;
        self.slowest_answer = self.slowest_answer.max(book.slowest_answer);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (kind, heals) in other.heals {
            self.heals.entry(kind).or_default().extend(heals);
        }
        self.payments += other.payments;
        self.streams += other.streams;
        self.messages += other.messages;
        self.posted += other.posted;
        self.alone += other.alone;
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.acks += other.acks;
        self.deferred += other.deferred;
        self.slowest_answer = self.slowest_answer.max(other.slowest_answer);
    }

    pub(super) fn faults(&self) -> usize {
        self.heals.values().map(Vec::len).sum()
    }

    /// A summary and a table. It is only written once every check has held.
    pub(super) fn page(&self, seed: u64) -> String {
        let Self {
            payments,
            streams,
            messages,
            posted,
            alone,
            acks,
            deferred,
            slowest_answer,
            longest_wait,
            ..
        } = self;
        let gone: u64 = self.heals.values().flatten().map(|heal| heal.gone).sum();
        let mut page = format!(
            "Seed {seed}: {faults} faults, {payments} payments, {streams} streams.\n\n\
             | | |\n|---|---|\n\
             | events posted | {posted} |\n\
             | those of them that named a part of their payment alone | {alone} |\n\
             | longest wait of such an event after all webhooks were acknowledged | {longest} s |\n\
             | acknowledgements, those of duplicates included | {acks} |\n\
             | answers that asked to come again (503) | {deferred} |\n\
             | slowest answer to a webhook | {slowest} s |\n\
             | messages read from streams | {messages} |\n\
             | events lost that the durability promised to keep | 0 |\n\
             | events lost that it did not promise to keep | {gone} |\n\
             | events twice in a log | 0 |\n\
             | updates lost, repeated or out of order on a stream | 0, 0, 0 |\n\n\
             | fault | times | webhooks taken again: median | worst | all streams right: median | worst | events gone | streams told |\n\
             |---|---|---|---|---|---|---|---|\n",
            faults = self.faults(),
            slowest = seconds(*slowest_answer),
            longest = seconds(*longest_wait),
        );
        for (kind, heals) in &self.heals {
            let sorted = |of: fn(&Heal) -> Duration| {
                let mut times: Vec<_> = heals.iter().map(of).collect();
                times.sort_unstable();
                (seconds(times[times.len() / 2]), seconds(times[times.len() - 1]))
            };
            let (taken, taken_worst) = sorted(|heal| heal.taken);
            let (shown, shown_worst) = sorted(|heal| heal.shown);
            let gone: u64 = heals.iter().map(|heal| heal.gone).sum();
            let told: u64 = heals.iter().map(|heal| heal.told).sum();
            let (what, times) = (kind.words(), heals.len());
            writeln!(
                page,
                "| {what} | {times} | {taken} | {taken_worst} | {shown} | {shown_worst} | {gone} | {told} |"
            )
            .unwrap();
        }
        page
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}
