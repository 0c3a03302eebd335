//! Runs that cannot be made are refused before they begin, with exit code 2 and a sentence that says what to change.

use super::{Fault, Server, tool};
use socket2::{Domain, Socket, Type};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What the tool says of a command line that it refuses.
fn refusal<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    let output = tool().args(&words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
    assert!(output.stdout.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    text
}

/// An address at which nothing listens, as long as the socket that reserves it lives.
fn silent_address() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    (socket, address)
}

#[test]
fn a_run_without_a_server_says_so_at_once() {
    let ((_socket, silent), begun) = (silent_address(), Instant::now());
    for workload in ["hold", "fanout", "unicast", "storm", "webhooks", "mixed", "soak"] {
        let text = refusal([workload, "--public", &silent]);
        for words in [silent.as_str(), "no server accepts connections", "--public", "--spawn"] {
            assert!(text.contains(words), "{workload}: {text}");
        }
    }
    let server = Server::start(Fault::None);
    let text = refusal(["fanout", "--public", &server.address.to_string(), "--ingest", &silent]);
    assert!(text.contains(&silent) && text.contains("--ingest"), "{text}");
    // A run that waits for its server takes 30 s, the default of --patience.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_the_run() {
    let (server, folder) = (Server::start(Fault::None), TempDir::new().unwrap());
    let address = server.address.to_string();
    for option in ["--html", "--json"] {
        for path in [folder.path().to_owned(), folder.path().join("missing/report")] {
            let path = path.to_str().unwrap();
            let text = refusal(["mixed", "--public", &address, "--seconds", "1", option, path]);
            assert!(text.contains(&format!("cannot write {path}")), "{option}: {text}");
        }
    }
    assert_eq!(server.connections(), 0);
    let path = folder.path().join("missing/peers.md");
    let text = refusal(["peers", "--only", "bare", "--out", path.to_str().unwrap()]);
    assert!(text.contains("cannot write"), "{text}");
}

#[test]
fn zero_streams_are_refused() {
    for words in [
        "fanout --streams 0",
        "unicast --streams 0",
        "storm --streams 0",
        "mixed --streams 0",
        "soak --streams 0",
        "hold --sizes 0",
        "hold --sizes 0,5",
        "mixed --payments 0",
        "webhooks --payments 0",
        "webhooks --in-flight 0",
        "fanout --in-flight 0",
        "storm --processes 0",
        "storm --opening 0",
        "peers --streams 0",
        "peers --repeats 0",
    ] {
        let text = refusal(words.split(' '));
        assert!(text.contains("at least 1 is needed"), "{words}: {text}");
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for words in [
        "fanout --seconds=-1",
        "fanout --seconds nan",
        "fanout --warm-up=-1",
        "fanout --rate=0",
        "fanout --rate inf",
        "fanout --rate=-1",
        "mixed --rate 1e10",
        "mixed --churn inf",
        "hold --sizes 9,5",
        "peers --only bare --measures warmth",
    ] {
        let text = refusal(words.split(' '));
        let reasons = ["seconds", "rate", "per second", "smallest", "no measure"];
        assert!(reasons.iter().any(|reason| text.contains(reason)), "{words}: {text}");
    }
}

#[test]
fn a_file_that_is_no_report_is_not_compared() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.json");
    std::fs::write(&path, "{}").unwrap();
    let path = path.to_str().unwrap();
    assert!(refusal(["compare", path, path]).contains("other.json is not a report"));
    let missing = format!("{path}.missing");
    assert!(refusal(["compare", &missing, path]).contains("cannot read"));
}

#[test]
fn more_streams_than_the_machine_holds_are_refused_before_anything_starts() {
    let begun = Instant::now();
    let text = refusal(["scale", "--spawn", "paystream", "--streams", "100000000"]);
    for words in [
        "this machine lacks something",
        "bytes of free memory are needed",
        "streaming processes are more than",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for (words, reason) in [
        ("scale --streams 10", "--spawn"),
        ("scale --streams 10 --spawn paystream --provider stripe", "--provider"),
        ("scale --streams 10 --spawn paystream --redis redis://127.0.0.1", "--redis"),
        ("scale --streams 1 --spawn paystream --rate 500 --seconds 600", "need at least 600 payments"),
        ("scale --streams 0", "at least 1 is needed"),
    ] {
        let text = refusal(words.split(' '));
        assert!(text.contains(reason), "{words}: {text}");
    }
}

#[test]
fn a_scale_whose_gateway_does_not_start_says_why() {
    let gateway = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/environment.sh");
    let text =
        refusal(["scale", "--streams", "600", "--spawn", gateway, "--seconds", "1", "--ladder-seconds", "1"]);
    assert!(text.contains("the gateway ended before it was ready"), "{text}");
}
