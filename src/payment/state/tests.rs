use super::*;
use crate::payment::{Reported, Subject, Time};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::HashMap;

fn event(id: &str, at_s: impl Into<Option<i64>>, facts: &[Fact]) -> Event {
    Event {
        id: id.into(),
        source: "acme".into(),
        provider: "generic".into(),
        kind: "test".into(),
        occurred_at: at_s.into().map(|s| Time::from_unix_s(s).unwrap()),
        received_at: Time::default(),
        subject: Subject::payment("default".parse().unwrap(), "pay_1".parse().unwrap()),
        live: true,
        trust: Trust::Verified,
        facts: facts.to_vec(),
        labels: Vec::new(),
        parts: Vec::new(),
        binding: None,
    }
}

fn eur(amount: i64) -> Money {
    Money { amount, currency: "EUR".parse().unwrap() }
}

fn phase(phase: Phase, amount: impl Into<Option<i64>>) -> Fact {
    Fact::phase(phase, amount.into().map(eur))
}

fn capture(id: &str, amount: i64, state: PartState) -> Fact {
    Fact::Capture(Reported { id: id.into(), amount, currency: None, state })
}

fn refund(id: &str, amount: i64, state: PartState) -> Fact {
    Fact::Refund(Reported { id: id.into(), amount, currency: None, state })
}

fn dispute(id: &str, state: DisputeState) -> Fact {
    Fact::Dispute(Reported { id: id.into(), amount: 10_000, currency: None, state })
}

fn refunded(amount: i64) -> Fact {
    Fact::Total { of: TotalOf::Refunded, amount, currency: None }
}

/// Each fact one second after the one before it.
fn life(facts: &[Fact]) -> State {
    let events: Vec<_> =
        facts.iter().zip(1..).map(|(f, s)| event(&format!("e{s}"), s, std::slice::from_ref(f))).collect();
    State::fold(&events)
}

#[test]
fn the_status_is_the_first_match() {
    use DisputeState as D;
    use PartState::{Failed, Pending, Succeeded};
    use Phase::*;
    let paid = || vec![phase(Created, 10_000), phase(Authorized, 10_000), phase(Captured, 10_000)];
    let after = |facts: &[Fact]| [paid(), facts.to_vec()].concat();
    for (facts, expected) in [
        (vec![], Status::Unknown),
        (vec![Fact::Note], Status::Unknown),
        (vec![phase(Created, None)], Status::Created),
        (vec![phase(Processing, None), phase(RequiresAction, None)], Status::RequiresAction),
        (vec![phase(Captured, 5), phase(Phase::Failed, None)], Status::Captured),
        (vec![phase(Phase::Failed, None), phase(Captured, 5)], Status::Captured),
        (vec![phase(Authorized, 5), phase(Canceled, None)], Status::Canceled),
        (vec![phase(Expired, None), phase(Captured, 5)], Status::Captured),
        (after(&[refund("r", 4_000, Succeeded)]), Status::PartiallyRefunded),
        (after(&[refund("r", 10_000, Pending)]), Status::Captured),
        (after(&[refund("r", 4_000, Succeeded), refund("s", 6_000, Succeeded)]), Status::Refunded),
        (after(&[refund("r", 10_000, Succeeded), refund("r", 10_000, Failed)]), Status::Captured),
        (after(&[refunded(10_000)]), Status::Refunded),
        (after(&[refunded(10_000), refund("r", 10_000, Succeeded)]), Status::Refunded),
        (
            after(&[refund("r", 3_000, Succeeded), refunded(5_000), refund("s", 2_000, Failed)]),
            Status::PartiallyRefunded,
        ),
        (after(&[refunded(5_000), refund("r", 5_000, Failed)]), Status::Captured),
        (after(&[dispute("d", D::Warning)]), Status::Captured),
        (after(&[dispute("d", D::Open)]), Status::Disputed),
        (after(&[dispute("d", D::Open), dispute("d", D::UnderReview)]), Status::Disputed),
        (after(&[dispute("d", D::Open), dispute("d", D::Won)]), Status::Captured),
        (after(&[dispute("d", D::Won), dispute("e", D::Lost), refunded(10_000)]), Status::ChargedBack),
        (vec![phase(Authorized, 100), capture("c", 60, Succeeded)], Status::Captured),
        (
            vec![phase(Authorized, 100), capture("c", 60, Succeeded), capture("c", 60, Failed)],
            Status::Authorized,
        ),
    ] {
        assert_eq!(life(&facts).status(), expected, "{facts:?}");
    }
}

#[test]
fn money_is_what_was_told_last() {
    let state =
        life(&[phase(Phase::Created, 10_000), phase(Phase::Authorized, 9_000), phase(Phase::Captured, None)]);
    assert_eq!(state.stated(), Some(eur(9_000)));
    assert_eq!(state.captured(), 9_000);
    let parts = life(&[capture("a", 10, PartState::Succeeded), capture("b", 20, PartState::Pending)]);
    assert_eq!(parts.captured(), 10);
}

#[test]
fn an_absent_time_sorts_first_and_ties_go_by_rank_then_id() {
    let dated = event("a", 5, &[phase(Phase::Created, None)]);
    let undated = event("z", None, &[phase(Phase::Failed, None)]);
    assert_eq!(State::fold([&dated, &undated]).status(), Status::Created);
    let same_second =
        [event("b", 5, &[phase(Phase::Processing, 2)]), event("a", 5, &[phase(Phase::Created, 1)])];
    assert_eq!(State::fold(&same_second).status(), Status::Processing);
    let same_rank = [event("b", 5, &[phase(Phase::Created, 2)]), event("a", 5, &[phase(Phase::Created, 1)])];
    assert_eq!(State::fold(&same_rank).stated(), Some(eur(2)));
}

#[test]
fn captured_and_called_off_is_a_conflict_unless_the_rest_was_voided() {
    use Phase::*;
    assert!(life(&[phase(Canceled, None), phase(Captured, 10)]).conflict());
    assert!(life(&[phase(Authorized, 10), phase(Captured, 10), phase(Expired, None)]).conflict());
    assert!(!life(&[phase(Authorized, 10), phase(Captured, 6), phase(Canceled, None)]).conflict());
    assert!(!life(&[phase(Authorized, 10), phase(Canceled, None)]).conflict());
}

#[test]
fn a_capture_that_failed_afterwards_is_taken_back_until_another_one_succeeds() {
    let failed = [phase(Phase::Failed, None), capture("c", 0, PartState::Failed)];
    let paid = event("a", 1, &[phase(Phase::Captured, 100)]);
    let taken_back = event("b", 2, &failed);
    let paid_again = event("c", 3, &[phase(Phase::Captured, 100)]);
    let mut state = State::fold([&paid]);
    assert!(state.apply(&taken_back).correction);
    assert_eq!((state.status(), state.captured()), (Status::Failed, 0));
    state.apply(&paid_again);
    assert_eq!((state.status(), state.captured()), (Status::Captured, 100));
    // What failed before it was captured was another attempt.
    let before = event("d", 0, &failed);
    assert_eq!(State::fold([&paid, &before]).status(), Status::Captured);
}

#[test]
fn an_unverified_word_never_changes_a_status() {
    let mut hint = event("h", 9, &[phase(Phase::Captured, 10)]);
    hint.trust = Trust::Hint;
    let mut state = life(&[phase(Phase::Created, 10)]);
    assert_eq!(state.apply(&hint), Change::default());
    assert_eq!(state.status(), Status::Created);
    hint.trust = Trust::Confirmed;
    state.apply(&hint);
    assert_eq!(state.status(), Status::Captured);
}

#[test]
fn late_and_correction_tell_what_an_event_did() {
    let mut state = life(&[phase(Phase::Authorized, 10), Fact::Note, phase(Phase::Authorized, 12)]);
    let mut apply = |id, at, fact| {
        let change = state.apply(&event(id, at, &[fact]));
        (change.late, change.correction)
    };
    assert_eq!(apply("x", 1, phase(Phase::Authorized, 11)), (true, false));
    assert_eq!(apply("p", 1, phase(Phase::Processing, None)), (true, false), "a lower tier that was empty");
    assert_eq!(
        apply("q", 4, phase(Phase::Processing, None)),
        (false, false),
        "newer, though it changes nothing"
    );
    assert_eq!(apply("n", 1, Fact::Note), (false, false));
    assert_eq!(apply("c", 5, capture("c", 12, PartState::Succeeded)), (false, false));
    assert_eq!(apply("r", 6, refund("r", 12, PartState::Succeeded)), (false, false));
    assert_eq!(apply("s", 7, refund("r", 12, PartState::Failed)), (false, true));
    assert_eq!(apply("d", 8, capture("c", 12, PartState::Failed)), (false, true));
    assert_eq!(state.status(), Status::Authorized);
}

fn any_fact() -> impl Strategy<Value = Fact> {
    use DisputeState as D;
    use Phase::*;
    let phases =
        select(vec![Created, RequiresAction, Processing, Failed, Authorized, Canceled, Expired, Captured]);
    let part = || select(vec![PartState::Pending, PartState::Succeeded, PartState::Failed]);
    let id = || select(vec!["a", "b", "c"]);
    let amount = || 0_i64..400;
    prop_oneof![
        4 => (phases, proptest::option::of(amount())).prop_map(|(p, a)| phase(p, a)),
        2 => (id(), amount(), part()).prop_map(|(id, a, s)| capture(id, a, s)),
        2 => (id(), amount(), part()).prop_map(|(id, a, s)| refund(id, a, s)),
        1 => (select(vec![TotalOf::Captured, TotalOf::Refunded]), amount())
            .prop_map(|(of, amount)| Fact::Total { of, amount, currency: None }),
        1 => (id(), select(vec![D::Warning, D::Open, D::UnderReview, D::Won, D::Lost]))
            .prop_map(|(id, s)| dispute(id, s)),
        1 => Just(Fact::Note),
    ]
}

/// Up to twelve events with few distinct times and ids, so that ties are common; each identity once, as the store
/// guarantees.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let one =
        (0_u8..16, proptest::option::of(1_i64..4), proptest::collection::vec(any_fact(), 1..4), 0_u8..8);
    proptest::collection::vec(one, 1..12).prop_map(|events| {
        let mut seen = HashMap::new();
        for (id, at, facts, source) in events {
            let mut event = event(&format!("e{id}"), at, &facts);
            event.source = if source == 0 { "other".into() } else { "acme".into() };
            event.trust = if source == 1 { Trust::Hint } else { Trust::Verified };
            seen.entry((event.source.clone(), event.id.clone())).or_insert(event);
        }
        seen.into_values().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// 10,000 random sets, each in a random order with random repetitions, fold as the set itself does.
    #[test]
    fn i4_convergence_every_permutation_with_any_duplication_folds_equal(
        (events, arrivals) in any_events().prop_flat_map(|events| {
            let count = events.len();
            let repeats = proptest::collection::vec(0..count, 0..8);
            let arrivals = repeats.prop_flat_map(move |repeats| {
                Just((0..count).chain(repeats).collect::<Vec<_>>()).prop_shuffle()
            });
            (Just(events), arrivals)
        })
    ) {
        let expected = State::fold(&events);
        let arrived = State::fold(arrivals.iter().map(|index| &events[*index]));
        prop_assert_eq!(&arrived, &expected);
        prop_assert_eq!(arrived.status(), expected.status());
        prop_assert_eq!(arrived.conflict(), expected.conflict());
        // A topic that nothing happens to keeps its state packed, and goes on with it at the next event.
        prop_assert_eq!(State::from(&Packed::from(&arrived)), expected);
    }
}

#[test]
fn a_full_refund_is_full_although_no_capture_was_seen() {
    let total = |of, amount| Fact::Total { of, amount, currency: "EUR".parse().ok() };
    let facts = vec![total(TotalOf::Captured, 10_000), total(TotalOf::Refunded, 10_000)];
    let state = State::fold(&[event("e1", 1, &facts)]);
    assert_eq!((state.status(), state.captured(), state.refunded()), (Status::Refunded, 10_000, 10_000));
    assert_eq!((state.amount(), state.currency()), (Some(10_000), "EUR".parse().ok()));
    let facts = vec![total(TotalOf::Captured, 10_000), total(TotalOf::Refunded, 2_500)];
    assert_eq!(State::fold(&[event("e1", 1, &facts)]).status(), Status::PartiallyRefunded);
}

#[test]
fn a_capture_before_its_authorisation_has_a_currency() {
    let sum = |id: &str, amount, code: &str| Reported {
        id: id.into(),
        amount,
        currency: code.parse().ok(),
        state: PartState::Succeeded,
    };
    let capture = event("e2", 2, &[Fact::Capture(sum("c1", 500, "JPY"))]);
    let refund = event("e3", 3, &[Fact::Refund(sum("r1", 200, "USD"))]);
    let dispute =
        Reported { id: "d1".into(), amount: 5, currency: "GBP".parse().ok(), state: DisputeState::Won };
    let dispute = event("e4", 4, &[Fact::Dispute(dispute)]);
    let authorized = event("e1", 1, &[phase(Phase::Authorized, 1_000)]);
    for (events, amount, currency) in [
        (&[][..], None, None),
        (&[&dispute], None, Some("GBP")),
        (&[&dispute, &refund], None, Some("USD")),
        (&[&dispute, &refund, &capture], Some(500), Some("JPY")),
        (&[&capture, &authorized, &dispute], Some(1_000), Some("EUR")),
    ] {
        let state = State::fold(events.iter().copied());
        assert_eq!((state.amount(), state.currency()), (amount, currency.map(|code| code.parse().unwrap())));
    }
}

#[test]
fn a_failure_is_shown_as_long_as_its_phase_stands_and_in_any_order_of_arrival() {
    let failed = Fact::Phase {
        phase: Phase::Failed,
        money: Some(eur(10_000)),
        failure: Some(FailureReason::CardExpired),
        action: None,
    };
    let asked = Fact::Phase {
        phase: Phase::RequiresAction,
        money: None,
        failure: None,
        action: Some(ActionKind::ThreeDs),
    };
    let events = [
        event("evt_1", 1, &[asked]),
        event("evt_2", 2, &[failed]),
        event("evt_3", 3, &[phase(Phase::Captured, 10_000)]),
    ];
    let view = |events: &[Event]| State::fold(events).view();
    let said = |view: View| (view.failure, view.action);
    assert_eq!(said(view(&events[..1])), (None, Some(ActionKind::ThreeDs)));
    assert_eq!(said(view(&events[..2])), (Some(FailureReason::CardExpired), None));
    assert_eq!(said(view(&events)), (None, None), "it was paid at the second attempt");
    let mut other_order = events[..2].to_vec();
    other_order.reverse();
    assert_eq!(view(&other_order), view(&events[..2]));
}
