//! Erasing what is left of one payment beside its log: records and pending confirmations, which lie in other slots than the log.

use super::{Redis, reply};
use crate::{
    payment::Tag,
    store::{Erased, Erasure, FEED_LEN, QueueKind, RecordLog, StoreError},
};
use futures_util::future::{try_join, try_join_all};
use redis::Pipeline;
use std::{collections::BTreeSet, sync::Arc};

impl Redis {
    /// Erases a payment: first its pending confirmations, so that no provider is asked for it any more, then its log and its receipt, then
    /// its records.
    pub(super) async fn erase_all(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        let sources = self.sources_to_search(erasure).await?;
        let confirmations = try_join_all(sources.iter().map(async |source| {
            let command = self.confirmations.forget(source, &erasure.subject.id);
            reply::count(&self.write(command, true).await?)
        }))
        .await?;
        let mut erased = Erased { confirmations: confirmations.into_iter().sum(), ..Erased::default() };
        erased += self.erase_log(erasure).await?;
        // A page may have asked for the payment by a label, and is noted under the id that it knows.
        erased.receipts = self.erase_receipt(&erasure.subject.as_payment()).await?;
        for source in &sources {
            erased.deliveries += self.erase_records(RecordLog::Deliveries, source, erasure).await?;
            erased.quarantined += self.erase_held(source, erasure).await?;
            erased.quarantined += self.erase_records(RecordLog::Quarantine, source, erasure).await?;
        }
        Ok(erased)
    }

    /// The sources that may hold something about the payment, whether they are configured or were once.
    async fn sources_to_search(&self, erasure: &Erasure) -> Result<BTreeSet<Arc<str>>, StoreError> {
        let recorded = self.ask(self.records.sources());
        let (recorded, pending) =
            try_join(recorded, self.ask(self.confirmations.queues(QueueKind::Confirmations))).await?;
        let mut sources = erasure.sources.clone();
        sources.extend(reply::names(recorded)?);
        sources.extend(reply::names(pending)?);
        sources.retain(|source| !erasure.others.contains(source));
        Ok(sources)
    }

    async fn erase_log(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        let (subject, partition) = (&erasure.subject, erasure.subject.partition());
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(&self.erase)
            .arg(5)
            .arg(self.plan.log(subject))
            .arg(self.plan.meta(subject))
            .arg(self.plan.head(partition))
            .arg(self.plan.feed(partition))
            .arg(self.plan.changed(partition, &subject.realm))
            .arg(Tag::from_random(rand::random()).to_string())
            .arg(self.plan.channel(partition))
            .arg(FEED_LEN)
            .arg(subject.id.as_str());
        let [events, references] = reply::counts(self.write(command, true).await?)?;
        Ok(Erased { events, references, ..Erased::default() })
    }

    /// Removes the records of one log of a source that bear the payment's id, and returns how many there were.
    async fn erase_records(
        &self,
        log: RecordLog,
        source: &str,
        erasure: &Erasure,
    ) -> Result<u64, StoreError> {
        let streams = self.records.streams(log, source);
        let mut commands = Pipeline::with_capacity(streams.len());
        for stream in &streams {
            commands.cmd("XRANGE").arg(stream).arg("-").arg("+");
        }
        let answers = self.shards()?.ask(&commands).await?;
        let mut removed = 0;
        for (stream, answer) in streams.iter().zip(answers) {
            let ids = reply::bearing(answer, erasure)?;
            if !ids.is_empty() {
                let mut command = redis::cmd("XDEL");
                command.arg(stream).arg(&ids);
                self.write(command, true).await?;
                removed += ids.len() as u64;
            }
        }
        Ok(removed)
    }
}
