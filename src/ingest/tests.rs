use super::*;
use crate::{
    payment::{Name, Time, Trust},
    source::{Signer, Source, SourceSettings, Sources, UnsignedDelivery, testing::MAX_EVENTS},
    store::{Conflict, OutcomeKind, ReasonCode, Record, RecordLog},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) use fake::Fake;

mod card_data;
mod every_preset;
mod fake;
mod pending;
mod senders;

const SECRET: &str = "whsec_8f3b1c2d9a7e55aa";
const PAN: &str = "4242424242424242";

fn source_of(name: &str, preset: &str) -> Source {
    Source::build(settings_of(name, preset)).unwrap()
}

fn settings_of(name: &str, preset: &str) -> SourceSettings {
    SourceSettings::new(name, preset, "shop".parse().unwrap(), SECRET.into())
}

struct Bench {
    ingest: Ingest,
    store: Arc<Fake>,
    metrics: Arc<Metrics>,
    signer: Source,
    sources: Sources,
    /// Ingest notifies this of pending confirmations.
    hints: Arc<Notify>,
}

fn now() -> Time {
    Time::from_unix_s(1_790_000_000).unwrap()
}

fn bench(limits: &Limits) -> Bench {
    bench_of(limits, "generic")
}

fn bench_of(limits: &Limits, preset: &str) -> Bench {
    let (store, metrics) = (Arc::new(Fake::default()), Arc::new(Metrics::new()));
    let hints = Arc::new(Notify::new());
    let (kept, counted) = (Arc::<Fake>::clone(&store), Arc::clone(&metrics));
    let parts = crate::store::fake::parts(kept.clone(), &metrics);
    let ingest = Ingest::new(kept, parts, counted, Live::new(*limits), Arc::clone(&hints));
    let sources = Sources::new(vec![source_of("acme", preset)]);
    Bench { ingest, store, metrics, signer: source_of("acme", preset), sources, hints }
}

impl Bench {
    fn signed(&self, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let delivery = UnsignedDelivery::new(body, "msg_1", now());
        for (name, value) in self.signer.sign(&delivery, Signer::Secret).unwrap().headers {
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    async fn post(&self, headers: &HeaderMap, body: &[u8]) -> Reply {
        self.deliver("acme", Delivery { headers, query: "", body, received_at: now(), peer: None }).await
    }

    async fn deliver(&self, source: &str, delivery: Delivery<'_>) -> Reply {
        self.ingest.deliver(&self.sources.get(source).unwrap(), delivery).await
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        self.ingest.refused(&self.sources.get("acme").unwrap(), refusal, now(), None)
    }

    /// Posts a body with a valid signature, and returns the status with the outcome or reason of the answer.
    async fn send(&self, body: &str) -> (u16, String) {
        said(&self.post(&self.signed(body.as_bytes()), body.as_bytes()).await)
    }

    fn counted(&self, outcome: &str, reason: &str) -> u64 {
        self.metric(&format!(r#"events_total{{source="acme",outcome="{outcome}",reason="{reason}"}}"#))
    }

    /// The deliveries that say how well the gateway works, and those of them that failed by our own fault.
    fn webhooks(&self) -> (u64, u64) {
        let [all, failed] = ["webhooks_total", "webhooks_failed_total"]
            .map(|name| self.metric(&format!(r#"{name}{{source="acme"}}"#)));
        (all, failed)
    }

    /// The value of a counter, or 0 if nothing was counted.
    fn metric(&self, series: &str) -> u64 {
        let (line, text) = (format!("paystream_{series} "), self.metrics.render());
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

fn said(reply: &Reply) -> (u16, String) {
    let word = match &reply.body {
        ReplyBody::Problem { reason, .. } => (*reason).to_owned(),
        ReplyBody::Json(body) | ReplyBody::Text(body) => {
            let body: Value = serde_json::from_str(body).unwrap();
            body.get("reason").or(body.get("outcome")).unwrap().as_str().unwrap().to_owned()
        }
    };
    (reply.status, word)
}

fn event(id: &str, payment: &str) -> String {
    json!({ "id": id, "event": "payment.confirmed", "timestamp": 1_789_999_999,
            "payment": { "id": payment, "status": "confirmed", "amount": "12.34", "currency": "EUR" } })
    .to_string()
}

#[tokio::test]
async fn i7_every_delivery_has_one_outcome_that_answer_and_metrics_agree_on() {
    let bench = bench(&Limits { json_depth: 4, ..Limits::default() });
    for (body, status, outcome, reason) in [
        (event("evt_1", "pay_1"), 200, "accepted", ""),
        (event("evt_1", "pay_1"), 200, "duplicate", ""),
        (event("evt_2", "pay_1").replace("confirmed\"", "noticed\""), 200, "ignored", ""),
        ("{".to_owned(), 200, "quarantined", "not_json"),
        (String::new(), 200, "quarantined", "not_json"),
        ("[[[[[]]]]]".to_owned(), 200, "quarantined", "too_deep"),
        ("{}".to_owned(), 200, "quarantined", "missing_type"),
        (event("evt_3", "pay 1"), 200, "quarantined", "bad_payment_id"),
        (event("evt_4", PAN), 200, "quarantined", "pan_like_id"),
    ] {
        let before = bench.counted(outcome, reason);
        let word = if reason.is_empty() { outcome } else { reason };
        assert_eq!(bench.send(&body).await, (status, word.to_owned()), "{body}");
        assert_eq!(bench.counted(outcome, reason), before + 1, "{body}");
    }
    assert_eq!(bench.store.events.lock().unwrap().len(), 1);
    assert_eq!(bench.webhooks(), (9, 0));
}

#[tokio::test]
async fn what_is_kept_of_a_delivery_is_its_event() {
    let bench = bench(&Limits::default());
    bench.send(&event("evt_1", "pay_1")).await;
    let kept = bench.store.events.lock().unwrap()[0].clone();
    assert_eq!(kept.subject.to_string(), "shop/payment/pay_1");
    assert_eq!((&*kept.source, &*kept.provider, &*kept.kind), ("acme", "generic", "payment.confirmed"));
    assert_eq!((kept.received_at, kept.trust, kept.live), (now(), Trust::Verified, true));
    let line = bench.store.first(RecordLog::Deliveries).await;
    assert_eq!((line.outcome, line.reason, &*line.source), (OutcomeKind::Accepted, None, "acme"));
    assert_eq!((line.at, line.seq), (now(), Some(1)));
    assert_eq!((line.event.as_deref(), line.kind.as_deref()), (Some("evt_1"), Some("payment.confirmed")));
    assert_eq!(line.payment.unwrap().as_str(), "pay_1");
    assert_eq!(line.bytes, Some(event("evt_1", "pay_1").len() as u64));
}

#[tokio::test]
async fn what_is_not_signed_is_refused_and_not_parsed() {
    let bench = bench(&Limits::default());
    let body = event("evt_1", "pay_1");
    let good = bench.signed(body.as_bytes());
    let with = |name: &'static str, value: &'static str| {
        let mut headers = good.clone();
        headers.insert(name, value.parse().unwrap());
        headers
    };
    for (headers, body, expected) in [
        (HeaderMap::new(), body.as_str(), (401, "missing_signature")),
        (with("x-signature", "xyz"), &body, (401, "malformed_signature")),
        (with("x-signature", "sha256=00"), &body, (401, "malformed_signature")),
        (with("x-signature", "00"), &body, (401, "bad_signature")),
        (good.clone(), "{", (401, "bad_signature")),
        (with("content-encoding", "gzip"), &body, (415, "content_encoding")),
        (with("content-encoding", "identity"), &body, (200, "accepted")),
    ] {
        let reply = bench.post(&headers, body.as_bytes()).await;
        assert_eq!(said(&reply), (expected.0, expected.1.to_owned()), "{headers:?}");
        assert_eq!(matches!(reply.body, ReplyBody::Problem { .. }), expected.0 != 200);
    }
}

#[tokio::test]
async fn i1_a_store_that_fails_is_never_acknowledged() {
    let bench = bench(&Limits::default());
    *bench.store.fails.lock().unwrap() = Some(StoreError::Unavailable("disk on fire".to_owned()));
    for body in [event("evt_1", "pay_1"), event("evt_1", "pay 1")] {
        let reply = bench.post(&bench.signed(body.as_bytes()), body.as_bytes()).await;
        assert_eq!(said(&reply), (503, "store".to_owned()), "quarantine has to be durable too");
        let ReplyBody::Problem { detail, retry_after, .. } = reply.body else { panic!("{reply:?}") };
        assert!(retry_after.is_some() && !detail.contains("fire"));
    }
    assert_eq!(bench.webhooks(), (2, 2));
    *bench.store.fails.lock().unwrap() = None;
    assert_eq!(bench.send(&event("evt_1", "pay_1")).await, (200, "accepted".to_owned()));
}

#[tokio::test]
async fn a_conflict_is_quarantined_with_what_it_was_about() {
    let bench = bench(&Limits::default());
    *bench.store.conflicts.lock().unwrap() = Some(Conflict::FactsDiffer);
    assert_eq!(bench.send(&event("evt_1", "pay_1")).await, (200, "facts_differ".to_owned()));
    let record = bench.store.first(RecordLog::Quarantine).await;
    let line = bench.store.first(RecordLog::Deliveries).await;
    let same = Record { log: RecordLog::Deliveries, held: None, found: None, ..record.clone() };
    assert_eq!(same, line, "both logs say the same");
    assert_eq!(
        (record.outcome, record.reason),
        (OutcomeKind::Quarantined, ReasonCode::known("facts_differ"))
    );
    assert_eq!((record.event.as_deref(), record.place.as_deref()), (Some("evt_1"), Some("log")));
    assert_eq!(record.payment.unwrap().as_str(), "pay_1");
}

/// The process dies, or the store is away, after the event is appended and before its record is settled.
#[tokio::test]
async fn i2_a_replay_that_broke_off_is_repeated_with_the_same_answer() {
    let bench = bench(&Limits::default());
    *bench.store.conflicts.lock().unwrap() = Some(Conflict::LogFull);
    assert_eq!(bench.send(&event("evt_1", "pay_1")).await, (200, "log_full".to_owned()));
    *bench.store.conflicts.lock().unwrap() = None;
    let id = bench.store.first(RecordLog::Quarantine).await.held.unwrap();
    let source = bench.sources.get("acme").unwrap();
    *bench.store.unsettled.lock().unwrap() = Some(StoreError::Overloaded);
    assert!(bench.ingest.replay(&source, id).await.is_err());
    assert_eq!(bench.store.events.lock().unwrap().len(), 1, "it is appended");
    for _ in 0..2 {
        let said = bench.ingest.replay(&source, id).await.unwrap();
        let event = &said["events"][0];
        assert_eq!(
            (&said["settled"], &event["outcome"], &event["seq"]),
            (&json!(true), &json!("accepted"), &json!(1))
        );
        assert_eq!(
            (&event["before"]["status"], &event["after"]["status"]),
            (&json!("unknown"), &json!("captured"))
        );
    }
    let events = bench.store.events.lock().unwrap();
    assert_eq!(
        (events.len(), events[0].received_at),
        (1, now()),
        "once, as of the time when it was received"
    );
}

/// A quarantine without room does not drop the event: the provider sends it again.
#[tokio::test]
async fn an_event_that_finds_no_room_in_quarantine_is_deferred() {
    let bench = bench(&Limits::default());
    *bench.store.is_full.lock().unwrap() = true;
    *bench.store.conflicts.lock().unwrap() = Some(Conflict::FactsDiffer);
    assert_eq!(bench.send(&event("evt_1", "pay_1")).await, (503, "quarantine_full".to_owned()));
    assert!(bench.store.records.lock().unwrap().iter().all(|record| record.log == RecordLog::Deliveries));
}

#[tokio::test]
async fn i8_no_card_data_leaves_but_by_an_id() {
    let bench = bench(&Limits::default());
    let mut leaky: Value = serde_json::from_str(&event("evt_1", "pay_1")).unwrap();
    leaky["note"] = json!(PAN);
    leaky["payment"]["tx_hash"] = json!(PAN);
    leaky["payment"]["card"] = json!({ "number": PAN, "cvc": "123" });
    bench.send(&leaky.to_string()).await;
    leaky["event"] = json!(format!("payment.{PAN} cvc=123\r\n"));
    bench.send(&leaky.to_string()).await;
    leaky["payment"]["id"] = json!("4242-4242-4242-4242");
    leaky["event"] = json!("payment.failed");
    bench.send(&leaky.to_string()).await;
    bench.store.first(RecordLog::Deliveries).await;
    bench.store.first(RecordLog::Quarantine).await;
    let all = {
        let (events, records) = (bench.store.events.lock().unwrap(), bench.store.records.lock().unwrap());
        let held = bench.store.held.lock().unwrap();
        assert_eq!(held.len(), 1, "with its body");
        format!("{}{}{}", json!(*events), json!(*records), json!(*held))
    };
    assert!(!all.contains(PAN) && !all.contains("4242-4242-42") && !all.contains("123\\r"), "{all}");
}

#[tokio::test]
async fn failed_signatures_are_limited_and_good_ones_never() {
    let bench = bench(&Limits { failed_signatures_per_second: 2, ..Limits::default() });
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(bench.post(&HeaderMap::new(), b"{}").await.status);
    }
    assert_eq!(statuses[..2], [401, 401]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(bench.counted("rejected", "missing_signature"), 20);
    assert!(bench.metric(r#"limit_hits_total{reason="failed_signatures_per_second"}"#) > 0);
    for n in 0..20 {
        assert_eq!(bench.send(&event(&format!("evt_{n}"), "pay_1")).await.0, 200);
    }
}

#[tokio::test]
async fn deliveries_beyond_the_bound_are_deferred() {
    let bench = bench(&Limits { deliveries: 1, ..Limits::default() });
    let gate = bench.store.gate.lock().await;
    let (first, second) = (event("evt_1", "pay_1"), event("evt_2", "pay_1"));
    let waiting = bench.send(&first);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        reply = &mut waiting => panic!("the store was not waited for: {reply:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(bench.send(&second).await, (503, "overload".to_owned()));
    drop(gate);
    assert_eq!(waiting.await, (200, "accepted".to_owned()));
    assert_eq!(bench.send(&second).await, (200, "accepted".to_owned()));
    assert!(bench.metrics.render().contains(r#"limit_hits_total{reason="deliveries"} 1"#));
}

#[tokio::test]
async fn what_was_not_read_ends_in_an_outcome_too() {
    for (refusal, status, outcome, reason) in [
        (Refusal::TooLarge(1), 413, "rejected", "body_too_large"),
        (Refusal::Slow(Duration::from_secs(1)), 408, "rejected", "body_timeout"),
        (Refusal::Broken, 400, "rejected", "broken_body"),
        (Refusal::Overload, 503, "deferred", "overload"),
        (Refusal::Defect, 503, "deferred", "defect"),
    ] {
        let bench = bench(&Limits::default());
        let reply = bench.refuse(refusal);
        assert_eq!(reply.status, status, "{refusal:?}");
        let ReplyBody::Problem { reason: said, retry_after, .. } = reply.body else { panic!("{reply:?}") };
        assert_eq!((said, retry_after.is_some()), (reason, status == 503), "{refusal:?}");
        assert_eq!(bench.counted(outcome, reason), 1, "{refusal:?}");
        assert_eq!(bench.store.first(RecordLog::Deliveries).await.outcome.word(), outcome, "{refusal:?}");
    }
}

#[tokio::test]
async fn a_storm_of_unread_bodies_does_not_fill_the_log() {
    let bench = bench(&Limits { failed_signatures_per_second: 2, ..Limits::default() });
    for _ in 0..20 {
        assert_eq!(bench.refuse(Refusal::Broken).status, 400);
    }
    assert_eq!(bench.counted("rejected", "broken_body"), 20);
    let metrics = bench.metrics.render();
    let hits = metrics.lines().find(|line| line.contains("failed_signatures_per_second")).unwrap();
    assert!(!hits.ends_with(" 0"), "{hits}");
}

#[tokio::test]
async fn every_event_of_a_batch_has_an_outcome_and_one_that_fails_brings_all_of_it_back() {
    let bench = bench_of(&Limits::default(), "gocardless");
    let event = |id: &str, kind: &str, links: Value| json!({ "id": id, "created_at": "2026-08-04T12:00:00.000Z", "resource_type": kind, "action": "confirmed", "links": links });
    let batch = json!({ "events": [
        event("EV1", "payments", json!({ "payment": "PM1" })),
        event("EV1", "payments", json!({ "payment": "PM1" })),
        event("EV2", "payments", json!({ "payment": "PM2" })),
        event("EV3", "mandates", json!({ "mandate": "MD1" })),
        event("EV4", "payments", json!({})),
    ] })
    .to_string();
    let headers = bench.signed(batch.as_bytes());
    *bench.store.fails.lock().unwrap() = Some(StoreError::Unavailable("away".to_owned()));
    assert_eq!(bench.post(&headers, batch.as_bytes()).await.status, 503);
    *bench.store.fails.lock().unwrap() = None;
    let reply = bench.post(&headers, batch.as_bytes()).await;
    let expected = json!({ "outcomes": { "accepted": 2, "duplicate": 1, "ignored": 1, "quarantined": 1 } });
    assert_eq!(reply, Reply { status: 200, body: ReplyBody::Json(expected.to_string()) });
    for (outcome, reason, count) in [
        ("accepted", "", 2),
        ("duplicate", "", 1),
        ("ignored", "", 2),
        ("quarantined", "missing_payment", 1),
        ("deferred", "store", 4),
    ] {
        assert_eq!(bench.counted(outcome, reason), count, "{outcome}");
    }
    let none = json!({ "events": [] }).to_string();
    assert_eq!(bench.send(&none).await, (200, "ignored".to_owned()));
    let many: Vec<Value> = (0..=MAX_EVENTS).map(|_| json!({})).collect();
    let many = json!({ "events": many }).to_string();
    assert_eq!(bench.send(&many).await, (200, "too_many_events".to_owned()));
    assert_eq!(bench.post(&HeaderMap::new(), batch.as_bytes()).await.status, 498, "as GoCardless wants it");
}

#[tokio::test]
async fn a_provider_is_answered_as_it_wants_and_a_hint_is_kept_as_one() {
    let bench = bench_of(&Limits::default(), "mollie-classic");
    let post = async |query: &str, body: &str| {
        let (headers, body) = (&HeaderMap::new(), body.as_bytes());
        bench.deliver("acme", Delivery { headers, query, body, received_at: now(), peer: None }).await
    };
    let token = format!("token={SECRET}");
    assert_eq!(said(&post(&token, "id=tr_1").await), (200, "accepted".to_owned()));
    assert_eq!(said(&post(&token, "id=tr_1").await), (200, "duplicate".to_owned()));
    for query in ["", "token=other", "token=", &format!("{token}&{token}")] {
        assert_eq!(post(query, "id=tr_1").await.status, 401, "{query}");
    }
    let kept = bench.store.events.lock().unwrap()[0].clone();
    assert_eq!(
        (kept.trust, &*kept.kind, kept.subject.to_string().as_str()),
        (Trust::Hint, "changed", "shop/payment/tr_1")
    );

    let bench = bench_of(&Limits::default(), "worldpay-wpg");
    let (headers, query) = (&HeaderMap::new(), token.as_str());
    for (body, reason) in [("<a/>", "missing_type"), ("no xml", "not_xml")] {
        let body = body.as_bytes();
        let delivery = Delivery { headers, query, body, received_at: now(), peer: None };
        let reply = bench.deliver("acme", delivery).await;
        assert_eq!(reply, Reply { status: 200, body: ReplyBody::Text("[OK]".to_owned()) });
        assert_eq!(bench.counted("quarantined", reason), 1);
    }
}

#[tokio::test]
async fn an_id_that_is_not_signed_is_kept_beside_and_identifies_nothing() {
    let bench = bench_of(&Limits::default(), "razorpay");
    let body = json!({ "event": "payment.captured", "created_at": 1_790_000_000, "payload": { "payment": { "entity": {
        "id": "pay_1", "amount": 100, "currency": "INR" } } } })
    .to_string();
    let mut headers = bench.signed(body.as_bytes());
    for (id, expected) in [("evt_1", "accepted"), ("evt_2", "duplicate")] {
        headers.insert("x-razorpay-event-id", id.parse().unwrap());
        assert_eq!(said(&bench.post(&headers, body.as_bytes()).await), (200, expected.to_owned()));
    }
    let line = bench.store.first(RecordLog::Deliveries).await;
    assert_eq!(line.unsigned_id.as_deref(), Some("evt_1"));
}

proptest! {
    #[test]
    fn whatever_a_provider_signs_is_acknowledged_and_leaves_one_line(
        kind in any::<String>(), id in any::<String>(), payment in any::<String>(), junk in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bench = bench(&Limits::default());
            let strange = json!({ "id": id, "event": kind, "payment": { "id": payment } }).to_string();
            for body in [strange.replace("payment.", ""), strange, event(&id, &payment)] {
                assert_eq!(bench.send(&body).await.0, 200);
            }
            assert_eq!(bench.post(&bench.signed(&junk), &junk).await.status, 200);
            for event in bench.store.events.lock().unwrap().iter() {
                assert!(event.kind.bytes().chain(event.id.bytes()).all(|b| b == b' ' || b.is_ascii_graphic()));
            }
        });
    }
}
