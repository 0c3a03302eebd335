use super::*;
use std::collections::BTreeSet;
use strum::VariantArray;

#[test]
fn counts_and_ratios_are_rendered() {
    let metrics = Metrics::new();
    metrics.event("acme", "rejected", "bad_signature");
    metrics.closes.count(CloseReason::Drain);
    metrics.delivery(false);
    metrics.delivery(true);
    metrics.stream_time(10, 1000, true);
    metrics.stream_time(30, 1000, false);
    let text = metrics.render();
    for line in [
        r#"paystream_events_total{source="acme",outcome="rejected",reason="bad_signature"} 1"#,
        r#"paystream_stream_closes_total{reason="drain"} 1"#,
        "paystream_webhook_success_ratio 0.5",
        "paystream_stream_uptime_ratio 0.75",
        "# UNIT paystream_append_seconds seconds",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

fn count_all<R: VariantArray + Copy + Into<&'static str>>(counts: &Counts<R>) {
    R::VARIANTS.iter().for_each(|reason| counts.count(*reason));
}

#[test]
fn label_values_are_those_that_operators_query() {
    let metrics = Metrics::new();
    count_all(&metrics.resumes);
    count_all(&metrics.closes);
    count_all(&metrics.heals);
    count_all(&metrics.store_faults);
    count_all(&metrics.limit_hits);
    count_all(&metrics.refusals);
    for outcome in ConfirmationOutcome::VARIANTS {
        metrics.confirmation("acme", *outcome);
    }
    let text = metrics.render();
    for (name, labels, values) in [
        ("stream_resumes", "reason", "erased evicted exact fresh ready rolled_back unknown_cursor"),
        ("stream_closes", "reason", "drain finished gone max_age overload stalled token_expired"),
        ("heals", "reason", "deaf elsewhere gap interrupted lagged rolled_back"),
        ("store_faults", "reason", "bad_notice connect deaf lost replicas"),
        (
            "limit_hits",
            "reason",
            "body_bytes body_timeout buffered_bytes connections control_frames deliveries delivery_records \
             failed_signatures_per_second head_timeout key_fetches open_files owed stall store_journal store_queue \
             streams",
        ),
        ("refusals", "reason", "drain forbidden overload store token"),
        (
            "confirmations",
            r#"source="acme",outcome"#,
            "appended denied given_up quarantined same store throttled unavailable unclear unknown",
        ),
    ] {
        let start = format!("paystream_{name}_total{{{labels}=\"");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&start)?.strip_suffix("\"} 1"));
        let shown: BTreeSet<_> = lines.collect();
        assert_eq!(shown, values.split_ascii_whitespace().collect(), "{name} in\n{text}");
    }
}
