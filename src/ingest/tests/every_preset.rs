//! Properties of every preset, whatever it signs and how. Each test checks all presets.

use super::{
    senders::{Keys, NOW_S, Post, Sender},
    *,
};
use crate::payment::Kind;
use crate::{
    source::{SourceError, testing::Scheme},
    store::{self, embedded},
};
use std::time::Duration;

/// The value of a counter whose line begins so; 0 if there is none.
fn value(metrics: &Metrics, line: &str) -> u64 {
    let text = metrics.render();
    text.lines().find_map(|found| found.strip_prefix(line)).map_or(0, |count| count.parse().unwrap())
}

/// A gateway with one source.
struct Desk {
    bench: Bench,
    preset: &'static str,
}

#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    Accepted,
    Duplicate,
    Refused,
    Else(String),
}

impl Desk {
    fn new(sender: &Sender, keys: &[Keys]) -> Self {
        Self::with(sender, sender.settings(keys))
    }

    fn with(sender: &Sender, settings: SourceSettings) -> Self {
        let limits = Limits {
            failed_signatures_per_second: u32::MAX >> 1,
            failed_signatures_per_peer: u32::MAX >> 1,
            ..Limits::default()
        };
        let bench = bench(&limits);
        bench.sources.replace(vec![Source::build(settings).unwrap()]);
        Self { bench, preset: sender.preset }
    }

    async fn take(&self, post: &Post, at: Time) -> Verdict {
        let Post { headers, query, body, .. } = post;
        let delivery = Delivery { headers, query, body, received_at: at, peer: None };
        let before = (self.kept(), self.counted("duplicate", ""));
        let reply = self.bench.deliver(self.preset, delivery).await;
        match (reply.status, self.kept() - before.0) {
            (200, 1) => Verdict::Accepted,
            (200, 0) if self.counted("duplicate", "") > before.1 => Verdict::Duplicate,
            (400 | 401 | 498, 0) => Verdict::Refused,
            _ => Verdict::Else(format!("{reply:?}")),
        }
    }

    fn kept(&self) -> usize {
        let events = self.bench.store.events.lock().unwrap();
        events.iter().filter(|event| event.subject.kind() == Kind::Payment).count()
    }

    fn counted(&self, outcome: &str, reason: &str) -> u64 {
        let source = self.preset;
        let line =
            format!(r#"paystream_events_total{{source="{source}",outcome="{outcome}",reason="{reason}"}} "#);
        let text = self.bench.metrics.render();
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

fn at(s: i64) -> Time {
    Time::from_unix_s(NOW_S + s).unwrap()
}

#[tokio::test]
async fn every_preset_takes_either_key_of_a_rotation_and_no_other() {
    use Keys::{New, Old};
    for sender in Sender::all() {
        let (payload, preset) = (sender.payload(), sender.preset);
        for both in [[Old, New], [New, Old]] {
            for keys in both {
                let verdict =
                    Desk::new(&sender, &both).take(&sender.post(keys, &payload, at(0)), at(0)).await;
                assert_eq!(verdict, Verdict::Accepted, "{preset} by {keys:?} of {both:?}");
            }
        }
        for (known, keys) in [(Old, New), (New, Old)] {
            let verdict = Desk::new(&sender, &[known]).take(&sender.post(keys, &payload, at(0)), at(0)).await;
            assert_eq!(verdict, Verdict::Refused, "{preset} by {keys:?}, knowing {known:?}");
        }
    }
}

#[tokio::test]
async fn every_preset_refuses_a_change_of_any_byte_that_is_signed() {
    for sender in Sender::all() {
        let (desk, preset) = (Desk::new(&sender, &[Keys::New]), sender.preset);
        let good = sender.post(Keys::New, &sender.payload(), at(0));
        let signed = &good.signed;
        assert!(
            !signed.body.is_empty() || !signed.headers.is_empty() || signed.query,
            "{preset} signs something"
        );
        let mut changed = Vec::new();
        for place in &signed.body {
            let mut post = good.clone();
            post.body[*place] ^= 1;
            changed.push((format!("byte {place} of the body"), post));
        }
        for name in &signed.headers {
            let value = good.headers[name].as_bytes();
            for place in 0..value.len() {
                let mut value = value.to_vec();
                value[place] ^= 1;
                let mut post = good.clone();
                post.headers.insert(name, http::HeaderValue::from_bytes(&value).unwrap());
                changed.push((format!("byte {place} of {name}"), post));
            }
            let mut post = good.clone();
            post.headers.remove(name);
            changed.push((format!("no {name}"), post));
        }
        for place in (0..good.query.len()).filter(|_| signed.query) {
            let mut query = good.query.clone().into_bytes();
            query[place] ^= 1;
            let query = String::from_utf8(query).unwrap();
            changed.push((format!("byte {place} of the query"), Post { query, ..good.clone() }));
        }
        for (what, post) in changed {
            assert_eq!(desk.take(&post, at(0)).await, Verdict::Refused, "{preset} with another {what}");
        }
        assert_eq!(desk.take(&good, at(0)).await, Verdict::Accepted, "{preset}");
    }
}

/// Returns the window of the time that a preset signs, in seconds: how old the time may be, if the preset limits it, and how far ahead.
fn window(sender: &Sender) -> Option<(Option<i64>, i64)> {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap();
    match &sender.scheme {
        Scheme::Recipe(recipe) => {
            recipe.time.as_ref().map(|time| (time.max_age.map(seconds), seconds(time.max_future)))
        }
        Scheme::Adapter(adapter) => adapter.max_age_s().map(|age| (i64::try_from(age).ok(), 60)),
    }
}

#[tokio::test]
async fn every_preset_that_signs_a_time_has_a_window_with_two_edges() {
    let mut timed = Vec::new();
    for sender in Sender::all() {
        let preset = sender.preset;
        let limited =
            SourceSettings { max_age: Some(Duration::from_secs(60)), ..sender.settings(&[Keys::New]) };
        let Some((own, future)) = window(&sender) else {
            let why = Source::build(limited).unwrap_err();
            assert!(matches!(why, SourceError::NoTime { .. }), "{preset} signs no time: {why}");
            continue;
        };
        timed.push(preset);
        let post = sender.post(Keys::New, &sender.payload(), at(0));
        let patient = SourceSettings { max_future: Some(Duration::from_secs(600)), ..limited.clone() };
        for (age, future, settings) in [
            (own, future, sender.settings(&[Keys::New])),
            (Some(60), future, limited),
            (Some(60), 600, patient),
        ] {
            let aged = age.into_iter().flat_map(|age| [(age, None), (age + 1, Some("stale_timestamp"))]);
            for (received, reason) in aged.chain([
                (-future, None),
                (-future - 1, Some("future_timestamp")),
                (-86_400, Some("future_timestamp")),
            ]) {
                let desk = Desk::with(&sender, settings.clone());
                let verdict = desk.take(&post, at(received)).await;
                let expected = if reason.is_some() { Verdict::Refused } else { Verdict::Accepted };
                assert_eq!(verdict, expected, "{preset} at {received}");
                assert!(
                    reason.is_none_or(|reason| desk.counted("rejected", reason) == 1),
                    "{preset} at {received}"
                );
            }
        }
    }
    // By their manuals, these providers sign a time.
    let expected = [
        "cashfree",
        "coinbase",
        "dlocal",
        "generic",
        "generic-timestamped",
        "mercado-pago",
        "paddle",
        "paypal",
        "plaid",
        "revolut",
        "standard-webhooks",
        "stripe",
        "svix",
    ];
    assert_eq!(timed, expected);
}

#[tokio::test]
async fn every_preset_s_replays_are_one_entry_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let history = Duration::from_secs(45 * 24 * 60 * 60);
    let settings =
        store::Settings::Embedded(embedded::Settings { path: folder.path().to_owned(), history, recent: 0 });
    let metrics = Arc::new(Metrics::new());
    let (store, _) = store::open(settings, Arc::clone(&metrics)).await.unwrap();
    let (senders, mut entries) = (Sender::all(), 0);
    for sender in &senders {
        let preset = sender.preset;
        // The fixtures of two presets may be about payments of the same name.
        let settings = SourceSettings { realm: preset.parse().unwrap(), ..sender.settings(&[Keys::New]) };
        let source = Source::build(settings).unwrap();
        let metrics = Arc::new(Metrics::new());
        let (kept, counted, hints) = (Arc::clone(&store), Arc::clone(&metrics), Arc::default());
        let parts = crate::store::fake::parts(Arc::clone(&store), &metrics);
        let ingest = Ingest::new(kept, parts, counted, Live::new(Limits::default()), hints);
        let Post { headers, query, body, .. } = &sender.post(Keys::New, &sender.payload(), at(0));
        let deliver =
            || ingest.deliver(&source, Delivery { headers, query, body, received_at: at(0), peer: None });
        let at_once = join_all([deliver(), deliver(), deliver()]).await;
        assert!(at_once.iter().all(|reply| reply.status == 200), "{preset}: {at_once:?}");
        assert_eq!(deliver().await.status, 200, "{preset}");
        for (outcome, count) in [("accepted", 1), ("duplicate", 3)] {
            let line = format!(r#"source="{preset}",outcome="{outcome}",reason=""}} {count}"#);
            assert!(metrics.render().contains(&line), "{preset}: {outcome}");
        }
        let labels = value(&metrics, "paystream_labels_total{reason=\"bound\"} ");
        let parts = value(&metrics, "paystream_parts_total{reason=\"bound\"} ");
        entries += 1 + labels + parts;
        let written: u64 = store.heads().await.unwrap().iter().flatten().map(|head| head.pos).sum();
        assert_eq!(written, entries, "{preset} wrote one entry, and one for each label and part");
    }
    store.close().await;
}
