//! What a run leaves behind: figures, a page, a comparison.

use super::{Fault, load, run_against, tool};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

/// The `bare` server. Dropping it kills it.
struct Bare(Child, SocketAddr);

impl Bare {
    fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bare"))
            .args(["--listen", &address.to_string()])
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::yield_now();
        }
        Self(child, address)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_idle_stream_costs_this_tool_less_than_a_kilobyte() {
    let bare = Bare::start();
    let words = format!(
        "hold --dialect plain --public {} --pid {} --sizes 400,800,1600 --seconds 0",
        bare.1,
        bare.0.id()
    );
    let outcome = load(&words);
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    let sizes = outcome.report["sizes"].as_array().unwrap();
    let own = |index: usize| sizes[index]["own"]["anonymous"].as_u64().unwrap();
    assert!(own(2) - own(0) < 1_200 * 1_024, "{}", outcome.text);
    assert!(sizes[2]["server"]["rss"].as_u64().unwrap() > 0);
}

#[test]
fn a_plain_server_is_measured_too() {
    let bare = Bare::start();
    let outcome = load(&format!(
        "unicast --dialect plain --public {} --streams 50 --in-flight 8 --seconds 0.5",
        bare.1
    ));
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    assert!(outcome.seen("deliveries") > 50, "{}", outcome.text);
}

#[test]
fn the_page_needs_no_network_and_shows_what_went_wrong() {
    let outcome = run_against(Fault::Lost);
    let page = fs::read_to_string(outcome.path("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("8 events lost"), "{page}");
    for reference in ["http://", "https://", "<script", "src=", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn two_reports_are_compared() {
    let (before, after) = (run_against(Fault::None), run_against(Fault::Doubled));
    let output = tool()
        .arg("compare")
        .arg(before.path("report.json"))
        .arg(after.path("report.json"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("delivery p99") && text.contains("PROBLEM in the second: 8 events duplicated"),
        "{text}"
    );
}

#[test]
fn secrets_do_not_reach_the_report() {
    let outcome =
        load("storm --public 127.0.0.1:1 --streams 1 --waves 0 --patience 0 --token not-to-be-seen");
    let json = fs::read_to_string(outcome.path("report.json")).unwrap();
    assert!(!json.contains("not-to-be-seen") && json.contains("--token"), "{json}");
}
