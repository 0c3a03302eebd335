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
    count_all(&metrics.labels);
    count_all(&metrics.refusals);
    count_all(&metrics.admin_refusals);
    for outcome in ConfirmationOutcome::VARIANTS {
        metrics.confirmation("acme", *outcome);
    }
    let text = metrics.render();
    for (name, labels, values) in [
        ("stream_resumes", "reason", "erased evicted exact fresh label ready rolled_back unknown_cursor"),
        ("stream_closes", "reason", "drain finished gone max_age overload stalled token_expired"),
        ("heals", "reason", "deaf elsewhere gap interrupted lagged rolled_back"),
        ("store_faults", "reason", "bad_notice connect deaf lost replicas"),
        (
            "limit_hits",
            "reason",
            "admin_tokens body_bytes body_timeout buffered_bytes connections connections_per_peer control_frames deliveries delivery_records \
             failed_signatures_per_second first_head_timeout idle_connections key_fetches open_files owed \
             silent_connections_per_peer stall store_journal store_queue stray_bytes streams streams_per_payment streams_per_peer streams_per_realm streams_per_token",
        ),
        (
            "refusals",
            "reason",
            "bad_claim bad_signature drain expired forbidden lifetime_too_long malformed_token missing_kid missing_token \
             never_valid not_yet_valid operator_not_allowed overload realm_not_allowed store unknown_key \
             wrong_algorithm wrong_audience",
        ),
        ("labels", "reason", "bound full left_out renewed"),
        ("admin_refusals", "reason", "closed host missing_token wrong_token"),
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

#[test]
fn the_process_is_described_under_the_names_of_prometheus_own_libraries() {
    let text = Metrics::new().render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
    };
    let now = crate::clock::now().unix_ms() as f64 / 1000.0;
    for (name, least, most) in [
        ("process_cpu_seconds_total", 0.0, 1e6),
        ("process_resident_memory_bytes", 1e5, 1e12),
        ("process_virtual_memory_bytes", 1e5, 1e15),
        ("process_start_time_seconds", now - 86_400.0, now + 5.0),
        ("process_threads", 2.0, 1e5),
        ("process_open_fds", 3.0, 1e6),
        ("process_max_fds", 64.0, 1e10),
    ] {
        assert!((least..=most).contains(&value(name)), "{name} is {}", value(name));
    }
    let build = format!(
        "paystream_build_info{{version=\"{}\",profile=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION"),
        profile()
    );
    assert!(text.contains(&build), "{text}");
}

#[test]
fn the_disk_has_no_series_until_there_is_one() {
    let metrics = Metrics::new();
    assert!(!metrics.render().contains("paystream_disk_free_bytes "), "0 bytes would be an alarm");
    metrics.disk(DiskSpace { free: 5, size: 9 });
    let text = metrics.render();
    assert!(text.contains("paystream_disk_free_bytes 5\n"), "{text}");
    assert!(text.contains("paystream_disk_size_bytes 9\n"), "{text}");
}
