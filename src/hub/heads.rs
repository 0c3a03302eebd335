//! Heads: what the hub does at every tick. It compares the heads of all partitions with the notices, since no later notice
//! shows that the last one of a quiet payment was lost.

use super::{Hub, TICK, locks::lock};
use crate::{
    metrics::HealCause,
    payment::{PARTITIONS, PartitionSet},
    store::{Head, StoreError},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::MissedTickBehavior;

/// A head that is ahead of the notices is compared again after this time; if it still is ahead, its notice was lost. So the
/// last event of a quiet payment is found within one and a half ticks, half a second before the promised two seconds are over.
const SECOND_LOOK: Duration = Duration::from_millis(500);

impl Hub {
    /// Cools topics and compares the heads, at every tick.
    pub(super) async fn tick(self: &Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = vec![Head::default(); PARTITIONS];
        loop {
            tick.tick().await;
            self.cool();
            if self.compare_heads(&mut before).await {
                tokio::time::sleep(SECOND_LOOK).await;
                self.compare_heads(&mut before).await;
            }
        }
    }

    /// Compares the heads with the notices. If the hub has not reached a head of the comparison `before`, that head's notice
    /// was lost. If a head lies behind what the hub knew when it asked, the store was rolled back. Returns whether a head is
    /// ahead for the first time: its notice is on its way, or lost.
    async fn compare_heads(self: &Arc<Self>, before: &mut Vec<Head>) -> bool {
        let known: Vec<_> = self.partitions.iter().map(|partition| lock(partition).last()).collect();
        let heads = match self.store.heads().await {
            Ok(heads) => heads,
            Err(error) => {
                self.set_stale(PartitionSet::ALL, Some(&error));
                return false;
            }
        };
        let (mut misses_notices, mut ahead, mut stale) = (false, false, PartitionSet::NONE);
        for (index, ((head, known), missed)) in (0_u8..=u8::MAX).zip(heads.iter().zip(&known).zip(&*before)) {
            let Some(head) = head else {
                stale.insert(index);
                continue;
            };
            let is_back = head.pos < known.pos || (head.pos == known.pos && head.tag != known.tag);
            let last = self.partition(index).last();
            // If the head was rolled back since then, its notice is not missing.
            let stands = missed.pos < head.pos || missed == head;
            if stands && missed.pos > last.pos {
                misses_notices = true;
                self.store.missed(index, missed.pos);
                self.heal(index, HealCause::Deaf);
            } else if is_back {
                self.heal(index, HealCause::RolledBack);
            } else {
                ahead |= head.pos > last.pos;
            }
        }
        for (before, head) in before.iter_mut().zip(heads) {
            *before = head.unwrap_or(*before);
        }
        self.misses_notices.store(misses_notices, Ordering::Relaxed);
        self.set_stale(stale, None);
        ahead
    }

    fn set_stale(&self, stale: PartitionSet, error: Option<&StoreError>) {
        let before = std::mem::replace(&mut *lock(&self.stale), stale);
        let changed = before.without(stale).with(stale.without(before));
        if changed.is_empty() {
            return;
        }
        match (error, stale.len()) {
            (Some(error), _) => {
                tracing::error!(%error, "the store does not answer; open streams say that they are stale");
            }
            (None, 0) => tracing::info!("the store answers again"),
            (None, partitions) => {
                tracing::error!(
                    partitions,
                    "a part of the store does not answer; the streams of its partitions say that they are stale"
                );
            }
        }
        self.ring(changed);
    }
}
