//! From what a provider answered to the event that is appended. Pure.
//!
//! The event has no id of the provider's. Its identity is a digest of what was confirmed before and of what is said now: so
//! two nodes that heard the same, and one that asks again because it died, append it once; and a payment that goes back to
//! where it was appends that again.

use crate::{
    payment::{Event, Name, Time, Trust},
    source::{PaymentAnswer, Source},
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

/// The event that says what `answer` does, which was asked for and received at these times, after `latest`.
pub(super) fn following(
    latest: Option<&Event>,
    source: &Source,
    payment: &Name,
    answer: PaymentAnswer,
    (asked_at, received_at): (Time, Time),
) -> Event {
    let PaymentAnswer { kind, occurred_at, live, facts } = answer;
    let mut event = Event {
        id: "".into(),
        source: source.name().into(),
        provider: source.provider().into(),
        kind,
        occurred_at: Some(when(latest, occurred_at, asked_at)),
        received_at,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payment::{Fact, Phase, Tag},
        source::SourceSettings,
        store::Entry,
    };

    fn time(s: i64) -> Time {
        Time::from_unix_s(s).unwrap()
    }

    fn answer(phase: Phase) -> PaymentAnswer {
        PaymentAnswer {
            kind: "word".into(),
            occurred_at: None,
            live: true,
            facts: vec![Fact::Phase { phase, money: None }],
        }
    }

    fn source(name: &str) -> Source {
        let (realm, secret) = ("shop".parse().unwrap(), "8f3b1c2d9a7e55aa".into());
        Source::build(SourceSettings::new(name, "mollie-classic", realm, secret)).unwrap()
    }

    fn after(latest: Option<&Event>, phase: Phase, asked_at: i64) -> Event {
        let asked = (time(asked_at), time(asked_at + 1));
        following(latest, &source("acme"), &"tr_1".parse().unwrap(), answer(phase), asked)
    }

    #[test]
    fn one_answer_is_one_event_and_one_that_comes_again_later_is_another() {
        let first = after(None, Phase::Created, 100);
        assert_eq!(after(None, Phase::Created, 101).id, first.id, "asked by two nodes at once");
        assert_ne!(after(None, Phase::Processing, 100).id, first.id);
        let second = after(Some(&first), Phase::Processing, 200);
        let third = after(Some(&second), Phase::Created, 300);
        assert_eq!(third.digest(), first.digest());
        assert_ne!(third.id, first.id);
        let test = PaymentAnswer { live: false, ..answer(Phase::Created) };
        let test = following(None, &source("acme"), &"tr_1".parse().unwrap(), test, (time(1), time(2)));
        assert_ne!(test.id, first.id);
    }

    #[test]
    fn an_answer_is_of_the_provider_s_time_or_else_of_the_question_s_and_never_of_the_last_one_s() {
        let before = after(None, Phase::Created, 100);
        assert_eq!((before.occurred_at, before.received_at), (Some(time(100)), time(101)));
        let just_after = Time::from_unix_ms(100_001).unwrap();
        for (told, asked_at, expected) in [
            (None, 200, time(200)),
            (None, 100, just_after),
            // The clock of the node that asked before is ahead of ours.
            (None, 90, just_after),
            (Some(150), 200, time(150)),
            (Some(100), 200, just_after),
            // A replica of the provider lags.
            (Some(50), 200, time(50)),
        ] {
            assert_eq!(when(Some(&before), told.map(time), time(asked_at)), expected, "{told:?} {asked_at}");
        }
        assert_eq!(when(None, Some(time(7)), time(9)), time(7));
    }

    #[test]
    fn what_was_confirmed_last_is_the_newest_by_its_time_of_its_own_source() {
        let (old, new) = (after(None, Phase::Created, 100), after(None, Phase::Captured, 200));
        let hint = Event { trust: Trust::Hint, ..after(None, Phase::Captured, 300) };
        let other = Event { source: "other".into(), ..after(None, Phase::Captured, 400) };
        let log = |events: &[&Event]| Log {
            entries: events
                .iter()
                .map(|event| Entry { tag: Tag::from_random(1), event: Arc::new((*event).clone()) })
                .collect(),
        };
        for (events, expected) in [
            (&[][..], None),
            (&[&hint, &other], None),
            (&[&old, &new, &hint, &other], Some(&new)),
            // It came late, so the fold still goes by the other.
            (&[&new, &old], Some(&new)),
        ] {
            assert_eq!(latest(&log(events), "acme"), expected);
        }
    }
}
