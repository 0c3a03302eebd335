//! The dashboard and the alerts of `deploy/`: every metric that they name exists, and every panel shows something of a gateway at work.

use crate::support::{
    GENERIC_SECRET, Gateway, PATIENCE, Prometheus, Setup, Source, Store, generic, header, next_message, now_s,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn dashboard() -> Value {
    let text = fs::read_to_string(deploy().join("grafana/paystream.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The titles of the panels, with the expressions that each shows.
fn panels() -> Vec<(String, Vec<String>)> {
    let dashboard = dashboard();
    let shown = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panels = shown.map(|panel| {
        let targets = panel["targets"].as_array().unwrap().iter();
        (text(&panel["title"]), targets.map(|target| text(&target["expr"])).collect())
    });
    panels.collect()
}

/// An expression as Grafana sends it, with all jobs, instances and sources chosen.
fn as_sent(expression: &str) -> String {
    let sent = expression.replace("$__rate_interval", "10s");
    ["$job", "$instance", "$source"].iter().fold(sent, |sent, name| sent.replace(name, ".*"))
}

/// A gateway with everything that has a metric of its own: a data folder, and a source whose provider is asked.
async fn gateway() -> Gateway {
    let mut setup = Setup { store: Store::Embedded, ..Setup::default() };
    let mut asking = Source::new("mollie", "mollie-classic", "default", GENERIC_SECRET);
    // Nobody is there, and nobody is asked, since no webhook of it comes.
    asking.more = "[source.api]\nkey = \"env:MOLLIE_API_KEY\"\nurl = \"http://127.0.0.1:9\"".to_owned();
    setup.sources.push(asking);
    Gateway::with_env(setup, &[("MOLLIE_API_KEY", Path::new("test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM"))]).await
}

/// One turn of the load: what is taken, what is not, who comes and who goes.
async fn work(gateway: &Gateway, turn: u64) {
    let payment = format!("pay_{turn}");
    let mut stream = gateway.stream(&payment).await;
    next_message(&mut stream).await;
    gateway.accept(&generic("e1", "pending", &payment, now_s())).await;
    gateway.accept(&generic("e1", "pending", &payment, now_s())).await;
    next_message(&mut stream).await;
    let mut unclear = generic("e2", "pending", &payment, now_s());
    unclear["payment"]["id"] = Value::Null;
    gateway.accept(&unclear).await;
    gateway.post_raw("acme", &[], b"{}").await;
    gateway.get(&format!("/v1/payments/{payment}"), &[header("authorization", "Bearer nobody")]).await;
}

/// A metric that an expression names, and the values of its labels that it asks for.
struct Selector {
    name: String,
    /// Label and value. A value that begins with `.+` may have any beginning.
    labels: Vec<(String, String)>,
}

/// The metrics that an expression names.
fn selectors(expression: &str) -> Vec<Selector> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let mut found = Vec::new();
    let mut rest = expression;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|letter| !is_part(letter)).unwrap_or(rest.len()));
        if ["paystream_", "process_", "job:"].iter().any(|start| word.starts_with(start)) {
            let matchers = after.strip_prefix('{').and_then(|after| after.split_once('}'));
            let labels = matchers.map_or_else(Vec::new, |(matchers, _)| labels(matchers));
            found.push(Selector { name: word.to_owned(), labels });
        }
        rest = after.get(1..).unwrap_or_default();
    }
    found
}

/// The values that matchers ask for, e.g. `reason` with `streams` and with `connections` of `reason=~"streams|connections"`.
fn labels(matchers: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for matcher in matchers.split(", ") {
        // What a matcher excludes need not exist.
        let Some((label, asked)) = matcher.split_once('=').filter(|_| !matcher.contains('!')) else {
            continue;
        };
        // Whoever is scraped has the first three, and the words of events come with the events.
        let is_open = ["job", "instance", "source", "outcome"].contains(&label);
        let is_word = |letter: char| letter.is_ascii_lowercase() || "_.+|0123456789".contains(letter);
        let asked = asked.trim_start_matches('~').trim_matches('"');
        if !is_open && asked.chars().all(is_word) {
            labels.extend(asked.split('|').map(|value| (label.to_owned(), value.to_owned())));
        }
    }
    labels
}

/// Whether the text of `/metrics` has a series for the selector, with each value of its labels.
fn has(text: &str, selector: &Selector) -> bool {
    let series =
        |line: &&str| line.strip_prefix(&selector.name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let series: Vec<&str> = text.lines().filter(series).collect();
    let is_there = |(label, value): &(String, String)| {
        let wanted = match value.strip_prefix(".+") {
            Some(end) => format!("{end}\""),
            None => format!("{label}=\"{value}\""),
        };
        series.iter().any(|line| line.contains(&format!("{label}=\"")) && line.contains(&wanted))
    };
    !series.is_empty() && selector.labels.iter().all(is_there)
}

#[tokio::test]
async fn every_panel_shows_something_and_every_metric_of_a_rule_exists() {
    let gateway = gateway().await;
    let prometheus = Prometheus::scraping(&gateway).await;
    let panels = panels();
    assert!(panels.len() > 30, "{}", panels.len());
    let mut missing: BTreeSet<String> =
        panels.iter().flat_map(|(_, expressions)| expressions).map(|text| as_sent(text)).collect();
    let mut turn = 0;
    let deadline = Instant::now() + PATIENCE;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "these panels stay empty: {missing:#?}");
        work(&gateway, turn).await;
        turn += 1;
        // Two scrapes within a range are the least that a rate needs.
        if turn % 8 == 0 {
            for expression in missing.clone() {
                let is_number = |sample: &Value| {
                    sample["value"][1].as_str().is_some_and(|text| text.parse().is_ok_and(f64::is_finite))
                };
                if prometheus.query(&expression).await.iter().any(is_number) {
                    missing.remove(&expression);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rules = prometheus.rules().await;
    let text = gateway.admin("/metrics").await.text();
    let recorded: BTreeSet<&str> = rules
        .iter()
        .filter(|rule| rule["type"] == "recording")
        .map(|rule| rule["name"].as_str().unwrap())
        .collect();
    let shown = panels.iter().flat_map(|(_, expressions)| expressions.iter().map(String::as_str));
    let asked = rules.iter().map(|rule| rule["query"].as_str().unwrap()).chain(shown);
    let named: Vec<Selector> = asked.flat_map(selectors).collect();
    assert!(named.len() > 100, "{}", named.len());
    for selector in named {
        let is_there = recorded.contains(&*selector.name) || has(&text, &selector);
        assert!(is_there, "no series {}{:?} in\n{text}", selector.name, selector.labels);
    }
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    // Of a gateway that is well, nothing is told but what the load has brought about.
    let firing = prometheus.query("count by (alertname) (ALERTS{alertstate=\"firing\"})").await;
    let firing: Vec<&str> =
        firing.iter().map(|sample| sample["metric"]["alertname"].as_str().unwrap()).collect();
    assert_eq!(firing, ["PaystreamQuarantineGrows"]);
}

/// Each alert fires in some test of `promtool`, which also says for each test that no other alert fires.
#[test]
fn every_alert_is_tested_by_promtool() {
    let folder = deploy().join("prometheus");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (rules, tests) = (read("paystream.rules.yml"), read("paystream.rules.test.yml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 25, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "no test lets {alert} fire");
    }
    let output = Command::new("promtool")
        .args(["test", "rules", "paystream.rules.test.yml"])
        .current_dir(folder)
        .output()
        .expect("promtool, of Debian's package prometheus; tests/run installs it");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}

#[test]
fn the_panels_do_not_overlap_and_ask_the_chosen_data_source() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies over another panel", panel["title"]);
            }
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

/// The selectors that the test above relies on.
#[test]
fn the_names_and_labels_of_an_expression_are_found() {
    let found = selectors(
        "sum by (reason) (rate(paystream_limit_hits_total{job=~\"$job\", reason=~\"streams|.+_per_peer\", x!=\"y\"}[5m])) \
         / job:x:y > process_open_fds{job=\"paystream\"}",
    );
    let names: Vec<&str> = found.iter().map(|selector| &*selector.name).collect();
    assert_eq!(names, ["paystream_limit_hits_total", "job:x:y", "process_open_fds"]);
    let pair = |value: &str| ("reason".to_owned(), value.to_owned());
    assert_eq!(found[0].labels, [pair("streams"), pair(".+_per_peer")]);
    let text = "paystream_limit_hits_total{reason=\"streams\"} 0\npaystream_limit_hits_total{reason=\"streams_per_peer\"} 0\n";
    assert!(has(text, &found[0]) && !has(&text.replace("per_peer", "per_head"), &found[0]));
}
