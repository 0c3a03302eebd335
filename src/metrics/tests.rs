use super::*;
use std::collections::BTreeSet;
use strum::VariantArray;

#[test]
fn counts_and_sums_are_rendered() {
    let metrics = Metrics::new();
    metrics.event("acme", "rejected", "bad_signature");
    metrics.closes.count(CloseReason::Drain);
    metrics.webhook("acme", false);
    metrics.webhook("acme", true);
    metrics.stream_time(10.0, 1.0);
    metrics.stream_time(30.5, 0.0);
    let text = metrics.render();
    for line in [
        r#"paystream_events_total{source="acme",outcome="rejected",reason="bad_signature"} 1"#,
        r#"paystream_stream_closes_total{reason="drain"} 1"#,
        r#"paystream_webhooks_total{source="acme"} 2"#,
        r#"paystream_webhooks_failed_total{source="acme"} 1"#,
        "paystream_stream_seconds_total 40.5",
        "paystream_stream_stale_seconds_total 10.0",
        "# UNIT paystream_append_seconds seconds",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn what_can_happen_is_shown_before_it_happens() {
    let metrics = Metrics::new();
    metrics.source("acme", true);
    metrics.source("plain", false);
    let text = metrics.render();
    for line in [
        r#"paystream_heals_total{reason="deaf"} 0"#,
        r#"paystream_limit_hits_total{reason="store_journal"} 0"#,
        r#"paystream_reloads_total{cause="secret_file",outcome="refused"} 0"#,
        "paystream_config_last_reload_successful 1",
        r#"paystream_webhooks_total{source="plain"} 0"#,
        r#"paystream_webhooks_failed_total{source="plain"} 0"#,
        r#"paystream_confirmations_total{source="acme",outcome="denied"} 0"#,
        "paystream_stream_stale_seconds_total 0.0",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
    assert!(!text.contains(r#"confirmations_total{source="plain""#), "nobody asks its provider");
    metrics.reload(ReloadCause::SecretFile, ReloadOutcome::Refused);
    assert!(metrics.render().contains("paystream_config_last_reload_successful 0\n"));
    metrics.reload(ReloadCause::SecretFile, ReloadOutcome::Done);
    assert!(metrics.render().contains("paystream_config_last_reload_successful 1\n"));
}

#[test]
fn a_rate_divides_what_the_ratios_of_earlier_versions_divided() {
    let text = Metrics::new().render();
    assert!(!text.contains("success_ratio") && !text.contains("uptime_ratio"), "{text}");
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
    count_all(&metrics.parts);
    count_all(&metrics.refusals);
    count_all(&metrics.admin_refusals);
    for outcome in ConfirmationOutcome::VARIANTS {
        metrics.confirmation("acme", *outcome);
    }
    let text = metrics.render();
    for (name, labels, values) in [
        ("stream_resumes", "reason", "erased evicted exact fresh label ready rolled_back unknown_cursor"),
        ("stream_closes", "reason", "drain finished gone max_age operator overload stalled token_expired"),
        ("heals", "reason", "deaf elsewhere gap interrupted lagged rolled_back"),
        ("store_faults", "reason", "bad_notice connect deaf lost redirected replicas topology"),
        (
            "limit_hits",
            "reason",
            "admin_tokens body_bytes body_timeout buffered_bytes connections connections_per_peer control_frames deliveries delivery_followers delivery_records \
             failed_signatures_per_peer failed_signatures_per_second first_head_timeout idle_connections key_fetches open_files owed quarantine_full quarantine_records \
             silent_connections_per_peer stall store_journal store_queue stray_bytes streams streams_per_payment streams_per_peer streams_per_realm streams_per_token \
             waiting_events",
        ),
        (
            "refusals",
            "reason",
            "bad_claim bad_signature drain expired forbidden lifetime_too_long malformed_token missing_kid missing_token \
             never_valid not_yet_valid operator_not_allowed overload realm_not_allowed store unknown_key \
             wrong_algorithm wrong_audience",
        ),
        ("labels", "reason", "bound full left_out renewed"),
        ("parts", "reason", "bound full given_up handed_over renewed waiting"),
        ("admin_refusals", "reason", "closed host missing_token read_only wrong_token"),
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
fn the_data_folder_has_no_series_until_there_is_one() {
    let metrics = Metrics::new();
    assert!(!metrics.render().contains("paystream_disk_free_bytes "), "0 bytes would be an alarm");
    metrics.disk(DiskSpace { free: 5, size: 9 });
    let text = metrics.render();
    assert!(text.contains("paystream_disk_free_bytes 5\n"), "{text}");
    assert!(text.contains("paystream_disk_size_bytes 9\n"), "{text}");
    assert!(!text.contains("paystream_journal_used_bytes "), "{text}");
    metrics.journal(JournalUse { used: 3, size: 64 });
    let text = metrics.render();
    assert!(text.contains("paystream_journal_used_bytes 3\n"), "{text}");
    assert!(text.contains("paystream_journal_size_bytes 64\n"), "{text}");
}
