//! The event that a provider's answer becomes. Pure.
//!
//! The provider gives an answer no id. So the event's id is a digest of the last confirmed event and of the new answer: two nodes that
//! get the same answer, or one that asks again after a crash, append it once, and a payment that returns to an earlier state appends
//! that state again.

use crate::{
    payment::{Event, Name, Time, Trust},
    source::{PaymentAnswer, Source},
    store::Log,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The newest confirmed event of a source: the newest by the fold's order, which need not be the last that was appended.
pub(super) fn latest<'a>(log: &'a Log, source: &str) -> Option<&'a Event> {
    let events = log.entries.iter().map(|entry| &*entry.event);
    let confirmed = events.filter(|event| event.trust == Trust::Confirmed && &*event.source == source);
    confirmed.max_by_key(|event| (event.occurred_at, &event.id))
}

/// The event of an answer. `latest` is the newest confirmed event so far; the times are those of the question and of the answer.
pub(super) fn following(
    latest: Option<&Event>,
    source: &Source,
    payment: &Name,
    answer: PaymentAnswer,
    (asked_at, received_at): (Time, Time),
) -> Event {
    let PaymentAnswer { kind, occurred_at, live, facts, labels, parts } = answer;
    let mut event = Event {
        id: "".into(),
        source: source.name().into(),
        provider: source.provider().into(),
        kind,
        occurred_at: (!source.leaves_answers_untimed()).then(|| when(latest, occurred_at, asked_at)),
        received_at,
        subject: source.subject(payment),
        live,
        trust: Trust::Confirmed,
        facts,
        labels,
        parts,
        binding: None,
    };
    event.id = identity(latest, &event);
    event
}

/// The time by which the fold orders the answer. If the provider says when the payment last changed, it is that time, so a late answer
/// of a replica that lags changes nothing. Otherwise it is the time of the question: the answer was true then or later, and no earlier
/// hint can be newer.
///
/// Two different answers never have the same time, because chance would then decide which one counts. Look-ups of one payment follow
/// one another, so a later question gets a later time even if the clocks of two nodes disagree.
fn when(latest: Option<&Event>, stated: Option<Time>, asked_at: Time) -> Time {
    let Some(before) = latest.and_then(|latest| latest.occurred_at) else {
        return stated.unwrap_or(asked_at);
    };
    let next = Time::from_unix_ms(before.unix_ms().saturating_add(1)).unwrap_or(before);
    match stated {
        Some(stated) if stated == before => next,
        Some(stated) => stated,
        None => asked_at.max(next),
    }
}

/// The event's id: a digest of the id of `latest` and of what the event says.
fn identity(latest: Option<&Event>, event: &Event) -> Arc<str> {
    let mut hash = Sha256::new();
    let before = latest.map_or("", |latest| &*latest.id);
    // The length separates the earlier id from what follows it.
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
        payment::{Fact, Phase, State, Tag},
        source::{ApiSettings, SourceSettings},
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
            facts: vec![Fact::phase(phase, None)],
            labels: Vec::new(),
            parts: Vec::new(),
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
    fn the_same_answer_is_one_event_unless_another_came_between() {
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
    fn an_answer_has_the_provider_s_time_or_else_the_question_s_and_never_that_of_the_last_answer() {
        let before = after(None, Phase::Created, 100);
        assert_eq!((before.occurred_at, before.received_at), (Some(time(100)), time(101)));
        let just_after = Time::from_unix_ms(100_001).unwrap();
        for (stated, asked_at, expected) in [
            (None, 200, time(200)),
            (None, 100, just_after),
            // The clock of the node that asked before is ahead of this one's.
            (None, 90, just_after),
            (Some(150), 200, time(150)),
            (Some(100), 200, just_after),
            // A replica of the provider lags.
            (Some(50), 200, time(50)),
        ] {
            assert_eq!(
                when(Some(&before), stated.map(time), time(asked_at)),
                expected,
                "{stated:?} {asked_at}"
            );
        }
        assert_eq!(when(None, Some(time(7)), time(9)), time(7));
    }

    /// Otherwise `failed`, told by a webhook after an answer that said `processing`, would never count.
    #[test]
    fn an_answer_has_no_time_where_webhooks_that_say_as_much_have_none() {
        let settings = |preset: &str| {
            let (realm, secret) = ("shop".parse().unwrap(), "8f3b1c2d9a7e55aa".into());
            let api = ApiSettings { client_id: None, key: "live_dHar4XY7LxsDOtmnkVtj".into(), url: None };
            let options = [("api_key".to_owned(), "key-1".to_owned())];
            let options = if preset == "dlocal-go" { options.into() } else { Default::default() };
            SourceSettings { api: Some(api), options, ..SourceSettings::new("acme", preset, realm, secret) }
        };
        for (preset, is_timed) in [("nowpayments", false), ("checkout", true), ("dlocal-go", true)] {
            let source = Source::build(settings(preset)).unwrap();
            let asked = (time(100), time(101));
            let event = following(None, &source, &"p".parse().unwrap(), answer(Phase::Processing), asked);
            assert_eq!(event.occurred_at.is_some(), is_timed, "{preset}");
            let failed = Event {
                id: "evt_1".into(),
                occurred_at: is_timed.then(|| time(200)),
                trust: Trust::Verified,
                facts: vec![Fact::phase(Phase::Failed, None)],
                ..event.clone()
            };
            assert_eq!(State::fold([&event, &failed]).phase(), Some(Phase::Failed), "{preset}");
        }
    }

    #[test]
    fn the_latest_confirmation_is_the_newest_by_time_of_its_own_source() {
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
            // The older event was appended later, so the newer one still counts.
            (&[&new, &old], Some(&new)),
        ] {
            assert_eq!(latest(&log(events), "acme"), expected);
        }
    }
}
