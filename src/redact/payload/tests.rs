use super::*;
use serde_json::json;

fn all(value: &Value) -> Masked {
    payload(value, &Exact::default())
}

#[test]
fn card_data_and_secrets_are_masked_wherever_they_stand_and_the_rest_is_kept() {
    let value = json!({
        "id": "evt_1", "amount": 1250, "name": "José Müller", "when": "2026-11-30T10:00:00Z",
        "note": "card 4111 1111 1111 1111, thanks",
        "pan": { "a": 1 }, "card": { "number": "4111111111111111", "last4": "1111" }, "cvv": 123,
        "numeric": 4_111_111_111_111_111_u64,
        "spread": [4111, 1111, 1111, 1111],
        "4111111111111111": "x",
        "client_secret": "pi_1_x", "auth": { "accessToken": "abc" }, "any": "pi_1_secret_9", "key": "sk_live_1", "is_signed": true,
        "url": "https://user:pass@shop.example/return?token=abc&order=7",
        "line": "one\r\ntwo\u{1b}[31m", "nested": "{\"cvc\":\"123\"}",
    });
    let Masked { payload, mut changed } = all(&value);
    let expected = json!({
        "id": "evt_1", "amount": 1250, "name": "José Müller", "when": "2026-11-30T10:00:00Z",
        "note": "card 4111 11** **** 1111, thanks",
        "pan": "***", "card": { "number": "***", "last4": "1111" }, "cvv": "***",
        "numeric": "411111******1111",
        "spread": ["***", "***", "***", "***"],
        "411111******1111": "x",
        "client_secret": "***", "auth": { "accessToken": "***" }, "any": "***", "key": "***", "is_signed": true,
        "url": "https://shop.example/return?***",
        "line": "one\\u{d}\\u{a}two\\u{1b}[31m", "nested": "{\"cvc\":***\"}",
    });
    assert_eq!(payload, expected);
    changed.sort_unstable();
    let mut places = vec![
        "/note",
        "/pan",
        "/card/number",
        "/cvv",
        "/numeric",
        "/spread/0",
        "/spread/1",
        "/spread/2",
        "/spread/3",
        "/411111******1111",
        "/client_secret",
        "/auth/accessToken",
        "/any",
        "/key",
        "/url",
        "/line",
        "/nested",
    ];
    places.sort_unstable();
    assert_eq!(changed, places);
}

/// Of all times in milliseconds, one in ten passes Luhn's check. A mask would change what the event is about.
#[test]
fn ids_times_and_amounts_are_kept_unless_they_are_card_numbers() {
    for (id, is_kept) in [
        ("order-1733000000008", true),
        ("1733000000008", true),
        ("4111111111111111", false),
        ("order-4111-1111-1111-1111", false),
        ("é1733000000008", false),
    ] {
        let value = json!({ "id": id });
        let mut exact = Exact::default();
        exact.values.insert(ptr::from_ref(&value["id"]));
        let masked = payload(&value, &exact);
        assert_eq!(masked.changed.is_empty(), is_kept, "{id} {masked:?}");
        exact.vouched.insert(ptr::from_ref(&value["id"]));
        assert_eq!(payload(&value, &exact).payload, value, "{id} is vouched for");
    }
    for (amount, is_kept) in [("1733000000008", true), ("411111111111111100", false), ("10.00", true)] {
        let value: Value = serde_json::from_str(&format!(r#"{{"amount":{amount}}}"#)).unwrap();
        let mut exact = Exact::default();
        exact.values.insert(ptr::from_ref(&value["amount"]));
        let masked = payload(&value, &exact);
        assert_eq!(masked.payload == value, is_kept, "{amount}");
    }
}

#[test]
fn what_is_masked_once_stays_as_it_is() {
    let value = json!({ "a": "card 4111 1111 1111 1111 cvv 123", "b": [4111, 1111, 1111, 1111], "c": "é 1", "d": "x\ny" });
    let once = all(&value).payload;
    assert_eq!(all(&once).payload, once);
}

#[test]
fn what_lies_beside_a_value_that_is_read_in_a_secret_stays_one() {
    let value = json!({ "token": { "id": "pay_1", "value": "abcdefg", "more": [{ "pin": 1 }, "x"] }, "other": "abcdefg" });
    let (around, read) = (&value["token"], &value["token"]["id"]);
    let exact = Exact {
        values: HashSet::from([ptr::from_ref(read)]),
        read: HashSet::from([ptr::from_ref(&value), ptr::from_ref(around), ptr::from_ref(read)]),
        ..Exact::default()
    };
    let kept = json!({ "token": { "id": "pay_1", "value": "***", "more": "***" }, "other": "abcdefg" });
    assert_eq!(payload(&value, &exact).payload, kept);
}
