//! From what a provider answered to the event that is appended. Pure.
//!
//! The event has no id of the provider's. Its identity is a digest of what was confirmed before and of what is said now: so
//! two nodes that heard the same, and one that asks again because it died, append it once; and a payment that goes back to
//! where it was appends that again.

use crate::{
    ingest::{Answer, Source},
    payment::{Event, Name, Time, Trust},
    store::Log,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// What was confirmed last through a source: not what was appended last, but what the fold takes for the newest.
pub(super) fn latest<'a>(log: &'a Log, source: &str) -> Option<&'a Event> {
    let events = log.entries.iter().map(|entry| &*entry.event);
    let confirmed = events.filter(|event| event.trust == Trust::Confirmed && &*event.source == source);
    confirmed.max_by_key(|event| (event.occurred_at, &event.id))
}

/// The event that says what `answer` does, after `latest`.
pub(super) fn following(
    latest: Option<&Event>,
    source: &Source,
    payment: &Name,
    answer: Answer,
    asked_at: Time,
) -> Event {
    let Answer { kind, occurred_at, live, facts } = answer;
    let mut event = Event {
        id: "".into(),
        source: source.name().into(),
        provider: source.provider().into(),
        kind,
        occurred_at: Some(when(latest, occurred_at, asked_at)),
        received_at: asked_at,
        subject: source.subject(payment),
        live,
        trust: Trust::Confirmed,
        facts,
    };
    event.id = identity(latest, &event);
    event
}

/// By which time the fold orders it. The provider's own, where it tells when the payment last changed: an answer that comes late
/// from one of its replicas then changes nothing. Else the time of the question: what it tells was so then or later, and
/// no hint that came before it can be newer.
///
/// Two answers that differ are never of one time, since which one counts would then be chance. And as one payment's
/// questions are asked one after the other, a question is never earlier than the one before, whatever the clocks of two nodes say.
fn when(latest: Option<&Event>, told: Option<Time>, asked_at: Time) -> Time {
    let Some(before) = latest.and_then(|latest| latest.occurred_at) else { return told.unwrap_or(asked_at) };
    let next = Time::from_unix_ms(before.unix_ms().saturating_add(1)).unwrap_or(before);
    match told {
        Some(told) if told == before => next,
        Some(told) => told,
        None => asked_at.max(next),
    }
}

fn identity(latest: Option<&Event>, event: &Event) -> Arc<str> {
    let mut hash = Sha256::new();
    let before = latest.map_or("", |latest| &*latest.id);
    // The length keeps what was before apart from what is now.
    hash.update((before.len() as u64).to_be_bytes());
    hash.update(before);
    hash.update(event.digest());
    hash.update([u8::from(event.live)]);
    let hash = hash.finalize();
    let half: [u8; 16] = hash.first_chunk().copied().unwrap_or_default();
    format!("confirmed:{}", hex::encode(half)).into()
}
