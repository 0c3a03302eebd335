//! The timeline of a payment from what is known of it. Pure.

use crate::{
    payment::{Event, Subject, Time, Trust},
    receipts::{RECEIPT_BYTES, ReceiptKeeper, ReceiptMoment, ReceiptWord, moments},
    store::{Log, OutcomeKind, Receipt, Record},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The longest line of a receipt: a text that has no room for one more may lack some.
const LINE: usize = 48;

/// What is known of one payment.
pub(super) struct WhatIsKnown {
    /// Its log.
    pub(super) log: Log,
    /// Records of deliveries, among them those of the payment.
    pub(super) records: Vec<Record>,
    /// Its receipts: its own, and those of its labels.
    pub(super) receipts: Vec<Receipt>,
}

/// The order of moments of the same millisecond: that of cause and effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Received,
    Verified,
    Appended,
    Heard,
    FannedOut,
    Opened,
    Written,
    Shown,
    Closed,
}

/// One moment of the timeline, which is sorted by time and rank.
type Placed = (Time, Rank, Value);

/// What the streams of one token, or of one `sub`, were told.
#[derive(Default)]
struct Page {
    moments: Vec<ReceiptMoment>,
    is_truncated: bool,
}

/// The payment's receipt as JSON.
pub(super) fn shown(subject: &Subject, told: &WhatIsKnown) -> Value {
    let (nodes, pages) = by_keeper(&told.receipts);
    let mut timeline = came_in(subject, told, &nodes);
    timeline.extend(heard(&nodes));
    let mut streams = Vec::new();
    for (keeper, page) in &pages {
        let id = keeper.id();
        timeline.extend(page.moments.iter().map(|moment| of_stream(&id, moment)));
        streams.push((page.moments.iter().map(|moment| moment.at).min(), stream(keeper, page)));
    }
    timeline.sort_by_key(|(at, rank, _)| (*at, *rank));
    streams.sort_by_key(|(first, _)| *first);
    let left_out: u64 = told.receipts.iter().map(|receipt| receipt.left_out).sum();
    json!({
        "payment": subject.id,
        "realm": subject.realm,
        "timeline": timeline.into_iter().map(|(_, _, moment)| moment).collect::<Vec<_>>(),
        "streams": streams.into_iter().map(|(_, stream)| stream).collect::<Vec<_>>(),
        "sampled": left_out > 0,
        "left_out": left_out,
    })
}

/// The moments of each node and of each page, in the order of time.
fn by_keeper(receipts: &[Receipt]) -> (BTreeMap<String, Vec<ReceiptMoment>>, BTreeMap<ReceiptKeeper, Page>) {
    let (mut nodes, mut pages) = (BTreeMap::<String, Vec<_>>::new(), BTreeMap::<_, Page>::new());
    for (name, text) in receipts.iter().flat_map(|receipt| &receipt.lines) {
        match ReceiptKeeper::from_field(name) {
            Some(ReceiptKeeper::Node(node)) => nodes.entry(node).or_default().extend(moments(text)),
            Some(keeper) => {
                let page = pages.entry(keeper).or_default();
                page.moments.extend(moments(text));
                page.is_truncated |= text.len() + LINE > RECEIPT_BYTES;
            }
            None => {}
        }
    }
    nodes.values_mut().for_each(|moments| moments.sort_by_key(|moment| moment.at));
    pages.values_mut().for_each(|page| page.moments.sort_by_key(|moment| (moment.at, rank(moment.word))));
    (nodes, pages)
}

/// What the provider sent and what became of it: all entries of the log, and the deliveries beside them that are still recorded.
fn came_in(
    subject: &Subject,
    told: &WhatIsKnown,
    nodes: &BTreeMap<String, Vec<ReceiptMoment>>,
) -> Vec<Placed> {
    let mut placed = Vec::new();
    for (seq, entry) in (1..).zip(&told.log.entries) {
        let event = &*entry.event;
        let record = told.records.iter().find(|record| is_of(record, event, seq));
        placed.push(received(event, seq));
        if event.trust == Trust::Verified {
            // An event that was replayed was verified when its delivery was quarantined.
            let quarantined = || told.records.iter().find(|record| is_quarantined(record, event));
            let key = record.or_else(quarantined).and_then(|record| record.secret.as_deref());
            placed.push(moment(
                event.received_at,
                Rank::Verified,
                "verified",
                event,
                seq,
                &json!({ "key": key }),
            ));
        }
        let took_us = record.and_then(|record| record.took_us);
        let took_ms = took_us.and_then(|us| i64::try_from(us / 1000).ok()).unwrap_or_default();
        let appended = Time::from_unix_ms(event.received_at.unix_ms().saturating_add(took_ms));
        // The time until the answer is known, and a node may hear of the entry before that.
        let heard =
            nodes.values().flatten().filter(|moment| moment.word == ReceiptWord::Heard && moment.seq == seq);
        let heard = heard.map(|moment| moment.at).min().filter(|heard| *heard >= event.received_at);
        let appended = appended.unwrap_or(event.received_at);
        let appended = heard.map_or(appended, |heard| heard.min(appended));
        placed.push(moment(appended, Rank::Appended, "appended", event, seq, &json!({ "took_us": took_us })));
    }
    let entries = || (1..).zip(&told.log.entries);
    let others = told.records.iter().filter(|record| record.payment.as_ref() == Some(&subject.id));
    let others = others.filter(|record| !entries().any(|(seq, entry)| is_of(record, &entry.event, seq)));
    placed.extend(others.map(|record| {
        let said = json!({
            "at": record.at, "what": "received", "seq": record.seq, "source": record.source, "event": record.event, "type": record.kind,
            "trust": null, "outcome": record.outcome.word(), "reason": record.reason,
        });
        (record.at, Rank::Received, said)
    }));
    placed
}

/// Whether a record is that of the delivery which brought an entry.
fn is_of(record: &Record, event: &Event, seq: u64) -> bool {
    record.outcome == OutcomeKind::Accepted
        && record.seq == Some(seq)
        && record.source == event.source
        && record.at == event.received_at
        && record.payment.as_ref().is_none_or(|payment| *payment == event.subject.id)
}

/// Whether a record is that of the delivery which was quarantined, and whose replay brought an event.
fn is_quarantined(record: &Record, event: &Event) -> bool {
    record.outcome == OutcomeKind::Quarantined
        && record.source == event.source
        && record.at == event.received_at
        && record.event.as_deref() == Some(&*event.id)
        && record.secret.is_some()
}

fn received(event: &Event, seq: u64) -> Placed {
    let more = json!({ "type": event.kind, "trust": event.trust, "outcome": "accepted", "reason": null });
    moment(event.received_at, Rank::Received, "received", event, seq, &more)
}

fn moment(at: Time, rank: Rank, what: &str, event: &Event, seq: u64, more: &Value) -> Placed {
    let mut said = json!({ "at": at, "what": what, "seq": seq, "source": event.source, "event": event.id });
    if let (Value::Object(said), Value::Object(more)) = (&mut said, more) {
        said.extend(more.clone());
    }
    (at, rank, said)
}

/// What each node heard of and wrote to how many streams, once for each entry.
fn heard(nodes: &BTreeMap<String, Vec<ReceiptMoment>>) -> Vec<Placed> {
    let mut placed = Vec::new();
    for (node, moments) in nodes {
        let mut first: BTreeMap<(ReceiptWord, u64), (Time, u64)> = BTreeMap::new();
        for moment in moments {
            let (_, streams) = first.entry((moment.word, moment.seq)).or_insert((moment.at, 0));
            *streams += u64::from(moment.streams.unwrap_or_default());
        }
        placed.extend(first.into_iter().map(|((word, seq), (at, streams))| match word {
            ReceiptWord::FannedOut => {
                let said =
                    json!({ "at": at, "what": "fanned_out", "seq": seq, "node": node, "streams": streams });
                (at, Rank::FannedOut, said)
            }
            _ => (at, Rank::Heard, json!({ "at": at, "what": "heard", "seq": seq, "node": node })),
        }));
    }
    placed
}

const fn rank(word: ReceiptWord) -> Rank {
    match word {
        ReceiptWord::Heard => Rank::Heard,
        ReceiptWord::FannedOut => Rank::FannedOut,
        ReceiptWord::Opened | ReceiptWord::Resumed => Rank::Opened,
        ReceiptWord::Snapshot | ReceiptWord::Update => Rank::Written,
        ReceiptWord::Shown => Rank::Shown,
        ReceiptWord::Closed => Rank::Closed,
    }
}

fn of_stream(id: &str, moment: &ReceiptMoment) -> Placed {
    let ReceiptMoment { word, at, seq, reason, .. } = moment;
    let what: &str = match word {
        ReceiptWord::Snapshot | ReceiptWord::Update => "written",
        word => word.into(),
    };
    let mut said = json!({ "at": at, "what": what, "seq": seq, "stream": id });
    if let Value::Object(said) = &mut said {
        match word {
            ReceiptWord::Snapshot | ReceiptWord::Update => {
                said.insert("as".to_owned(), <&str>::from(word).into());
            }
            ReceiptWord::Closed => {
                said.insert("reason".to_owned(), json!(reason));
            }
            _ => {}
        }
    }
    (*at, rank(*word), said)
}

/// One line of the list of streams.
fn stream(keeper: &ReceiptKeeper, page: &Page) -> Value {
    let of = |word: ReceiptWord| page.moments.iter().filter(move |moment| moment.word == word);
    let [opened, resumed, closed] =
        [ReceiptWord::Opened, ReceiptWord::Resumed, ReceiptWord::Closed].map(|word| of(word).count());
    let last_closed = of(ReceiptWord::Closed).next_back();
    let first = of(ReceiptWord::Opened).chain(of(ReceiptWord::Resumed)).map(|moment| moment.at).min();
    let is_open = opened + resumed > closed;
    let written = page.moments.iter().filter(|moment| rank(moment.word) == Rank::Written);
    let written = written.map(|moment| {
        let word: &str = moment.word.into();
        json!({ "seq": moment.seq, "at": moment.at, "as": word })
    });
    let shown = of(ReceiptWord::Shown).map(|moment| json!({ "seq": moment.seq, "at": moment.at }));
    let (subject, token) = match keeper {
        ReceiptKeeper::Subject(subject) => (Some(subject.clone()), None),
        ReceiptKeeper::Token(token) => (None, Some(format!("{token:016x}"))),
        ReceiptKeeper::Node(_) | ReceiptKeeper::Anonymous => (None, None),
    };
    json!({
        "stream": keeper.id(),
        "subject": subject,
        "token": token,
        "opened_at": first,
        "closed_at": last_closed.filter(|_| !is_open).map(|moment| moment.at),
        "open": is_open,
        "opened": opened,
        "resumed": resumed,
        "closed": closed,
        "reason": last_closed.and_then(|moment| moment.reason.as_deref()),
        "written": written.collect::<Vec<_>>(),
        "shown": shown.collect::<Vec<_>>(),
        "truncated": page.is_truncated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Phase, Tag};
    use crate::store::{
        Entry,
        fake::{event, subject},
    };
    use std::sync::Arc;

    fn at(ms: i64) -> Time {
        Time::from_unix_ms(ms).unwrap()
    }

    #[test]
    fn the_timeline_is_in_the_order_of_time_and_of_cause_and_effect() {
        let mut event = event("pay", "evt_1", Phase::Captured);
        event.received_at = at(1000);
        let record = Record {
            took_us: Some(9_400),
            secret: Some("secret 1".into()),
            diagnosis: None,
            seq: Some(1),
            payment: Some("pay".parse().unwrap()),
            ..crate::store::fake::delivery("acme", at(1000))
        };
        let again = Record { outcome: OutcomeKind::Duplicate, at: at(1500), ..record.clone() };
        let lines = [
            ("node:web-1-7", "heard 1004 1\nfanned_out 1004 1 2\nfanned_out 2004 1 1\n"),
            (
                "sub:ann",
                "opened 900 0\nsnapshot 900 0\nupdate 1004 1\nshown 1100 1\nclosed 1200 1 gone\nresumed 1300 1\n",
            ),
            ("token:00000000000000ff", "opened 950 0\nclosed 1250 1 drain\n"),
            ("of:another-version", "opened 1 1\n"),
        ];
        let lines = lines.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let log = Log { entries: vec![Entry { tag: Tag::from_random(1), event: Arc::new(event) }] };
        let told =
            WhatIsKnown { log, records: vec![again, record], receipts: vec![Receipt { lines, left_out: 0 }] };
        let shown = shown(&subject("pay"), &told);
        let words: Vec<_> = shown["timeline"]
            .as_array()
            .unwrap()
            .iter()
            .map(|moment| moment["what"].as_str().unwrap())
            .collect();
        assert_eq!(
            words,
            [
                "opened",
                "written",
                "opened",
                "received",
                "verified",
                "appended",
                "heard",
                "fanned_out",
                "written",
                "shown",
                "closed",
                "closed",
                "resumed",
                "received"
            ]
        );
        assert_eq!(shown["timeline"][4]["key"], "secret 1");
        assert_eq!(shown["timeline"][5]["at"], "1970-01-01T00:00:01.004Z", "not after it was heard");
        assert_eq!(shown["timeline"][5]["took_us"], 9400);
        assert_eq!(shown["timeline"][7]["streams"], 3);
        assert_eq!(shown["timeline"][13]["outcome"], "duplicate");
        let [ann, other] = &shown["streams"].as_array().unwrap()[..] else { panic!("{shown}") };
        assert_eq!(
            (&ann["subject"], &ann["opened"], &ann["resumed"], &ann["closed"]),
            (&json!("ann"), &json!(1), &json!(1), &json!(1))
        );
        assert_eq!((&ann["open"], &ann["closed_at"]), (&json!(true), &json!(null)));
        assert_eq!(ann["shown"], json!([{ "seq": 1, "at": "1970-01-01T00:00:01.100Z" }]));
        assert_eq!(
            (&other["token"], &other["open"], &other["reason"]),
            (&json!("00000000000000ff"), &json!(false), &json!("drain"))
        );
        assert_eq!((&shown["sampled"], &shown["left_out"]), (&json!(false), &json!(0)));
    }

    #[test]
    fn what_has_no_room_is_told() {
        let lines = [("anonymous".to_owned(), "update 1000 1\n".repeat(300))].into();
        let receipts = vec![Receipt { lines, left_out: 7 }];
        let shown =
            shown(&subject("pay"), &WhatIsKnown { log: Log::default(), records: Vec::new(), receipts });
        assert_eq!((&shown["sampled"], &shown["left_out"]), (&json!(true), &json!(7)));
        assert_eq!(shown["streams"][0]["truncated"], true);
    }
}
