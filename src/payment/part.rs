//! Parts: the provider's ids of captures, charges and refunds, by which an event that names no payment finds the one that it belongs to.
//!
//! A part has a log of its own. An event that names a payment and its part binds the part there; an event that names the part alone waits
//! there until it is bound. The log orders the two, so whichever was appended later finds the other one. An id of a part belongs to one
//! payment, and then the order of arrival does not matter. Should a provider bind it to several, each of them gets what waits and what comes
//! from then on, so nobody can take events away from a payment.

use super::{Binding, Digest, Event, MAX_BOUND, Maker, Name, Subject, Time, Trust};
use std::{collections::BTreeSet, sync::Arc};

/// The parts that one event may name.
pub const MAX_PARTS: usize = 8;

/// The events that wait for one part. A provider sends a handful of events of each; the log has room for eight times as many.
pub const MAX_WAITING: usize = 64;

/// The type of the events that bind a part.
const BOUND: &str = "part.bound";

/// The type of the events that say that one waits no longer.
const GIVEN_UP: &str = "part.given_up";

/// What the log of a part says.
#[derive(Clone, Debug, Default)]
pub struct PartLog {
    payments: BTreeSet<Name>,
    /// The events that name the part alone, in the order in which they came.
    unplaced: Vec<Arc<Event>>,
    /// The identities of those of them that were given up.
    given_up: BTreeSet<Digest>,
    newest: Option<Time>,
}

impl Event {
    /// The log of a part that the event names: those of another realm, provider or mode may have the same id. `None` if it could not be named.
    #[must_use]
    pub fn part_log(&self, realm: &Name, part: &Name) -> Option<Subject> {
        Subject::part(realm, &self.provider, self.live, part.clone())
    }

    /// The event that binds a part of this one to its payment. The part may be the payment's own id, where other events know it as a part.
    /// `None` if the part must not be bound, since nobody vouches for the event, or if its log could not be named.
    #[must_use]
    pub fn part_binding(&self, part: &Name) -> Option<Self> {
        let Subject { realm, id: payment } = &self.subject;
        if self.trust == Trust::Hint {
            return None;
        }
        let binding = Binding { payment: payment.clone(), maker: Maker::Provider };
        let subject = self.part_log(realm, part)?;
        // No id has a space, so no two pairs have one text.
        Some(Self { binding: Some(binding), ..self.mark(format!("{} {payment}", self.id), BOUND, subject) })
    }

    /// The event that says that this one, which waits for a part, is given up.
    #[must_use]
    pub fn giving_up(&self, at: Time) -> Self {
        let mark = self.mark(format!("{} given up", self.id), GIVEN_UP, self.subject.clone());
        Self { received_at: at, ..mark }
    }

    /// The same event in the log of a payment, if it stands in that of a part.
    #[must_use]
    pub fn under(&self, payment: &Name) -> Option<Self> {
        let subject = self.subject.of_part(&self.provider, self.live, payment.clone())?;
        Some(Self { subject, ..self.clone() })
    }

    /// An event without facts.
    fn mark(&self, id: String, kind: &str, subject: Subject) -> Self {
        Self {
            id: id.into(),
            source: Arc::clone(&self.source),
            provider: Arc::clone(&self.provider),
            kind: kind.into(),
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            subject,
            live: self.live,
            trust: self.trust,
            facts: Vec::new(),
            labels: Vec::new(),
            parts: Vec::new(),
            binding: None,
        }
    }
}

impl PartLog {
    /// What the events of a part's log say.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Arc<Event>>) -> Self {
        let mut log = Self::default();
        events.into_iter().for_each(|event| log.apply(event));
        log
    }

    fn apply(&mut self, event: &Arc<Event>) {
        self.newest = self.newest.max(Some(event.received_at));
        match &event.binding {
            Some(Binding { payment, .. }) if self.has_room_for(payment) => {
                self.payments.insert(payment.clone());
            }
            Some(_) => {}
            None if !event.facts.is_empty() => self.unplaced.push(Arc::clone(event)),
            None => {
                let given_up = event.id.strip_suffix(" given up").unwrap_or(&event.id);
                let identity = Event { id: given_up.into(), ..(**event).clone() }.identity();
                self.given_up.insert(identity);
            }
        }
    }

    /// The payments that the part belongs to: one, or none as long as it is not bound.
    #[must_use]
    pub const fn payments(&self) -> &BTreeSet<Name> {
        &self.payments
    }

    /// Whether the part is bound to this payment, or may yet be.
    #[must_use]
    pub fn has_room_for(&self, payment: &Name) -> bool {
        self.payments.contains(payment) || self.payments.len() < MAX_BOUND
    }

    /// All events that name the part alone.
    #[must_use]
    pub fn unplaced(&self) -> &[Arc<Event>] {
        &self.unplaced
    }

    /// Those of them that wait: the part is not bound, and they were not given up.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<Event>> {
        let waits = |event: &&Arc<Event>| !self.given_up.contains(&event.identity());
        self.unplaced.iter().filter(|_| self.payments.is_empty()).filter(waits)
    }

    /// When the newest event of the log was received.
    #[must_use]
    pub const fn newest(&self) -> Option<Time> {
        self.newest
    }
}
