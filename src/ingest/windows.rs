//! The windows of the providers' retries: shows to metrics how much of each is used, and warns in time.
//!
//! A provider sends a webhook again that was not taken, but only for a while: then the event is lost, or the provider disables the endpoint. How
//! long that takes is what the preset states; since when deliveries fail is what the source has noted.

use super::secrets::SecretWatch;
use crate::{
    clock,
    metrics::{Metrics, RetryWindow},
    payment::Time,
    shutdown::Shutdown,
    source::{Failing, Retries, Source, Sources},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often the windows are looked at. The shortest known one takes two and a half minutes.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks at the windows and at the secrets of all sources until the shutdown.
pub async fn watch_windows(sources: Arc<Sources>, metrics: Arc<Metrics>, shutdown: Shutdown) {
    let (mut shown, mut secrets) = (BTreeSet::new(), SecretWatch::default());
    loop {
        let now = clock::now();
        look(&sources, &metrics, &mut shown, now);
        secrets.look(&sources.all(), now);
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = shutdown.stopped() => return,
        }
    }
}

/// Shows the windows as they are at `now`, and warns of those that are half used. `shown` are the sources whose windows are shown; those
/// of sources that are no longer configured are removed.
fn look(sources: &Sources, metrics: &Metrics, shown: &mut BTreeSet<Arc<str>>, now: Time) {
    let all = sources.all();
    for source in &all {
        show(source, metrics, now);
        if let Some(failing) = source.half_used(now) {
            warn(source, failing, now);
        }
    }
    let names: BTreeSet<Arc<str>> = all.iter().map(|source| source.shared_name()).collect();
    shown.difference(&names).for_each(|gone| metrics.forget_retry_window(gone));
    *shown = names;
}

fn show(source: &Source, metrics: &Metrics, now: Time) {
    let (failing, retries) = (source.failing(now), source.retries());
    let window = RetryWindow {
        failing: failing.map_or(Duration::ZERO, |failing| failing.age(now)),
        length: retries.window(),
        blocks: failing.is_some() && retries.blocks,
    };
    metrics.retry_window(source.name(), window);
}

fn warn(source: &Source, failing: Failing, now: Time) {
    let Retries { lost_after, disabled_after, blocks, .. } = source.retries();
    let left_s = |end: &Option<Duration>| end.map(|end| end.saturating_sub(failing.age(now)).as_secs());
    tracing::warn!(
        source = source.name(),
        since = %failing.since,
        failed = failing.failed,
        deliveries = failing.deliveries,
        lost_in_s = left_s(lost_after),
        disabled_in_s = left_s(disabled_after),
        blocks,
        "webhooks fail by our own fault, and half of the time is over for which their provider sends them again"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{DeliveryEnd, SourceSettings};

    fn at(s: i64) -> Time {
        Time::from_unix_s(1_790_000_000 + s).unwrap()
    }

    fn source(name: &str, preset: &str) -> Source {
        let secret = "whsec_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x".into();
        Source::build(SourceSettings::new(name, preset, "shop".parse().unwrap(), secret)).unwrap()
    }

    #[test]
    fn metrics_show_how_much_of_each_window_is_used() {
        let sources = Sources::new(vec![source("checkout", "checkout"), source("own", "generic")]);
        let (metrics, mut shown) = (Metrics::new(), BTreeSet::new());
        let text = |now, shown: &mut _| {
            look(&sources, &metrics, shown, at(now));
            metrics.render()
        };
        let has =
            |text: &str, line: &str| assert!(text.contains(&format!("{line}\n")), "no {line} in\n{text}");
        let before = text(0, &mut shown);
        has(&before, "paystream_webhooks_failing_seconds{source=\"checkout\"} 0");
        has(&before, "paystream_webhooks_retry_window_seconds{source=\"checkout\"} 108000");
        assert!(!before.contains("retry_window_seconds{source=\"own\"}"), "{before}");
        sources.get("checkout").unwrap().note_delivery(DeliveryEnd::Failed, at(0));
        let during = text(90, &mut shown);
        has(&during, "paystream_webhooks_failing_seconds{source=\"checkout\"} 90");
        has(&during, "paystream_webhooks_failing_seconds{source=\"own\"} 0");
        has(&during, "paystream_webhooks_queue_blocked{source=\"checkout\"} 0");
        // A reload keeps what was noted, and shows no source that is gone.
        sources.replace(vec![source("checkout", "worldpay-wpg")]);
        let reloaded = text(100, &mut shown);
        has(&reloaded, "paystream_webhooks_failing_seconds{source=\"checkout\"} 100");
        assert!(
            !reloaded.contains("source=\"own\"") && !reloaded.contains("retry_window_seconds{"),
            "{reloaded}"
        );
    }
}
