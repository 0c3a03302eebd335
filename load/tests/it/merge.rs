//! Reports of several tools as one.

use super::{Fault, Server, load, tool};
use serde_json::Value;
use std::{fs, path::Path};

/// Merges these reports. Returns the exit code, all that was printed, and the sum if one was written.
fn merge(reports: &[&Path], into: &Path) -> (Option<i32>, String, Value) {
    let output = tool().arg("merge").args(reports).arg("--json").arg(into).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let sum = fs::read(into).map_or(Value::Null, |json| serde_json::from_slice(&json).unwrap());
    (output.status.code(), text, sum)
}

fn times(report: &Value) -> u64 {
    let entries = report["seen"]["latency"].as_array().unwrap();
    entries.iter().map(|entry| entry[1].as_u64().unwrap()).sum()
}

#[test]
fn the_sum_of_two_reports_has_the_times_and_the_problems_of_both() {
    let words = "--streams 4 --payments 2 --rate 100 --seconds 1 --churn 0 --slow 0 --stalled 0 --patience 2";
    let (whole, faulty) = (Server::start(Fault::None), Server::start(Fault::Doubled));
    let [one, other] =
        [&whole, &faulty].map(|server| load(&format!("mixed --public {} {words}", server.address)));
    let into = one.path("sum.json");
    let (code, text, sum) = merge(&[&one.path("report.json"), &other.path("report.json")], &into);
    assert_eq!((code, sum["streams"].as_u64()), (Some(1), Some(8)), "{text}");
    assert_eq!(times(&sum), times(&one.report) + times(&other.report), "{text}");
    assert!(sum["problems"][0].as_str().unwrap().ends_with("report.json: 4 events duplicated"), "{text}");
    // The sum is a report like any other.
    let again = tool().arg("compare").arg(one.path("report.json")).arg(&into).output().unwrap();
    assert!(again.status.success());
}

#[test]
fn what_cannot_be_merged_is_refused_with_its_name() {
    let server = Server::start(Fault::None);
    let words = "--streams 2 --payments 2 --rate 50 --seconds 0.2 --churn 0 --slow 0 --stalled 0";
    let mixed = load(&format!("mixed --public {} {words}", server.address));
    let storm = load(&format!("storm --public {} --streams 2 --waves 1", server.address));
    let (report, into) = (mixed.path("report.json"), mixed.path("sum.json"));
    let (code, text, _) = merge(&[&report, &storm.path("report.json")], &into);
    assert!(code == Some(2) && text.contains("is of another run than"), "{text}");
    // A version before this one kept percentiles only.
    let old = mixed.path("old.json");
    let mut without = mixed.report;
    without["seen"]["latency"] = serde_json::json!({ "p50": 1.0, "p99": 2.0 });
    fs::write(&old, without.to_string()).unwrap();
    let (code, text, _) = merge(&[&report, &old], &into);
    assert!(code == Some(2) && text.contains("old.json has no histograms"), "{text}");
    let (code, text, _) = merge(&[&report], &into);
    assert!(code == Some(2) && text.contains("2 values required"), "{text}");
    assert!(!into.exists());
}
