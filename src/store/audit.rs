//! The audit trail: what operators changed, who it was, when and why.
//!
//! An entry is written before the change of a request is made, durably; a change that then failed gets a second entry, which says so. A
//! reload is noted afterwards, and neither a reload nor a backup waits for the trail. Entries are never changed. They name no payment, since an erasure has to remove all that bears a payment's id, but
//! a [`PaymentDigest`], by which the entries of a payment are found by whoever knows its id.

use super::{RecordCursor, StoreError};
use crate::payment::{Name, Subject, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, sync::Arc};

/// The most entries that are kept. One has some 300 bytes.
pub const AUDIT_ENTRIES: usize = 4096;

/// One change by an operator. What is not known is left out of its JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When the change was asked for.
    pub at: Time,
    /// The name of the operator's token; none if it was no request, as a reload by a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Arc<str>>,
    /// What was done.
    pub action: AuditAction,
    /// The realm that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<Name>,
    /// The source that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The payment that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentDigest>,
    /// What else it concerns: the id of a held record, a filter, streams, or the cause of a reload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The code of what made the change fail. An entry without it says that the change was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What an operator did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Sent quarantined events through ingest again.
    Replay,
    /// Removed records of a quarantine.
    Discard,
    /// Closed streams.
    Close,
    /// Had a provider asked for a payment.
    Reconcile,
    /// Had a provider asked for its past events.
    Backfill,
    /// Removed all about a payment.
    Erase,
    /// Had the configuration read again.
    Reload,
    /// Took a copy of all that the store holds.
    Backup,
    /// What a later version knows; several versions may share a store.
    #[serde(untagged)]
    Other(String),
}

/// What stands for a payment where its id must not: the beginning of SHA-256(realm, 0, kind, 0, id), in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentDigest(String);

impl PaymentDigest {
    /// The digest of a payment.
    #[must_use]
    pub fn of(subject: &Subject) -> Self {
        let mut hash = Sha256::new();
        for part in [subject.realm.as_str(), subject.kind().as_str(), subject.id.as_str()] {
            hash.update(part);
            hash.update([0]);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Self(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for PaymentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Some entries of the audit trail, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditPage {
    /// The entries, each with its place.
    pub entries: Vec<(RecordCursor, AuditEntry)>,
    /// The cursor of the last of them, if there are older ones: the next page is what comes before it.
    pub next: Option<RecordCursor>,
}

impl AuditPage {
    /// The first `limit` of `entries`, which are newest first and one more than that if there are so many.
    pub(super) fn first(mut entries: Vec<(RecordCursor, AuditEntry)>, limit: usize) -> Self {
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().map(|(cursor, _)| *cursor).filter(|_| has_more);
        Self { entries, next }
    }
}

impl AuditEntry {
    /// An entry that says only who does what, now.
    #[must_use]
    pub fn new(operator: Option<Arc<str>>, action: AuditAction) -> Self {
        let (realm, source, payment, target, reason, failed) = Default::default();
        let at = crate::clock::now();
        Self { at, operator, action, realm, source, payment, target, reason, failed }
    }

    /// The entry as a store keeps it.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(corrupt)
    }

    /// An entry that a store kept.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes).map_err(corrupt)
    }
}

fn corrupt(error: impl fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("an entry of the audit trail: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_later_version_is_read_and_shown_as_it_is() {
        let later = r#"{"at":"2026-11-30T10:00:00.000Z","operator":"ann","action":"polish","colour":"red"}"#;
        let entry = AuditEntry::from_bytes(later.as_bytes()).unwrap();
        assert_eq!(entry.action, AuditAction::Other("polish".to_owned()));
        let shown = String::from_utf8(entry.to_bytes().unwrap()).unwrap();
        assert_eq!(shown, r#"{"at":"2026-11-30T10:00:00.000Z","operator":"ann","action":"polish"}"#);
        let known = AuditEntry::new(None, AuditAction::Erase).to_bytes().unwrap();
        assert_eq!(AuditEntry::from_bytes(&known).unwrap().action, AuditAction::Erase);
    }

    #[test]
    fn a_digest_stands_for_one_payment_of_one_realm() {
        let digest = |realm: &str, id: &str| {
            PaymentDigest::of(&Subject::payment(realm.parse().unwrap(), id.parse().unwrap())).to_string()
        };
        assert_eq!(digest("default", "pay_1").len(), 32);
        assert_eq!(digest("default", "pay_1"), digest("default", "pay_1"));
        assert_ne!(digest("default", "pay_1"), digest("other", "pay_1"));
        assert_ne!(digest("default", "pay_1"), digest("default", "pay_2"));
    }
}
