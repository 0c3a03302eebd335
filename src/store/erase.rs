//! Erasure: removing all that a store holds about one payment, because somebody has a right to it.
//!
//! An erasure ends the payment's log; an event that comes later begins a new one. The feed of the partition goes on, and its references to
//! the log are replaced by others that name the log only by the random tag of its first entry ([`Referent::Erased`](super::Referent)). So
//! readers of the feed learn which log is gone, and the feed does not hold the payment's id any more.

use super::{Record, record::body_bears};
use crate::payment::{Name, Subject};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeSet, ops::AddAssign, sync::Arc};

/// What to erase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// The payment.
    pub subject: Subject,
    /// The configured sources of the payment's realm.
    pub sources: BTreeSet<Arc<str>>,
    /// The configured sources of all other realms. The same id means another payment there, so what they hold stays. What is left of a
    /// source that is not configured any more is erased: nobody knows its realm.
    pub others: BTreeSet<Arc<str>>,
    /// The ids of parts that the payment's log names. Records that name one of them and no payment are erased too.
    pub parts: BTreeSet<Name>,
}

/// What an erasure removed: how many of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Erased {
    /// Events of the payment's log.
    pub events: u64,
    /// References to them in the feed of the partition.
    pub references: u64,
    /// Records of the delivery logs.
    pub deliveries: u64,
    /// Records of the quarantines.
    pub quarantined: u64,
    /// Pending confirmations.
    pub confirmations: u64,
}

impl Erasure {
    /// The erasure of the log of a label or a part alone.
    pub(super) fn of_log(&self, subject: Subject) -> Self {
        let others = self.sources.union(&self.others).cloned().collect();
        Self { subject, sources: BTreeSet::new(), others, parts: BTreeSet::new() }
    }
}

impl Erased {
    /// Whether there was nothing to erase.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Erased {
    fn add_assign(&mut self, more: Self) {
        self.events += more.events;
        self.references += more.references;
        self.deliveries += more.deliveries;
        self.quarantined += more.quarantined;
        self.confirmations += more.confirmations;
    }
}

impl Record {
    /// Whether the record bears the id of the payment to erase: as its payment, or as the id of an event, which some providers call like
    /// the payment that it is about. One without a payment may bear the id of a part instead.
    pub(super) fn bears(&self, erasure: &Erasure) -> bool {
        let payment = &erasure.subject.id;
        let id = payment.as_str();
        self.payment.as_ref() == Some(payment)
            || self.part.as_ref().is_some_and(|part| erasure.parts.contains(part))
            || self.event.as_deref() == Some(id)
            || self.unsigned_id.as_deref() == Some(id)
    }

    /// Whether the record bears the id, or the body that is held with it does. A record without a payment may bear the id of a part in its body.
    pub(super) fn bears_with(&self, body: &Value, erasure: &Erasure) -> bool {
        let bears = |id: &Name| body_bears(body, id);
        self.bears(erasure)
            || bears(&erasure.subject.id)
            || (self.payment.is_none() && erasure.parts.iter().any(bears))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payment::Time,
        store::{OutcomeKind, RecordLog},
    };
    use serde_json::json;

    fn record() -> Record {
        Record {
            log: RecordLog::Quarantine,
            source: "stripe".into(),
            at: Time::from_unix_s(1_790_000_000).unwrap(),
            outcome: OutcomeKind::Quarantined,
            reason: None,
            event: Some("evt_1".into()),
            unsigned_id: None,
            kind: None,
            payment: None,
            part: None,
            failure_code: None,
            seq: None,
            place: None,
            found: None,
            bytes: None,
            secret: None,
            diagnosis: None,
            confirmation: None,
            held: None,
        }
    }

    #[test]
    fn a_held_record_is_erased_for_a_part_that_its_body_bears_unless_it_names_another_payment() {
        let erasure = Erasure {
            subject: Subject::payment("shop".parse().unwrap(), "order-7".parse().unwrap()),
            sources: BTreeSet::new(),
            others: BTreeSet::new(),
            parts: BTreeSet::from(["ch_1".parse().unwrap()]),
        };
        let body = |id: &str| json!({ "body": { "data": { "charge": id } } });
        let of = |payment: &str| Record { payment: Some(payment.parse().unwrap()), ..record() };
        for (record, body, expected) in [
            (record(), body("ch_1"), true),
            (record(), body("ch_12"), false),
            (record(), body("order-7"), true),
            (of("order-8"), body("ch_1"), false),
            (of("order-8"), body("order-7"), true),
            (of("order-7"), body("ch_2"), true),
            (Record { part: Some("ch_1".parse().unwrap()), ..record() }, body("ch_2"), true),
        ] {
            assert_eq!(record.bears_with(&body, &erasure), expected, "{record:?} {body}");
        }
    }
}
