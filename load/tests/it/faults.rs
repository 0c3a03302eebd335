//! Each fault of a server is found, counted under its own name, and reported.

use super::{Fault, Server, load, run_against};

#[test]
fn a_server_without_fault_passes() {
    for fault in [Fault::None, Fault::Dripping] {
        let outcome = run_against(fault);
        assert_eq!(outcome.code, Some(0), "{fault:?}: {}", outcome.text);
        assert_eq!(outcome.report["posted"]["accepted"], 200);
        assert_eq!(outcome.seen("deliveries"), 400);
    }
}

#[test]
fn a_lost_a_doubled_and_a_swapped_event_are_each_found() {
    // Each of the 8 streams meets the fault once.
    for (fault, expected) in [
        (Fault::Lost, [8, 0, 0, 0]),
        (Fault::Doubled, [0, 8, 0, 0]),
        (Fault::Swapped, [0, 0, 8, 0]),
        (Fault::StatusBack, [0, 0, 0, 8]),
    ] {
        let outcome = run_against(fault);
        let found = ["lost", "duplicated", "reordered", "status_back"].map(|name| outcome.seen(name));
        assert_eq!(found, expected, "{fault:?}: {}", outcome.text);
        assert_eq!(outcome.code, Some(1), "{fault:?}");
    }
}

#[test]
fn a_stream_that_is_cut_resumes_and_is_told() {
    let outcome = run_against(Fault::Cut);
    assert!(outcome.has_problem("1 streams ended without a closing"), "{}", outcome.text);
    assert_eq!((outcome.seen("lost"), outcome.seen("attempts"), outcome.code), (0, 9, Some(1)));
    assert_eq!(outcome.report["missing"], 0);
}

#[test]
fn a_server_that_is_killed_stalls_or_refuses_is_reported() {
    for (fault, words) in [
        (Fault::Killed, ["requests for a stream failed", "refused", "not sent though they were due"]),
        (Fault::Stalled, ["posts failed", "no answer", "not sent though they were due"]),
        (Fault::Refused, ["0 of 8 streams had their first message", "status 503", "failed"]),
        (
            Fault::Gibberish,
            ["0 of 8 streams had their first message", "a response that is not HTTP/1", "failed"],
        ),
    ] {
        let outcome = run_against(fault);
        assert_eq!(outcome.code, Some(1), "{fault:?}: {}", outcome.text);
        for word in words {
            assert!(outcome.has_problem(word), "{fault:?}, {word:?}: {}", outcome.text);
        }
    }
}

#[test]
fn a_throttled_server_cannot_hide_its_queue() {
    let outcome = run_against(Fault::Throttled);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    // 200 events were due within a second, and it takes two to answer them one by one: the last waited for a second.
    let acks = outcome.report["posted"]["ack"].as_array().unwrap();
    let longest_us = acks.iter().map(|entry| entry[0].as_u64().unwrap()).max().unwrap();
    assert!(longest_us > 500_000, "{longest_us} µs: {}", outcome.text);
}

#[test]
fn storms_and_churn_lose_nothing() {
    let server = Server::start(Fault::None);
    let storm = load(&format!("storm --public {} --streams 40 --waves 2", server.address));
    assert_eq!(storm.code, Some(0), "{}", storm.text);
    assert_eq!(storm.report["openings"].as_array().unwrap().len(), 3);
    let churn = "--streams 20 --payments 5 --rate 200 --seconds 1 --churn 50 --longest-wait 50";
    let mixed = load(&format!("mixed --public {} {churn} --slow 2 --stalled 2", server.address));
    assert_eq!(mixed.code, Some(0), "{}", mixed.text);
    assert!(mixed.seen("attempts") > 30, "{}", mixed.text);
}

#[test]
fn several_processes_give_one_report() {
    let server = Server::start(Fault::None);
    let words = "--streams 9 --payments 3 --rate 90 --seconds 1 --churn 0 --slow 0 --stalled 0 --processes 3";
    let outcome = load(&format!("mixed --public {} {words}", server.address));
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    assert_eq!((outcome.seen("opened"), outcome.seen("deliveries")), (9, 270));
}

#[test]
fn a_warm_up_is_checked_but_not_timed() {
    for how in ["--rate 200", "--rate 200 --processes 3", "--in-flight 1"] {
        let server = Server::start(Fault::None);
        let words = format!("--streams 5 {how} --warm-up 0.5 --seconds 0.25");
        let outcome = load(&format!("fanout --public {} {words}", server.address));
        assert_eq!(outcome.code, Some(0), "{}", outcome.text);
        let (before, accepted) = (&outcome.report["warm_up_events"], &outcome.report["posted"]["accepted"]);
        let (before, accepted) = (before.as_u64().unwrap(), accepted.as_u64().unwrap());
        let times = outcome.report["seen"]["latency"].as_array().unwrap();
        let timed: u64 = times.iter().map(|entry| entry[1].as_u64().unwrap()).sum();
        assert_eq!((timed, outcome.seen("deliveries")), (5 * accepted, 5 * (before + accepted)), "{how}");
        assert!(before > 50 && accepted > 25, "{how}: {before}, {accepted}");
        assert!(how != "--in-flight 1" || server.most_under_way() == 5, "{}", server.most_under_way());
    }
    // The fault happens during the warm-up.
    let lost = Server::start(Fault::Lost);
    let words = "--streams 2 --rate 100 --warm-up 1 --seconds 0.1 --patience 2";
    let outcome = load(&format!("fanout --public {} {words}", lost.address));
    assert_eq!((outcome.code, outcome.seen("lost") > 0), (Some(1), true), "{}", outcome.text);
}

#[test]
fn in_flight_means_delivered_to_all() {
    let server = Server::start(Fault::None);
    let outcome =
        load(&format!("fanout --public {} --streams 5 --in-flight 1 --seconds 0.5", server.address));
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    let accepted = outcome.report["posted"]["accepted"].as_u64().unwrap();
    assert!(accepted > 1 && outcome.seen("deliveries") == 5 * accepted, "{}", outcome.text);
}

#[test]
fn pauses_are_watched_for_readers_in_several_processes() {
    let server = Server::start(Fault::None);
    let words = "--streams 6 --rate 200 --seconds 2 --processes 3";
    let outcome = load(&format!("fanout --public {} {words}", server.address));
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    if outcome.text.contains("no real-time priority") {
        // Without the permission nothing watches, and the report says why.
        return;
    }
    let undisturbed = outcome.report["seen"]["undisturbed"].as_array().unwrap();
    let paused_us = outcome.report["paused_us"].as_u64().unwrap();
    // A machine without a single quiet span of 15 ms has pauses to show for it.
    assert!(!undisturbed.is_empty() || paused_us > 100_000, "{paused_us} µs: {}", outcome.text);
}

#[test]
fn all_streams_return_now_and_then_and_lose_nothing() {
    let server = Server::start(Fault::None);
    let words = "--streams 20 --payments 5 --rate 100 --seconds 3 --churn 0 --slow 0 --stalled 2 --returns 1";
    let outcome = load(&format!("soak --public {} {words}", server.address));
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    assert!((60..=80).contains(&outcome.seen("attempts")), "{}", outcome.text);
    assert!(outcome.text.contains("whether the server's memory grows cannot be told"), "{}", outcome.text);
}
