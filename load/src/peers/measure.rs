//! What is measured of each peer: workloads of this tool, and the figures of their reports that become rows of the table.

/// What a measure asks of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trial {
    /// Streams that get nothing.
    Idle,
    /// The same, on payments that have a history, which a server without a log forgets.
    History,
    /// Streams that get heartbeats only.
    Heartbeats,
    /// All streams arrive at once.
    Storm,
    /// Events at a given rate.
    Paced,
    /// Events as fast as one processor delivers them.
    Saturated,
}

/// One run of a workload, and the figures that are taken from its report.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) trial: Trial,
    pub(super) arguments: Vec<String>,
    /// The name of each row, and the beginning of the name of its figure in the report.
    pub(super) rows: &'static [(&'static str, &'static str)],
}

const WEBHOOK_ROWS: &[(&str, &str)] = &[
    ("one payment each, 5,000 events/s: p50, ms", "delivery p50"),
    ("one payment each, 5,000 events/s: p99, ms", "delivery p99"),
    ("the same from sending, between the machine's pauses: p50, ms", "undisturbed delivery p50"),
    ("the same from sending, between the machine's pauses: p99, ms", "undisturbed delivery p99"),
    ("the same: CPU µs per event, post included", "server time per event"),
    ("the same: the machine's pauses meanwhile, ms per second", "pauses of the machine"),
];

/// How many seconds pass before memory is read, so that a server has given back what only the arrival took.
const SETTLE: u64 = 5;

/// All measures, with this number of streams and this length in seconds.
pub(super) fn measures(streams: usize, seconds: u64) -> Vec<Measure> {
    let measure = |name, trial, line: String, rows| Measure {
        name,
        trial,
        arguments: line.split(' ').map(str::to_owned).collect(),
        rows,
    };
    let part = |of: usize| streams.div_ceil(of);
    let (quarter, half) = (part(4), part(2));
    vec![
        measure(
            "memory",
            Trial::Idle,
            format!("hold --sizes {quarter},{half},{streams} --seconds {SETTLE}"),
            &[
                ("memory per idle stream, own payment, B", "server memory per stream (anonymous)"),
                ("kernel memory per stream, both ends of its socket, B", "kernel memory per stream"),
            ],
        ),
        measure(
            "history",
            Trial::History,
            format!("hold --events 4 --sizes {quarter},{half},{streams} --seconds {SETTLE}"),
            &[(
                "memory per idle stream, own payment with a finished history of four events, B",
                "server memory per stream (anonymous)",
            )],
        ),
        measure(
            "shared",
            Trial::Idle,
            format!("hold --one-payment --sizes {quarter},{half},{streams} --seconds {SETTLE}"),
            &[("memory per further stream of one payment, B", "server memory per stream (anonymous)")],
        ),
        measure(
            "heartbeats",
            Trial::Heartbeats,
            format!("hold --sizes {streams} --seconds 45"),
            &[("idle streams with heartbeats, CPU %", "server's share of a processor while idle")],
        ),
        measure(
            "storm",
            Trial::Storm,
            format!("storm --streams {streams} --waves 1 --silent"),
            &[
                ("all clients arrive at once, s", "arrive"),
                ("all dropped, all return at once, s", "return 1"),
                ("both together: attempts that found a full queue", "attempts that found a full queue"),
            ],
        ),
        measure(
            "one-storm",
            Trial::Storm,
            format!("storm --one-payment --streams {streams} --waves 1 --silent"),
            &[
                ("all arrive at once at one payment, s", "arrive"),
                ("all dropped, all return at once to one payment, s", "return 1"),
            ],
        ),
        measure(
            "fanout",
            Trial::Paced,
            format!("fanout --streams {streams} --rate 1 --warm-up 3 --seconds {seconds}"),
            &[
                ("one payment, 1 event/s: CPU µs per delivery", "server time per delivery"),
                ("the same: p50, ms", "delivery p50"),
                ("the same: p99, ms", "delivery p99"),
            ],
        ),
        measure(
            "unicast",
            Trial::Paced,
            format!("unicast --streams {streams} --rate 5000 --warm-up 3 --seconds {seconds}"),
            WEBHOOK_ROWS,
        ),
        measure(
            "saturated-4",
            Trial::Saturated,
            format!("fanout --streams {streams} --in-flight 4 --seconds {seconds}"),
            &[("saturated, one payment, 4 in flight, deliveries/s", "deliveries per second")],
        ),
        measure(
            "saturated-1",
            Trial::Saturated,
            format!("fanout --streams {} --in-flight 1 --seconds {seconds}", part(10)),
            &[("saturated, a tenth of the streams, 1 in flight, deliveries/s", "deliveries per second")],
        ),
        measure(
            "saturated-64",
            Trial::Saturated,
            format!("unicast --streams {streams} --in-flight 64 --seconds {seconds}"),
            &[("saturated, one payment each, 64 in flight, events/s", "events per second")],
        ),
    ]
}
