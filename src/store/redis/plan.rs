//! How keys and channels are named. Pure.
//!
//! | name | what it is |
//! |---|---|
//! | `ps:layout` | string: the number of the layout ([`LAYOUT`](super::layout::LAYOUT)) |
//! | `ps:{muq}:log:<realm>/payment/<id>`  | stream: the log of a payment |
//! | `ps:{muq}:meta:<realm>/payment/<id>` | hash: what is known of that log |
//! | `ps:{muq}:log:label:<realm>/payment/<id>`, `meta` | the same of a label, in the partition of the payment with its id |
//! | `ps:{muq}:log:part:live:<provider>:<realm>/payment/<id>`, `meta` | the same of a part of a payment |
//! | `ps:{muq}:receipt:<realm>/payment/<id>` | hash: the receipt of a payment, what each stream and each process noted of it |
//! | `ps:{muq}:head`, `ps:{muq}:feed`     | hash and stream: the newest place of a partition, and its references |
//! | `ps:{muq}:changed:<realm>`, `:first:<realm>`, `:index:<realm>` | two sorted sets, hash: the index of a realm's payments in a partition |
//! | `ps:{muq}`                           | sharded channel: the notices of a partition |
//! | `ps:{muq}:deliveries:<source>`       | stream: delivery records of a source; it has 16 of these, in 16 partitions |
//! | `ps:{acme}:quarantine`               | stream: the quarantine of a source |
//! | `ps:{acme}:quarantine:<class>:<reason>` | list: the entries of that stream that have this reason and come from this class of messages |
//! | `ps:{acme}:quarantine:held:<reason>`    | list: the same of those records that are held with a body |
//! | `ps:{acme}:held:<id>`                | hash: the body of a held record, or what was said when it was settled |
//! | `ps:{acme}:pending`, `:due`, `:since`, `:pace` | hash, two sorted sets, hash: the pending confirmations of a source |
//! | `ps:pending` | set: the sources that ever had a pending confirmation |
//! | `ps:{part:live:<provider>:<realm>}:pending`, `:due`, `:since`, `:pace` | the same of the parts of a realm, a provider and a mode for which events wait |
//! | `ps:waiting` | set: the names of these queues, what stands in their braces |
//! | `ps:sources` | set: the sources that ever had a record |
//! | `ps:audit` | stream: the audit trail |
//!
//! What stands in braces is the hash tag, which decides the slot in a cluster. So all that one append touches lies on one server, and so
//! do the pending confirmations of one source. `muq` stands for one of the 256 tags in [`tags`]. A change of this table
//! needs another number of the layout, unless gateways of the layout can share the prefix with those that do not know of the change.

use super::tags;
use crate::{
    payment::{Kind, Name, Subject},
    store::HeldId,
};

/// Streams over which the delivery records of one source are spread.
pub(super) const DELIVERY_STREAMS: u8 = 16;

/// The names under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    prefix: String,
}

impl Plan {
    /// Names keys under `prefix`, which holds no braces.
    pub(super) const fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn layout(&self) -> String {
        format!("{}:layout", self.prefix)
    }

    /// The key of a partition's head as layout 1 named it.
    pub(super) fn head_of_layout_1(&self, partition: u8) -> String {
        format!("{}:{{{partition}}}:head", self.prefix)
    }

    pub(super) fn log(&self, subject: &Subject) -> String {
        self.of_subject("log", subject)
    }

    pub(super) fn meta(&self, subject: &Subject) -> String {
        self.of_subject("meta", subject)
    }

    /// The receipt of a payment, in the slot of its log.
    pub(super) fn receipt(&self, subject: &Subject) -> String {
        self.of_subject("receipt", subject)
    }

    pub(super) fn head(&self, partition: u8) -> String {
        format!("{}:head", self.channel(partition))
    }

    pub(super) fn feed(&self, partition: u8) -> String {
        format!("{}:feed", self.channel(partition))
    }

    /// The index of a realm in a partition: its payments, by their last changes.
    pub(super) fn changed(&self, partition: u8, realm: &Name) -> String {
        format!("{}:changed:{realm}", self.channel(partition))
    }

    /// The channel of a partition, with which all its keys begin too.
    pub(super) fn channel(&self, partition: u8) -> String {
        format!("{}:{{{}}}", self.prefix, tags::of(partition))
    }

    pub(super) fn quarantine(&self, source: &str) -> String {
        format!("{}:{{{source}}}:quarantine", self.prefix)
    }

    /// The list of a share of a source's quarantine.
    pub(super) fn share(&self, source: &str, share: &str) -> String {
        format!("{}:{share}", self.quarantine(source))
    }

    /// What is held under an id of a source.
    pub(super) fn held(&self, source: &str, id: HeldId) -> String {
        format!("{}:{{{source}}}:held:{id}", self.prefix)
    }

    /// The stream of a source's delivery records whose turn it is, `turn` modulo [`DELIVERY_STREAMS`]. They lie in every 16th
    /// partition, so in slots at equal distances; which one is the first depends on the source.
    pub(super) fn deliveries(&self, source: &str, turn: u8) -> String {
        const STEP: u8 = u8::MAX / DELIVERY_STREAMS + 1;
        let [.., hash] = crc32fast::hash(source.as_bytes()).to_be_bytes();
        format!("{}:deliveries:{source}", self.channel(turn % DELIVERY_STREAMS * STEP + hash % STEP))
    }

    /// The keys of a source's pending confirmations, in the order in which `work_queue.lua` takes them.
    pub(super) fn pending(&self, source: &str) -> [String; 4] {
        ["pending", "due", "since", "pace"].map(|what| format!("{}:{{{source}}}:{what}", self.prefix))
    }

    /// The key of the set of all sources that ever had a pending confirmation. It lies in a slot of its own, and holds no other names than
    /// those of sources that were configured once.
    pub(super) fn pending_sources(&self) -> String {
        format!("{}:pending", self.prefix)
    }

    /// The key of the set of all queues of parts that ever held one. Gateways that know no parts do not read it, and so do not take these
    /// queues for those of sources.
    pub(super) fn waiting_queues(&self) -> String {
        format!("{}:waiting", self.prefix)
    }

    /// The key of the set of all sources that ever had a record. It lies in a slot of its own, as that of [`Self::pending_sources`].
    pub(super) fn recorded_sources(&self) -> String {
        format!("{}:sources", self.prefix)
    }

    /// The key of the audit trail. It lies in a slot of its own.
    pub(super) fn audit(&self) -> String {
        format!("{}:audit", self.prefix)
    }

    /// Returns the partition to which a channel belongs.
    pub(super) fn partition_of(&self, channel: &str) -> Option<u8> {
        tags::partition(channel.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')?)
    }

    /// Returns the subject to which the key of a log belongs.
    pub(super) fn subject_of(&self, log: &str) -> Option<Subject> {
        let (_, subject) = log.strip_prefix(&self.prefix)?.split_once("}:log:")?;
        let (realm, rest) = subject.split_once('/')?;
        let id = rest.strip_prefix(Kind::Payment.as_str())?.strip_prefix('/')?;
        let realm: Name = realm.replace("%2F", "/").replace("%25", "%").parse().ok()?;
        Some(Subject::payment(realm, id.parse().ok()?))
    }

    fn of_subject(&self, what: &str, subject: &Subject) -> String {
        // Without this, (`a/payment`, `b`) and (`a`, `payment/b`) would have the same key.
        let realm = subject.realm.as_str().replace('%', "%25").replace('/', "%2F");
        format!(
            "{}:{what}:{realm}/{}/{}",
            self.channel(subject.partition()),
            Kind::Payment.as_str(),
            subject.id
        )
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
        let tag = format!("ps:{{{}}}", tags::of(partition));
        for name in [
            plan.log(&pay),
            plan.meta(&pay),
            plan.receipt(&pay),
            plan.head(partition),
            plan.feed(partition),
            plan.channel(partition),
        ] {
            assert!(name.starts_with(&tag), "{name}");
        }
        assert_eq!(plan.log(&pay), format!("{tag}:log:default/payment/order}}7{{1}}"));
        assert_eq!(plan.head(255), "ps:{qmh}:head");
    }

    #[test]
    fn delivery_records_of_a_source_lie_in_sixteen_partitions_at_equal_distances() {
        let plan = Plan::new("ps".to_owned());
        let partitions = |source: &str| -> Vec<u8> {
            let streams = (0..=u8::MAX).map(|turn| plan.deliveries(source, turn));
            let mut partitions: Vec<_> = streams
                .map(|key| {
                    let channel = key.strip_suffix(&format!(":deliveries:{source}")).unwrap();
                    plan.partition_of(channel).unwrap()
                })
                .collect();
            partitions.sort_unstable();
            partitions.dedup();
            partitions
        };
        let mut firsts = HashSet::new();
        for number in 0..200 {
            let partitions = partitions(&format!("source-{number}"));
            assert_eq!(partitions.len(), usize::from(DELIVERY_STREAMS));
            assert!(partitions.windows(2).all(|pair| pair[1] - pair[0] == 16), "{partitions:?}");
            firsts.insert(partitions[0]);
        }
        assert_eq!(firsts.len(), 16, "sources begin at different partitions");
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
        for other in ["a:log:b:{7}", "a:log:b:{}", "ps:{muq}", "a:log:b:{muq}x", ""] {
            assert_eq!(plan.partition_of(other), None, "{other}");
        }
    }
}
