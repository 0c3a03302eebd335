//! Every life is complete, has the right times, and is about one payment.

use super::*;
use crate::source::presets;
use serde_json::Value;

mod through_ingest;

fn start() -> Time {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn stripe() -> SimulatedProvider {
    SimulatedProvider::named("stripe").unwrap()
}

fn all() -> impl Iterator<Item = SimulatedProvider> {
    SimulatedProvider::names().map(|name| SimulatedProvider::named(name).unwrap())
}

fn payment(id: &str) -> SimulatedPayment<'_> {
    SimulatedPayment { id, amount: 4200, currency: "EUR".parse().unwrap() }
}

fn play(provider: &SimulatedProvider, life: Life) -> Result<Vec<(Webhook, Value)>, Unsupported> {
    let webhooks = webhooks(provider, life, payment("pay_1"), start())?;
    let with_payload = |webhook: Webhook| (webhook.clone(), serde_json::from_slice(&webhook.body).unwrap());
    Ok(webhooks.into_iter().map(with_payload).collect())
}

/// Adding a preset is adding its webhooks too.
#[test]
fn every_preset_has_a_provider_that_can_be_imitated() {
    let known: Vec<&str> = SimulatedProvider::names().collect();
    assert_eq!(known, presets().collect::<Vec<_>>());
    for provider in all() {
        let lives = provider.lives();
        for life in [Life::Happy, Life::Duplicates, Life::Forged, Life::Giant, Life::CardNumber] {
            assert!(lives.contains(&life), "{provider} lacks {life}: {:?}", provider.lacks(life));
        }
    }
}

#[test]
fn stripe_tells_every_life_about_one_payment() {
    for life in Life::ALL {
        for (step, body) in play(&stripe(), *life).unwrap() {
            assert_eq!(body["type"], step.event_type.as_str());
            assert_eq!(body["id"], step.event_id.as_str());
            assert_eq!(body["livemode"], false);
            let object = &body["data"]["object"];
            let payment = object.get("payment_intent").unwrap_or(&object["id"]);
            assert_eq!(payment, "pay_1", "{life}: {}", step.event_type);
            assert_eq!(object["currency"], "eur");
        }
    }
}

#[test]
fn delays_are_those_of_a_demo() {
    for life in Life::ALL.iter().filter(|life| **life != Life::Shuffled) {
        let steps = play(&stripe(), *life).unwrap();
        assert_eq!(steps[0].0.delay, Duration::ZERO);
        for pair in steps.windows(2) {
            let repeated = pair[0].0.event_id == pair[1].0.event_id;
            let delay_ms = pair[1].0.delay.as_millis();
            assert!(repeated || (800..=2_500).contains(&delay_ms), "{life}: {delay_ms}");
        }
    }
}

#[test]
fn events_are_stamped_when_they_happen() {
    let created = |life| -> Vec<i64> {
        let steps = play(&stripe(), life).unwrap();
        steps.iter().map(|(_, body)| body["created"].as_i64().unwrap() - start().unix_ms() / 1000).collect()
    };
    assert_eq!(created(Life::Happy), [0, 1, 3]);
    let reversed = created(Life::OutOfOrder);
    assert!(reversed.windows(2).all(|pair| pair[0] > pair[1]), "{reversed:?}");
}

#[test]
fn a_shuffled_life_is_the_same_in_another_order() {
    let types = |life| {
        let mut types: Vec<String> =
            play(&stripe(), life).unwrap().into_iter().map(|(step, _)| step.event_type).collect();
        let in_order = types.clone();
        types.sort();
        (types, in_order)
    };
    let (refund, in_order) = types(Life::Refund);
    assert!((0..64).any(|_| types(Life::Shuffled).1 != in_order), "64 times in the same order");
    assert_eq!(types(Life::Shuffled).0, refund);
}

#[test]
fn a_repetition_is_the_same_to_the_byte_and_another_play_is_not() {
    let once = play(&stripe(), Life::Duplicates).unwrap();
    assert_eq!(once.len(), 9);
    for triple in once.chunks(3) {
        assert!(triple.iter().all(|(step, _)| step.body == triple[0].0.body));
    }
    let again = play(&stripe(), Life::Duplicates).unwrap();
    assert_ne!(once[0].0.event_id, again[0].0.event_id);
}

#[test]
fn a_refund_keeps_its_id_and_its_part() {
    for (life, amount) in [(Life::Refund, 4200), (Life::PartialRefund, 2100)] {
        let steps = play(&stripe(), life).unwrap();
        let objects: Vec<&Value> = steps.iter().skip(3).map(|(_, body)| &body["data"]["object"]).collect();
        assert_eq!(objects[0]["id"], objects[1]["id"]);
        assert_eq!(
            (objects[0]["status"].as_str(), objects[1]["status"].as_str()),
            (Some("pending"), Some("succeeded"))
        );
        assert_eq!(objects[1]["amount"], amount);
        assert_eq!(objects[2]["amount_refunded"], amount);
        assert_eq!(objects[2]["refunded"], life == Life::Refund);
    }
}

#[test]
fn the_generic_presets_tell_what_they_have_words_for() {
    for name in ["generic", "generic-timestamped"] {
        let provider = SimulatedProvider::named(name).unwrap();
        let lives = provider.lives();
        assert_eq!(
            names(&lives),
            "happy, declined-then-paid, expired, out-of-order, shuffled, duplicates, stale, forged, giant, card-number"
        );
        for life in lives {
            for (step, body) in play(&provider, life).unwrap() {
                assert_eq!(body["event"], step.event_type.as_str());
                assert_eq!(body["payment"]["amount"], "42.00");
                assert_eq!(body["payment"]["id"], "pay_1");
            }
        }
        let refused = play(&provider, Life::Refund).unwrap_err().to_string();
        assert!(
            refused.contains("no event that says that the payment is refunded")
                && refused.contains("it has happy, declined-then-paid"),
            "{refused}"
        );
    }
    let unknown = SimulatedProvider::named("acme").unwrap_err().to_string();
    assert!(unknown.contains("there are some for adyen, adyen-platform"), "{unknown}");
}

#[test]
fn single_events_go_by_the_providers_name_or_the_moment() {
    for provider in all() {
        for name in provider.event_types() {
            assert_eq!(event(&provider, name, payment("pay_1"), start()).unwrap().event_type, name);
        }
        let paid = event(&provider, "captured", payment("pay_1"), start());
        assert_eq!(paid.is_ok(), provider.name() != "klarna", "{provider}");
    }
    let square = SimulatedProvider::named("square").unwrap();
    for (name, status) in [
        ("payment.updated", "COMPLETED"),
        ("payment.updated:APPROVED", "APPROVED"),
        ("payment.updated:FAILED", "FAILED"),
        ("failed", "FAILED"),
    ] {
        let body = event(&square, name, payment("pay_1"), start()).unwrap().body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["data"]["object"]["payment"]["status"], status, "{name}");
    }
    let generic = SimulatedProvider::named("generic").unwrap();
    let refused = event(&generic, "payment.lost", payment("pay_1"), start()).unwrap_err().to_string();
    assert!(refused.contains("payment.confirmed") && refused.contains("happy"), "{refused}");
}

/// Refunds and disputes were recognised by the spelling of Stripe's event types.
#[test]
fn refunds_and_disputes_are_told_apart_from_the_payment_by_their_stage() {
    for life in Life::ALL {
        for (webhook, _) in play(&stripe(), *life).unwrap() {
            let is_payment =
                ["payment_intent.", "checkout."].iter().any(|start| webhook.event_type.starts_with(start));
            assert_eq!(webhook.stage == Stage::Payment, is_payment, "{life}: {}", webhook.event_type);
        }
    }
}

#[test]
fn names_are_read_back() {
    for life in Life::ALL {
        assert_eq!(life.name().parse(), Ok(*life));
    }
    assert_eq!(Life::ThreeDSecure.name(), "three-d-secure");
    assert_eq!("dispute".parse(), Ok(Life::DisputeLost));
    assert_eq!("nonsense".parse::<Life>(), Err(UnknownLife));
}

#[test]
fn a_file_of_one_s_own_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("acme.toml");
        std::fs::write(&path, text).unwrap();
        SimulatedProvider::from_file("acme", &path).map_err(|why| why.to_string())
    };
    let good = read("[[objects]]\ndata = '{\"id\":\"$payment\"}'\nevents = { captured = \"paid\" }").unwrap();
    let body = event(&good, "paid", payment("a\"b"), start()).unwrap().body;
    assert_eq!(body, br#"{"id":"a\"b"}"#);
    for (text, expected) in [
        ("[[objects]]\ndata = '$amout'\nevents = { captured = \"paid\" }", "no value `$amout`"),
        ("[[objects]]\ndata = ''\nevents = { paid = \"paid\" }", "unknown variant `paid`"),
        ("surprise = 1\nobjects = []", "unknown field `surprise`"),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains(expected) && said.contains("acme.toml"), "{said}");
    }
    let missing = SimulatedProvider::from_file("acme", &folder.path().join("none.toml")).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}
