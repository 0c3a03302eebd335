//! Catching up: after a time in which webhooks could not be taken, the providers that list their events are asked for those of that time, so that
//! what they gave up meanwhile is found.
//!
//! Such a time ends with a start of the gateway, or with the first success after failures by our own fault. Several nodes may do the same:
//! what one of them has taken is a duplicate to the others.

use super::{
    Ingest,
    backfill::{BackfillError, Backfilled},
};
use crate::{
    clock,
    payment::Time,
    shutdown::Shutdown,
    source::{Failing, PastCursor, Source, Sources},
    store::RecordLog,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often it is looked whether failures have ended.
const INTERVAL: Duration = Duration::from_secs(5);

/// Failures that took less are left to the provider's retries, in milliseconds.
const LEAST_MS: i64 = 60_000;

/// The least time between two times of failures that are caught up with, in milliseconds.
const BETWEEN_MS: i64 = 10 * 60_000;

/// By how much earlier than the last success the provider is asked, in milliseconds: its clock may differ, and events take a while to be sent.
const MARGIN_MS: i64 = 5 * 60_000;

/// The most pages that are asked for at once: some ten thousand events. An operator may ask for more.
const MOST_PAGES: u32 = 200;

/// The most records that are read to find the last delivery before the start, since the first ones after it may come sooner than they are read.
const RECORDS: usize = 64;

/// How often a page is asked for again, and after how long at first.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Catches up at the start, and after each time of failures, until the shutdown.
pub async fn catch_up(ingest: Arc<Ingest>, sources: Arc<Sources>, shutdown: Shutdown) {
    let began = clock::now();
    let working = async {
        let mut starts = Vec::new();
        for source in listing(&sources) {
            if let Some(since) = last_before(&ingest, &source, began).await {
                starts.push((source, since));
            }
        }
        // Only now, since this may take minutes, in which the other sources take webhooks.
        for (source, since) in starts {
            fill(&ingest, &source, since, "a start").await;
        }
        let (mut failing, mut last_asked) = (HashMap::new(), HashMap::new());
        loop {
            sleep(INTERVAL).await;
            let now = clock::now();
            for (source, since) in ended(&mut failing, &listing(&sources), now) {
                // Strangers can cause failures too, and must not have the provider asked all the time.
                let before: Option<Time> = last_asked.insert(source.shared_name(), now);
                if before.is_none_or(|before| now.since_ms(before) >= BETWEEN_MS) {
                    fill(&ingest, &source, since, "failures").await;
                }
            }
        }
    };
    tokio::select! {
        () = working => {}
        () = shutdown.stopped() => {}
    }
}

/// The sources whose providers list their events.
fn listing(sources: &Sources) -> Vec<Arc<Source>> {
    sources.all().into_iter().filter(|source| source.past().is_some()).collect()
}

/// When the last delivery to a source before the start was received, if there was one. Of very many since then, the oldest that was read.
async fn last_before(ingest: &Ingest, source: &Source, start: Time) -> Option<Time> {
    let page = ingest.store.records(RecordLog::Deliveries, source.name(), None, RECORDS).await;
    let records = page.ok()?.records;
    records.iter().find(|record| record.at < start).or(records.last()).map(|record| record.at)
}

/// The sources whose failures have ended, and since when they had failed. `failing` holds those that failed at the last look.
fn ended(
    failing: &mut HashMap<Arc<str>, Failing>,
    sources: &[Arc<Source>],
    now: Time,
) -> Vec<(Arc<Source>, Time)> {
    let mut over = Vec::new();
    for source in sources {
        if let Some(present) = source.failing(now) {
            failing.insert(source.shared_name(), present);
        } else if let Some(Failing { since, last, .. }) = failing.remove(source.name())
            && last.since_ms(since) >= LEAST_MS
        {
            over.push((Arc::clone(source), since));
        }
    }
    over
}

/// Takes the events of a source since a time, page by page.
async fn fill(ingest: &Ingest, source: &Source, since: Time, after: &str) {
    let since = Time::from_unix_ms(since.unix_ms() - MARGIN_MS).unwrap_or(since);
    let (mut cursor, mut events, mut new): (Option<PastCursor>, u64, u64) = (None, 0, 0);
    for _ in 0..MOST_PAGES {
        let page = match patiently(ingest, source, since, cursor.as_ref()).await {
            Ok(page) => page,
            Err(why) => {
                let source = source.name();
                tracing::warn!(source, %since, %why, "the events that the provider lists could not be taken; try paystream backfill");
                return;
            }
        };
        events += page.events;
        new += page
            .outcomes
            .iter()
            .filter(|(word, _)| **word != "duplicate")
            .map(|(_, count)| count)
            .sum::<u64>();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let (source, is_complete) = (source.name(), cursor.is_none());
    tracing::info!(source, after, %since, events, new, is_complete, "asked the provider for its events");
}

/// Asks for a page, and again if the provider or the store cannot answer now.
async fn patiently(
    ingest: &Ingest,
    source: &Source,
    since: Time,
    cursor: Option<&PastCursor>,
) -> Result<Backfilled, BackfillError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match ingest.backfill(source, since, cursor).await {
            Err(BackfillError::Throttled { retry_after }) => {
                sleep(retry_after.unwrap_or(pause).clamp(Duration::from_secs(1), Duration::from_secs(600)))
                    .await;
            }
            Err(BackfillError::Unavailable(_) | BackfillError::Deferred) => sleep(pause).await,
            answered => return answered,
        }
        pause *= 2;
    }
    ingest.backfill(source, since, cursor).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{ApiSettings, DeliveryEnd, SourceSettings};

    #[test]
    fn failures_that_took_a_while_are_caught_up_with_once_they_end() {
        let at = |s: i64| Time::from_unix_s(1_790_000_000 + s).unwrap();
        let secret = "whsec_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x";
        let api = ApiSettings { client_id: None, key: "sk_test_5f0c77aa8f3b1c2d".into(), url: None };
        let settings = SourceSettings::new("stripe", "stripe", "shop".parse().unwrap(), secret.into());
        let source = Arc::new(Source::build(SourceSettings { api: Some(api), ..settings }).unwrap());
        let (mut failing, sources) = (HashMap::new(), [Arc::clone(&source)]);
        let mut look =
            |s| ended(&mut failing, &sources, at(s)).into_iter().map(|(_, since)| since).collect::<Vec<_>>();
        assert_eq!(look(0), []);
        source.note_delivery(DeliveryEnd::Failed, at(10));
        assert_eq!(look(11), []);
        source.note_delivery(DeliveryEnd::Failed, at(100));
        assert_eq!(look(101), [], "it still fails");
        source.note_delivery(DeliveryEnd::Taken, at(170));
        assert_eq!(look(240), [at(10)]);
        assert_eq!(look(245), [], "once");
        source.note_delivery(DeliveryEnd::Failed, at(300));
        assert_eq!(look(301), []);
        source.note_delivery(DeliveryEnd::Taken, at(302));
        assert_eq!(look(400), [], "the provider's retries are enough");
    }
}
