use super::*;
use crate::source::preset;
use serde_json::json;

const KEY_TEXT: &str = "sk_test_5f0c77aa8f3b1c2d9a7e55aa";

fn past(preset: &str) -> Past {
    let listing = preset::built_in(preset).unwrap().unwrap().backfill.unwrap();
    listing.with(&ApiSettings { client_id: None, key: KEY_TEXT.into(), url: None }).unwrap()
}

fn at(s: i64) -> Time {
    Time::from_unix_s(1_790_000_000 + s).unwrap()
}

#[test]
fn a_page_is_asked_for_at_the_provider_s_address_from_a_time_and_a_cursor_on() {
    for (preset, first, next) in [
        (
            "stripe",
            "https://api.stripe.com/v1/events?limit=50&created[gte]=1790000000",
            "&starting_after=evt_1%2B",
        ),
        (
            "gocardless",
            "https://api.gocardless.com/events?limit=100&created_at[gte]=2026-09-21T14%3A13%3A20.000Z",
            "&after=evt_1%2B",
        ),
        ("paddle", "https://api.paddle.com/events?order_by=id[DESC]&per_page=50", "&after=evt_1%2B"),
    ] {
        let past = past(preset);
        let uri = |cursor: Option<&PastCursor>| past.request(at(0), cursor).unwrap().uri().to_string();
        assert_eq!(uri(None), first, "{preset}");
        assert_eq!(uri(Some(&"evt_1+".parse().unwrap())), format!("{first}{next}"), "{preset}");
        let request = past.request(at(0), None).unwrap();
        let key = &request.headers()["authorization"];
        assert!(key.is_sensitive() && key.to_str().unwrap().contains(KEY_TEXT), "{preset}");
    }
}

#[test]
fn pages_follow_each_other_until_nothing_is_left_or_all_is_older() {
    let stripe = past("stripe");
    let event = |id: &str, s: i64| json!({ "id": id, "created": 1_790_000_000 + s });
    let read = |events: Vec<Value>, more: bool| {
        let body = json!({ "object": "list", "data": events, "has_more": more }).to_string();
        let page = stripe.page(body.as_bytes(), at(0), 64).unwrap();
        let ids: Vec<_> = page.events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        (ids, page.next.map(|next| next.to_string()))
    };
    assert_eq!(
        read(vec![event("a", 9), event("b", 5)], true),
        (vec!["a".into(), "b".into()], Some("b".into()))
    );
    assert_eq!(read(vec![event("a", 9), event("b", 5)], false).1, None);
    assert_eq!(
        read(vec![event("a", 9), event("b", -1)], true),
        (vec!["a".to_owned()], None),
        "the rest is older"
    );
    assert_eq!(read(vec![], true), (vec![], None));
    let gocardless = past("gocardless");
    let body = |after: Value| json!({ "events": [{ "id": "EV1", "created_at": "2026-09-21T15:00:00.000Z" }], "meta": { "cursors": { "after": after } } });
    let next = |after| gocardless.page(body(after).to_string().as_bytes(), at(0), 64).unwrap().next;
    assert_eq!((next(json!("EV1")), next(json!(null))), (Some("EV1".parse().unwrap()), None));
    assert_eq!(stripe.page(b"<html>", at(0), 64).unwrap_err(), PageError::NotJson);
    assert_eq!(stripe.page(b"{}", at(0), 64).unwrap_err(), PageError::NoEvents("/data".to_owned()));
}

#[test]
fn a_cursor_is_printable_and_short() {
    for text in ["", "a b", "a\n", &"x".repeat(257)] {
        assert_eq!(text.parse::<PastCursor>(), Err(PastCursorError), "{text:?}");
    }
}
