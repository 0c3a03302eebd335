//! Lives are whole, in time, and about one payment.

use super::*;
use serde_json::Value;

mod through_ingest;

fn start() -> Time {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn play(provider: &str, life: Life) -> Result<Vec<(Step, Value)>, Unsupported> {
    let steps = steps(provider, life, "pay_1", 4200, "EUR".parse().unwrap(), start())?;
    Ok(steps.into_iter().map(|step| (step.clone(), serde_json::from_slice(&step.body).unwrap())).collect())
}

#[test]
fn stripe_tells_every_life_about_one_payment() {
    for life in Life::ALL {
        for (step, body) in play("stripe", life).unwrap() {
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
        let steps = play("stripe", life).unwrap();
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
        let steps = play("stripe", life).unwrap();
        steps.iter().map(|(_, body)| body["created"].as_i64().unwrap() - start().unix_ms() / 1000).collect()
    };
    assert_eq!(created(Life::Happy), [0, 1, 3]);
    let reversed = created(Life::OutOfOrder);
    assert!(reversed.windows(2).all(|pair| pair[0] > pair[1]), "{reversed:?}");
}

#[test]
fn a_repetition_is_the_same_to_the_byte_and_another_play_is_not() {
    let once = play("stripe", Life::Duplicates).unwrap();
    assert_eq!(once.len(), 9);
    for triple in once.chunks(3) {
        assert!(triple.iter().all(|(step, _)| step.body == triple[0].0.body));
    }
    let again = play("stripe", Life::Duplicates).unwrap();
    assert_ne!(once[0].0.event_id, again[0].0.event_id);
}

#[test]
fn a_refund_keeps_its_id_and_its_part() {
    for (life, amount) in [(Life::Refund, 4200), (Life::PartialRefund, 2100)] {
        let steps = play("stripe", life).unwrap();
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
    for provider in ["generic", "generic-timestamped"] {
        let lives = Life::of_provider(provider);
        assert_eq!(names(&lives), "happy, declined-then-paid, canceled, out-of-order, duplicates");
        for life in lives {
            for (step, body) in play(provider, life).unwrap() {
                assert_eq!(body["event"], step.event_type.as_str());
                assert_eq!(body["payment"]["amount"], "42.00");
                assert_eq!(body["payment"]["id"], "pay_1");
            }
        }
        let refused = play(provider, Life::Refund).unwrap_err().to_string();
        assert!(refused.contains("cannot tell the scenario refund; it can tell: happy"), "{refused}");
    }
    assert!(matches!(play("adyen", Life::Happy), Err(Unsupported::Provider(_))));
}

#[test]
fn single_events_go_by_the_providers_name() {
    let one = |provider, name| event(provider, name, "pay_1", 100, "JPY".parse().unwrap(), start());
    for provider in PROVIDERS {
        for name in event_types(provider) {
            assert_eq!(one(provider, name).unwrap().event_type, name);
        }
    }
    let refused = one("generic", "payment.lost").unwrap_err().to_string();
    assert!(refused.contains("payment.confirmed") && refused.contains("happy"), "{refused}");
}

#[test]
fn names_are_read_back() {
    for life in Life::ALL {
        assert_eq!(life.name().parse(), Ok(life));
    }
    assert_eq!("nonsense".parse::<Life>(), Err(UnknownLife));
}
