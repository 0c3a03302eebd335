//! What the embedded store does with receipts on behalf of its callers.

use super::{Expired, expired, read};
use crate::{
    payment::{Subject, Time},
    receipts::ReceiptBatch,
    store::{
        Receipt, StoreError,
        embedded::{Embedded, audit, command::Command},
    },
};

/// Payments in one command of the writer: some 500 µs, for which a webhook may wait.
const AT_ONCE: usize = 32;

/// Heads that are looked at in one step.
const HEADS: usize = 4096;

impl Embedded {
    /// Has the writer add lines to receipts.
    pub(in super::super) fn send_receipts(&self, mut batch: ReceiptBatch) -> Result<(), StoreError> {
        while !batch.is_empty() {
            let rest = batch.split_off(batch.len().min(AT_ONCE));
            self.send(Command::AddReceipts { batch })?;
            batch = rest;
        }
        Ok(())
    }

    /// Reads the receipt of a payment.
    pub(in super::super) async fn read_receipt(
        &self,
        subject: &Subject,
    ) -> Result<Option<Receipt>, StoreError> {
        let subject = subject.clone();
        self.read_with(move |recent| read(recent, &subject)).await
    }

    /// Removes the receipt of a payment.
    pub(in super::super) async fn remove_receipt(&self, subject: &Subject) -> Result<(), StoreError> {
        self.ask(|reply| Command::ForgetReceipt { subject: subject.clone(), reply }).await
    }

    /// Removes the receipts to which nothing was added since `before`, and returns how many pairs they had.
    pub(in super::super) async fn expire_receipts(&self, before: Time) -> Result<u64, StoreError> {
        let (mut removed, mut after) = (0, Vec::new());
        loop {
            let Expired { keys, next } =
                self.read_with(move |recent| expired(recent, before, &after, HEADS)).await?;
            for keys in keys.chunks(audit::REMOVED_AT_ONCE) {
                removed += self.ask(|reply| Command::Expire { keys: keys.to_vec(), reply }).await?;
            }
            match next {
                Some(next) => after = next,
                None => return Ok(removed),
            }
        }
    }
}
