//! Writes once a second what was noted for receipts. What the store does not take is dropped and counted: nothing waits for receipts.

use crate::{
    metrics::{Metrics, ReceiptDrop},
    receipts::{Gathered, ReceiptBatch, ReceiptLines, ReceiptNotes, gather},
    shutdown::Shutdown,
    store::Store,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// How often it is written.
const EVERY: Duration = Duration::from_secs(1);

/// The longest name of a host.
const MAX_HOST: usize = 64;

/// Writes until the shutdown, and once more then.
pub(super) async fn run(
    mut notes: ReceiptNotes,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    let node = node();
    let mut tick = interval(EVERY);
    // A store that is slow is asked less often.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_over = tokio::select! {
            _ = tick.tick() => false,
            () = shutdown.stopped() => true,
        };
        write(&mut notes, &node, &*store, &metrics).await;
        if is_over {
            return;
        }
    }
}

async fn write(notes: &mut ReceiptNotes, node: &str, store: &dyn Store, metrics: &Metrics) {
    let Gathered { erased, batch, dropped } = gather(notes.take(), node);
    for subject in erased {
        if let Err(error) = store.forget_receipt(&subject).await {
            tracing::warn!(%error, "what was noted of a payment just before its erasure may be left");
        }
    }
    dropped.into_iter().for_each(|why| metrics.receipts_dropped.count(why));
    if batch.is_empty() {
        return;
    }
    let moments = moments_of(&batch);
    if let Err(error) = store.add_receipts(batch).await {
        tracing::debug!(%error, moments, "moments of receipts were dropped");
        (0..moments).for_each(|_| metrics.receipts_dropped.count(ReceiptDrop::Store));
    }
}

fn moments_of(batch: &ReceiptBatch) -> usize {
    let lines = |ReceiptLines { lines, .. }: &ReceiptLines| {
        lines.values().map(|text| text.lines().count()).sum::<usize>()
    };
    batch.iter().map(|(_, receipt)| lines(receipt)).sum()
}

/// The name of this process among the nodes: that of the host and the number of the process, since several may run on a host.
fn node() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "._-".contains(*letter);
    let host: String = host.chars().filter(is_plain).take(MAX_HOST).collect();
    format!("{host}-{}", std::process::id())
}
