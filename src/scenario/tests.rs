//! Every life is complete, has the right times, and is about one payment.

use super::*;
use serde_json::Value;

mod through_ingest;

fn start() -> Time {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn play(provider: SimulatedProvider, life: Life) -> Result<Vec<(Webhook, Value)>, Unsupported> {
    let webhooks = webhooks(provider, life, "pay_1", 4200, "EUR".parse().unwrap(), start())?;
    let with_payload = |webhook: Webhook| (webhook.clone(), serde_json::from_slice(&webhook.body).unwrap());
    Ok(webhooks.into_iter().map(with_payload).collect())
}

#[test]
fn stripe_tells_every_life_about_one_payment() {
    for life in Life::ALL {
        for (step, body) in play(SimulatedProvider::Stripe, life).unwrap() {
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
    for life in Life::ALL {
        let steps = play(SimulatedProvider::Stripe, life).unwrap();
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
        let steps = play(SimulatedProvider::Stripe, life).unwrap();
        steps.iter().map(|(_, body)| body["created"].as_i64().unwrap() - start().unix_ms() / 1000).collect()
    };
    assert_eq!(created(Life::Happy), [0, 1, 3]);
    let reversed = created(Life::OutOfOrder);
    assert!(reversed.windows(2).all(|pair| pair[0] > pair[1]), "{reversed:?}");
}

#[test]
fn a_repetition_is_the_same_to_the_byte_and_another_play_is_not() {
    let once = play(SimulatedProvider::Stripe, Life::Duplicates).unwrap();
    assert_eq!(once.len(), 9);
    for triple in once.chunks(3) {
        assert!(triple.iter().all(|(step, _)| step.body == triple[0].0.body));
    }
    let again = play(SimulatedProvider::Stripe, Life::Duplicates).unwrap();
    assert_ne!(once[0].0.event_id, again[0].0.event_id);
}

#[test]
fn a_refund_keeps_its_id_and_its_part() {
    for (life, amount) in [(Life::Refund, 4200), (Life::PartialRefund, 2100)] {
        let steps = play(SimulatedProvider::Stripe, life).unwrap();
        let objects: Vec<&Value> = steps.iter().skip(3).map(|(_, body)| &body["data"]["object"]).collect();
        assert_eq!(objects[0]["id"], objects[1]["id"]);
        assert_eq!(
            (objects[0]["status"].as_str(), objects[1]["status"].as_str()),
            (Some("pending"), Some("succeeded"))
        );
        assert_eq!(objects[1]["amount"], amount);
        assert_eq!(objects[2]["amount_refunded"], amount);
    }
}

#[test]
fn the_generic_presets_tell_what_they_have_words_for() {
    for provider in [SimulatedProvider::Generic, SimulatedProvider::GenericTimestamped] {
        let lives = provider.lives();
        assert_eq!(names(&lives), "happy, declined-then-paid, canceled, out-of-order, duplicates");
        for life in lives {
            for (step, body) in play(provider, life).unwrap() {
                assert_eq!(body["event"], step.event_type.as_str());
                assert_eq!(body["payment"]["amount"], "42.00");
                assert_eq!(body["payment"]["id"], "pay_1");
            }
        }
        let refused = play(provider, Life::Refund).unwrap_err().to_string();
        assert!(refused.contains("has no scenario refund; it has happy, declined-then-paid"), "{refused}");
    }
    let unknown = "adyen".parse::<SimulatedProvider>().unwrap_err().to_string();
    assert!(unknown.contains("there are some for stripe, generic"), "{unknown}");
}

#[test]
fn single_events_go_by_the_providers_name() {
    let one = |provider, name| event(provider, name, "pay_1", 100, "JPY".parse().unwrap(), start());
    for provider in SimulatedProvider::ALL {
        for name in provider.event_types() {
            assert_eq!(one(provider, name).unwrap().event_type, name);
        }
    }
    let refused = one(SimulatedProvider::Generic, "payment.lost").unwrap_err().to_string();
    assert!(refused.contains("payment.confirmed") && refused.contains("happy"), "{refused}");
}

/// Refunds and disputes were recognised by the spelling of Stripe's event types.
#[test]
fn refunds_and_disputes_are_told_apart_from_the_payment_by_their_stage() {
    for life in Life::ALL {
        for (webhook, _) in play(SimulatedProvider::Stripe, life).unwrap() {
            let is_payment = webhook.event_type.starts_with("payment_intent.");
            assert_eq!(webhook.stage == Stage::Payment, is_payment, "{life}: {}", webhook.event_type);
        }
    }
}

#[test]
fn names_are_read_back() {
    for provider in SimulatedProvider::ALL {
        assert_eq!(provider.name().parse(), Ok(provider));
    }
    for life in Life::ALL {
        assert_eq!(life.name().parse(), Ok(life));
    }
    assert_eq!("nonsense".parse::<Life>(), Err(UnknownLife));
}
