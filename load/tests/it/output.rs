//! The output of a run: figures, a page, a comparison.

use super::{Fault, Server, load, run_against, tool};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

/// A running `bare` server. Dropping it kills the process.
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
fn the_page_tells_date_version_and_machine() {
    let outcome = run_against(Fault::None);
    let page = fs::read_to_string(outcome.path("report.html")).unwrap();
    let machine = outcome.report["machine"].as_array().unwrap();
    let told: Vec<_> = machine.iter().take(4).map(|entry| entry[1].as_str().unwrap()).collect();
    let [processor, cores, memory, kernel] = told[..] else { panic!("{told:?}") };
    let kernel_now = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(kernel.contains(kernel_now.trim()), "{kernel}");
    let started = i64::try_from(outcome.report["started"].as_u64().unwrap()).unwrap();
    let date = jiff::Timestamp::from_second(started).unwrap().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    for told in [
        format!("Begun on {date}, with load {}", env!("CARGO_PKG_VERSION")),
        format!("{processor}, {cores} cores, {memory}, {kernel}"),
    ] {
        assert!(page.contains(&told), "{told}: {page}");
        assert!(told.starts_with("Begun") || !told.contains("unknown"), "{told}");
    }
    assert!(outcome.text.contains(&date), "{}", outcome.text);
}

/// The title and the number of lines of each chart of the page.
fn charts(page: &str) -> Vec<(&str, usize)> {
    let of = |figure: &str| figure.split("</figure>").next().unwrap().matches("<polyline").count();
    page.split("<figure><figcaption>")
        .skip(1)
        // Each line stands in the legend and in the drawing.
        .map(|figure| (figure.split('<').next().unwrap(), of(figure) / 2))
        .collect()
}

#[test]
fn the_page_has_a_chart_for_what_was_measured_and_no_empty_one() {
    let bare = Bare::start();
    let server = format!("--dialect plain --public {} --pid {}", bare.1, bare.0.id());
    let page = |words: &str| {
        let outcome = load(&format!("{words} {server}"));
        assert_eq!(outcome.code, Some(0), "{}", outcome.text);
        fs::read_to_string(outcome.path("report.html")).unwrap()
    };
    let held = page("hold --sizes 50,100 --seconds 1");
    let expected = [
        ("Latency by percentile", 1),
        ("Streams over time", 1),
        ("The server's memory over time", 1),
        ("Memory by number of streams", 2),
    ];
    assert_eq!(charts(&held), expected, "{held}");
    let posted = page("fanout --streams 20 --rate 50 --seconds 3");
    let titles: Vec<_> = charts(&posted).into_iter().map(|(title, _)| title).collect();
    let expected =
        ["Latency by percentile", "Rates over time", "Streams over time", "The server's memory over time"];
    assert_eq!(titles, expected, "{posted}");
}

#[test]
fn two_reports_are_compared_under_the_names_of_their_files() {
    let (before, after) = (run_against(Fault::None), run_against(Fault::Doubled));
    let renamed = after.path("doubled.json");
    fs::rename(after.path("report.json"), &renamed).unwrap();
    let output = tool().arg("compare").arg(before.path("report.json")).arg(renamed).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let head = text.lines().find(|line| line.ends_with("ratio")).unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["report.json", "doubled.json", "ratio"]);
    for words in ["delivery p99", "PROBLEM in doubled.json: 8 events duplicated"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn secrets_do_not_reach_the_report() {
    let server = Server::start(Fault::None);
    let words = "hold --sizes 1 --seconds 0 --token not-to-be-seen";
    let outcome = load(&format!("{words} --public {}", server.address));
    let json = fs::read_to_string(outcome.path("report.json")).unwrap();
    assert!(!json.contains("not-to-be-seen") && json.contains("--token"), "{json}");
}

#[test]
fn every_report_tells_what_a_stream_costs_the_server_and_the_kernel() {
    let bare = Bare::start();
    let server = format!("--dialect plain --public {} --pid {}", bare.1, bare.0.id());
    let outcome = load(&format!("unicast --streams 4000 --rate 100 --seconds 0.5 {server}"));
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    // What the kernel has for both ends of 4,000 sockets is some 32 MB, far above what else happens on the machine meanwhile.
    assert!(outcome.text.contains("kernel memory per stream, both ends"), "{}", outcome.text);
    let anonymous = |when: &str| outcome.report[when]["server"]["anonymous"].as_u64().unwrap();
    assert!(anonymous("opened") >= anonymous("before"), "{}", outcome.text);
    assert_eq!(outcome.report["opened"]["streams"], 4000);
}
