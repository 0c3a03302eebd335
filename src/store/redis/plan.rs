//! How keys and channels are named. Pure.
//!
//! | name | what |
//! |---|---|
//! | `ps:{17}:log:<realm>/payment/<id>`  | stream: a payment's log |
//! | `ps:{17}:meta:<realm>/payment/<id>` | hash: what is known of that log |
//! | `ps:{17}:head`, `ps:{17}:feed`      | hash and stream: a partition's newest place, and its references |
//! | `ps:{17}`                           | sharded channel: a partition's notices |
//! | `ps:{acme}:quarantine`, `ps:{acme}:deliveries` | streams: a source's records |
//! | `ps:{acme}:owed`, `:due`, `:since`, `:pace` | hash, two sorted sets, hash: the confirmations that a source is owed |
//! | `ps:owed` | set: the sources that were ever owed a confirmation |
//!
//! What stands in braces decides the slot of a cluster, so all that one append touches lies on one server, and so do the
//! confirmations of one source.

use crate::{
    payment::{Kind, Name, Subject},
    store::RecordLog,
};

/// The names under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    prefix: String,
}

impl Plan {
    /// `prefix` holds no braces.
    pub(super) const fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn log(&self, subject: &Subject) -> String {
        self.of_subject("log", subject)
    }

    pub(super) fn meta(&self, subject: &Subject) -> String {
        self.of_subject("meta", subject)
    }

    pub(super) fn head(&self, partition: u8) -> String {
        format!("{}:{{{partition}}}:head", self.prefix)
    }

    pub(super) fn feed(&self, partition: u8) -> String {
        format!("{}:{{{partition}}}:feed", self.prefix)
    }

    pub(super) fn channel(&self, partition: u8) -> String {
        format!("{}:{{{partition}}}", self.prefix)
    }

    pub(super) fn records(&self, log: RecordLog, source: &str) -> String {
        let log = match log {
            RecordLog::Quarantine => "quarantine",
            RecordLog::Deliveries => "deliveries",
        };
        format!("{}:{{{source}}}:{log}", self.prefix)
    }

    /// The keys of the confirmations that a source is owed, as `owed.lua` wants them.
    pub(super) fn owed(&self, source: &str) -> [String; 4] {
        ["owed", "due", "since", "pace"].map(|what| format!("{}:{{{source}}}:{what}", self.prefix))
    }

    /// The key of the set of all sources that were ever owed a confirmation. It has a slot of its own, and names no more than what was
    /// configured once.
    pub(super) fn owed_sources(&self) -> String {
        format!("{}:owed", self.prefix)
    }

    /// Whose channel it is.
    pub(super) fn partition_of(&self, channel: &str) -> Option<u8> {
        channel.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')?.parse().ok()
    }

    /// Whose log it is.
    pub(super) fn subject_of(&self, log: &str) -> Option<Subject> {
        let (_, subject) = log.strip_prefix(&self.prefix)?.split_once("}:log:")?;
        let (realm, rest) = subject.split_once('/')?;
        let id = rest.strip_prefix(Kind::Payment.as_str())?.strip_prefix('/')?;
        let realm: Name = realm.replace("%2F", "/").replace("%25", "%").parse().ok()?;
        Some(Subject::payment(realm, id.parse().ok()?))
    }

    fn of_subject(&self, what: &str, subject: &Subject) -> String {
        let Subject { realm, kind, id } = subject;
        // A slash in a realm would let (`a/payment`, `b`) be another name of (`a`, `payment/b`).
        let realm = realm.as_str().replace('%', "%25").replace('/', "%2F");
        format!("{}:{{{}}}:{what}:{realm}/{}/{id}", self.prefix, subject.partition(), kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn subject(realm: &str, id: &str) -> Subject {
        Subject::payment(realm.parse().unwrap(), id.parse().unwrap())
    }

    #[test]
    fn all_names_of_a_partition_share_its_hash_tag() {
        let plan = Plan::new("ps".to_owned());
        let pay = subject("default", "order}7{1}");
        let partition = pay.partition();
        let tag = format!("ps:{{{partition}}}");
        for name in [
            plan.log(&pay),
            plan.meta(&pay),
            plan.head(partition),
            plan.feed(partition),
            plan.channel(partition),
        ] {
            assert!(name.starts_with(&tag), "{name}");
        }
        assert_eq!(plan.log(&pay), format!("ps:{{{partition}}}:log:default/payment/order}}7{{1}}"));
    }

    #[test]
    fn names_are_read_back_and_never_shared() {
        let plan = Plan::new("a:log:b".to_owned());
        let subjects = [
            ("default", "pay"),
            ("default/payment", "pay"),
            ("default", "payment/pay"),
            ("default%2Fpayment", "pay"),
            ("default%252Fpayment", "pay"),
            ("a", "}:log:b/payment/c"),
        ];
        let names: HashSet<_> = subjects
            .into_iter()
            .map(|(realm, id)| {
                let subject = subject(realm, id);
                let name = plan.log(&subject);
                assert_eq!(plan.subject_of(&name), Some(subject), "{name}");
                name.split_once("}:log:").unwrap().1.to_owned()
            })
            .collect();
        assert_eq!(names.len(), subjects.len());
        assert!(
            (0..=u8::MAX).all(|partition| plan.partition_of(&plan.channel(partition)) == Some(partition))
        );
        for other in ["a:log:b:{256}", "a:log:b:{}", "ps:{1}", "a:log:b:{1}x", ""] {
            assert_eq!(plan.partition_of(other), None, "{other}");
        }
    }
}
