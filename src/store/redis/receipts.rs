//! The receipts of payments: a hash for each, in the slot of the payment, which the server removes when its time is over.
//!
//! Receipts are written behind everything else: a few at a time, so that they never fill the queue in which appends wait too.

use super::{Redis, plan::Plan, reply};
use crate::{
    payment::Subject,
    receipts::{RECEIPT_BYTES, RECEIPT_NODES, RECEIPT_STREAMS, ReceiptBatch, ReceiptLines},
    store::{RECEIPT_KEPT, Receipt, StoreError},
};
use futures_util::future::try_join_all;
use redis::Cmd;

/// Receipts that are written at once.
const AT_ONCE: usize = 32;

/// The name under which it is counted what was left out. Counters have names that no stream and no process has.
const LEFT_OUT: &str = "#left_out";

impl Redis {
    /// Adds lines to receipts, as far as there is room. After an error some of them are added.
    pub(super) async fn write_receipts(&self, batch: &ReceiptBatch) -> Result<(), StoreError> {
        for part in batch.chunks(AT_ONCE) {
            let writes = part.iter().map(|(subject, lines)| {
                self.write(command(&self.plan, &self.receipt, subject, lines), false)
            });
            try_join_all(writes).await?;
        }
        Ok(())
    }

    /// Reads the receipt of a payment.
    pub(super) async fn read_receipt(&self, subject: &Subject) -> Result<Option<Receipt>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.plan.receipt(subject));
        let fields = reply::pairs(self.ask(command).await?)?;
        if fields.is_empty() {
            return Ok(None);
        }
        let left_out = fields.iter().find(|(name, _)| name == LEFT_OUT);
        let left_out = left_out.map_or(Ok(0), |(_, count)| reply::parse(count))?;
        let lines = fields.into_iter().filter(|(name, _)| !name.starts_with('#')).collect();
        Ok(Some(Receipt { lines, left_out }))
    }

    /// Removes the receipt of a payment, and returns how many streams and processes it had.
    pub(super) async fn erase_receipt(&self, subject: &Subject) -> Result<u64, StoreError> {
        let known = self.read_receipt(subject).await?.map_or(0, |receipt| receipt.lines.len() as u64);
        let mut command = redis::cmd("DEL");
        command.arg(self.plan.receipt(subject));
        self.write(command, true).await?;
        Ok(known)
    }
}

/// The command that adds lines to one receipt by `receipt.lua`.
fn command(plan: &Plan, script: &str, subject: &Subject, receipt: &ReceiptLines) -> Cmd {
    let ReceiptLines { lines, left_out } = receipt;
    let kept_ms = u64::try_from(RECEIPT_KEPT.as_millis()).unwrap_or(u64::MAX);
    let mut command = redis::cmd("EVALSHA");
    command.arg(script).arg(1).arg(plan.receipt(subject)).arg(kept_ms);
    command.arg(RECEIPT_BYTES).arg(RECEIPT_STREAMS).arg(RECEIPT_NODES).arg(*left_out);
    for (keeper, lines) in lines {
        let kind = if keeper.is_node() { "nodes" } else { "streams" };
        command.arg(kind).arg(keeper.field()).arg(lines);
    }
    command
}
