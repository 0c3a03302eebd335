use super::*;
use crate::payment::{Fact, State};
use proptest::prelude::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn event(payment: &str, id: &str, second: i64, phase: Phase) -> Event {
    Event {
        id: id.into(),
        source: "acme".into(),
        provider: "stripe".into(),
        kind: "test".into(),
        occurred_at: Time::from_unix_s(second).ok(),
        received_at: Time::from_unix_s(second + 100).unwrap(),
        subject: Subject::payment(name("shop"), name(payment)),
        live: true,
        trust: Trust::Verified,
        facts: vec![Fact::phase(phase, None)],
        labels: vec![Label { id: name("order-7"), maker: Maker::Shop }],
        parts: Vec::new(),
        binding: None,
    }
}

fn binding(event: &Event) -> Event {
    event.binding(&event.labels[0]).unwrap()
}

fn chosen(bindings: &Bindings, phases: &[(&str, Option<Phase>)]) -> Option<String> {
    let phase =
        |payment: &Name| phases.iter().find(|(known, _)| *known == payment.as_str()).map(|(_, it)| *it);
    bindings.choose(phase).map(ToString::to_string)
}

#[test]
fn a_binding_names_the_label_the_payment_and_the_event_and_is_the_same_at_each_retry() {
    let original = event("pi_1", "evt_1", 7, Phase::Created);
    let bound = binding(&original);
    assert_eq!(bound.subject.to_string(), "shop/label/order-7");
    assert_eq!(bound.binding, Some(Binding { payment: name("pi_1"), maker: Maker::Shop }));
    let retry = Event { received_at: Time::from_unix_s(999).unwrap(), ..original.clone() };
    assert_eq!((binding(&retry).identity(), binding(&retry).digest()), (bound.identity(), bound.digest()));
    for other in [event("pi_2", "evt_1", 7, Phase::Created), event("pi_1", "evt_2", 7, Phase::Created)] {
        assert_ne!(binding(&other).identity(), bound.identity());
    }
    let hint = Event { trust: Trust::Hint, ..original.clone() };
    assert_eq!(hint.binding(&hint.labels[0]), None, "nobody vouches for a hint");
    let own = Label { id: name("pi_1"), maker: Maker::Provider };
    assert_eq!(original.binding(&own), None, "a payment needs no label of its own id");
    let long = Subject { realm: name(&"r".repeat(128)), ..original.subject.clone() };
    assert_eq!(Event { subject: long, ..original.clone() }.binding(&original.labels[0]), None);
}

#[test]
fn money_decides_and_then_who_was_bound_last() {
    use Phase::{Authorized, Captured, Created, Failed};
    let bindings = Bindings::fold(&[
        binding(&event("pi_1", "evt_1", 1, Created)),
        binding(&event("pi_2", "evt_2", 2, Created)),
        binding(&event("pi_3", "evt_3", 3, Created)),
        // A later event does not bind a payment later.
        binding(&event("pi_1", "evt_9", 9, Created)),
    ]);
    for (phases, expected) in [
        (vec![], None),
        (vec![("pi_1", None)], Some("pi_1")),
        (vec![("pi_1", None), ("pi_2", Some(Failed))], Some("pi_2")),
        (vec![("pi_1", Some(Authorized)), ("pi_2", Some(Failed)), ("pi_3", Some(Created))], Some("pi_1")),
        (vec![("pi_1", Some(Authorized)), ("pi_2", Some(Captured)), ("pi_3", Some(Created))], Some("pi_2")),
        (vec![("pi_1", Some(Captured)), ("pi_2", Some(Captured)), ("pi_3", Some(Failed))], Some("pi_2")),
    ] {
        assert_eq!(chosen(&bindings, &phases).as_deref(), expected, "{phases:?}");
    }
}

#[test]
fn real_money_goes_before_tests_and_a_provider_s_id_before_a_shop_s() {
    let of = |payment: &str, live: bool, provider: &str, maker: Maker, second: i64| {
        let event =
            Event { live, provider: provider.into(), ..event(payment, payment, second, Phase::Created) };
        event.binding(&Label { id: name("7"), maker }).unwrap()
    };
    let all = [
        of("test", false, "stripe", Maker::Provider, 9),
        of("shop", true, "stripe", Maker::Shop, 8),
        of("second", true, "adyen", Maker::Provider, 7),
        of("first", true, "stripe", Maker::Provider, 6),
    ];
    for count in 1..=all.len() {
        let bindings = Bindings::fold(&all[..count]);
        let known: Vec<_> =
            all.iter().map(|it| (it.binding.as_ref().unwrap().payment.as_str(), None)).collect();
        let expected = all[count - 1].binding.as_ref().unwrap().payment.to_string();
        assert_eq!(chosen(&bindings, &known), Some(expected), "a later one in this list goes before");
    }
    let captured = [("test", Some(Phase::Captured)), ("shop", None)];
    assert_eq!(
        chosen(&Bindings::fold(&all), &captured).as_deref(),
        Some("shop"),
        "no test ever hides real money"
    );
}

#[test]
fn a_ninth_payment_finds_no_room_and_changes_nothing() {
    let events: Vec<_> =
        (0..9).map(|n| binding(&event(&format!("pi_{n}"), &format!("evt_{n}"), n, Phase::Created))).collect();
    let bindings = Bindings::fold(&events[..MAX_BOUND]);
    assert_eq!(bindings.addition(&events[8]), Addition::Full);
    assert_eq!(bindings.addition(&events[0]), Addition::Known);
    assert_eq!(Bindings::fold(&events).payments(), bindings.payments());
    let other = Event { live: false, ..events[8].clone() };
    assert_eq!(bindings.addition(&other), Addition::New, "the test mode cannot fill the label of real money");
}

#[test]
fn an_earlier_event_that_comes_late_counts() {
    let (late, early) = (
        binding(&event("pi_1", "evt_2", 5, Phase::Created)),
        binding(&event("pi_1", "evt_1", 1, Phase::Created)),
    );
    let mut bindings = Bindings::fold([&late]);
    assert_eq!(bindings.addition(&early), Addition::New);
    bindings.apply(&early);
    assert_eq!((bindings.addition(&early), bindings.addition(&late)), (Addition::Known, Addition::Known));
}

proptest! {
    /// The webhooks of an order with several attempts, each of which may name the label or not.
    #[test]
    fn i4_any_order_of_webhooks_ends_at_the_same_payment_with_labels_in_play(
        webhooks in prop::collection::vec((0..4_u8, 0..6_i64, 0..8_usize, any::<bool>()), 1..24),
        order in any::<prop::sample::Index>(),
        repeated in any::<prop::sample::Index>(),
    ) {
        use Phase::*;
        let phases = [Created, RequiresAction, Processing, Failed, Authorized, Canceled, Expired, Captured];
        let events: Vec<_> = webhooks.iter().enumerate().map(|(n, (payment, second, phase, is_labeled))| {
            let event = event(&format!("pi_{payment}"), &format!("evt_{n:02}"), *second, phases[*phase]);
            if *is_labeled { event } else { Event { labels: Vec::new(), ..event } }
        }).collect();
        let mut others = events.clone();
        others.rotate_left(order.index(events.len()));
        others.reverse();
        others.push(events[repeated.index(events.len())].clone());
        let end = |events: &[Event]| {
            // Only what is news is written, as the writer of labels does it.
            let mut bindings = Bindings::default();
            let mut logs: BTreeMap<Name, Vec<Event>> = BTreeMap::new();
            for event in events {
                logs.entry(event.subject.id.clone()).or_default().push(event.clone());
                for binding in event.labels.iter().filter_map(|label| event.binding(label)) {
                    if bindings.addition(&binding) == Addition::New {
                        bindings.apply(&binding);
                    }
                }
            }
            let phase = |payment: &Name| logs.get(payment).map(|log| State::fold(log).phase());
            let chosen = bindings.choose(phase).cloned();
            let state = chosen.as_ref().and_then(|it| logs.get(it)).map(|log| format!("{:?}", State::fold(log).status()));
            (chosen, state, bindings.scopes)
        };
        prop_assert_eq!(end(&events), end(&others));
    }
}
