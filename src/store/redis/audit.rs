//! The audit trail: one stream, in whose order its entries are read. And what is too old to be kept, of it and of the delivery logs.

use super::{Redis, reply};
use crate::{
    payment::Time,
    store::{AUDIT_ENTRIES, AuditEntry, AuditPage, Expiry, RecordCursor, RecordLog, StoreError},
};

/// The most entries of one stream that are removed in one step.
const REMOVED_AT_ONCE: usize = 512;

impl Redis {
    /// Adds an entry to the audit trail.
    pub(super) async fn add_audit_entry(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut command = redis::cmd("XADD");
        command.arg(self.plan.audit()).arg("MAXLEN").arg(AUDIT_ENTRIES).arg("*").arg("r");
        command.arg(entry.to_bytes()?);
        self.write(command, true).await.map(drop)
    }

    /// Reads the newest `limit` entries before `before`. The id of an entry is its cursor.
    pub(super) async fn read_audit_trail(
        &self,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        // The server knows no id before the first one.
        if before == Some(RecordCursor { major: 0, minor: 0 }) {
            return Ok(AuditPage::default());
        }
        let end = before.map_or_else(|| "+".to_owned(), |before| format!("({before}"));
        let mut command = redis::cmd("XREVRANGE");
        command.arg(self.plan.audit()).arg(end).arg("-").arg("COUNT").arg(limit + 1);
        let read = |entry| {
            let (id, body) = reply::id_and_body(entry)?;
            Ok((reply::parse(&id)?, AuditEntry::from_bytes(&body)?))
        };
        let entries = reply::list(self.ask(command).await?)?.into_iter().map(read);
        Ok(AuditPage::first(entries.collect::<Result<_, StoreError>>()?, limit))
    }

    /// Removes what is too old to be kept. The id of an entry is the time of the server at which it came.
    pub(super) async fn expire_all(&self, expiry: Expiry) -> Result<u64, StoreError> {
        let mut removed = self.expire_stream(&self.plan.audit(), expiry.audit).await?;
        for source in reply::names(self.ask(self.records.sources()).await?)? {
            for stream in self.records.streams(RecordLog::Deliveries, &source) {
                removed += self.expire_stream(&stream, expiry.deliveries).await?;
            }
        }
        Ok(removed)
    }

    async fn expire_stream(&self, stream: &str, before: Time) -> Result<u64, StoreError> {
        let mut removed = 0;
        // The server knows no id before that of the first millisecond.
        while before.unix_ms() > 0 {
            let mut command = redis::cmd("XRANGE");
            let end = format!("({}-0", before.unix_ms());
            command.arg(stream).arg("-").arg(end).arg("COUNT").arg(REMOVED_AT_ONCE);
            let entries = reply::list(self.ask(command).await?)?;
            let ids = entries.into_iter().map(|entry| reply::id_and_body(entry).map(|(id, _)| id));
            let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
            if ids.is_empty() {
                break;
            }
            let mut command = redis::cmd("XDEL");
            command.arg(stream).arg(&ids);
            removed += reply::count(&self.write(command, true).await?)?;
        }
        Ok(removed)
    }
}
