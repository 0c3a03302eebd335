//! Measures single steps of the way from a webhook to a stream, each alone.
//!
//!     cargo bench --bench steps                # times, by criterion
//!     tests/bench-compare                      # instructions, beside the stored baseline
//!
//! On a busy machine, times say little about a change of a few percent, but counts of instructions do. `tests/bench-compare` therefore
//! runs this program under valgrind, with the name of a step and a number in `PAYSTREAM_BENCH`: it then takes the step as often and
//! ends. Two such runs show what one step costs.
//!
//! | file | steps |
//! |---|---|
//! | `delivery` | a whole delivery without its store, its verification, its mapping, and the bare signature |
//! | `fold`     | events to a state |
//! | `watching` | a log to frames, and a notice to those who watch |
//! | `append`   | events to the embedded store, without and with the index of all payments |
//! | `stubs`    | the store that the others have, and events |

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up ends, and names its steps on the standard output"
)]

mod append;
mod delivery;
mod fold;
mod stubs;
mod watching;

use criterion::Criterion;
use std::env;

/// The allocator of the program.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One step. What it needs is built when it is chosen.
struct Step {
    name: &'static str,
    /// How often it is taken for a count of instructions: enough that what happens once in a while averages out.
    times: u32,
    build: fn() -> Box<dyn FnMut()>,
}

const STEPS: [Step; 9] = [
    Step { name: "deliver", times: 400, build: delivery::deliver },
    Step { name: "verify", times: 400, build: delivery::verify },
    Step { name: "map", times: 1_000, build: delivery::map },
    Step { name: "hmac", times: 1_000, build: delivery::hmac },
    Step { name: "fold", times: 2_000, build: fold::fold },
    Step { name: "encode", times: 500, build: watching::encode },
    Step { name: "wake", times: 200, build: watching::wake },
    Step { name: "append", times: 50, build: append::append },
    Step { name: "index", times: 50, build: append::index },
];

fn main() {
    match env::var("PAYSTREAM_BENCH").ok().as_deref() {
        None => measure_times(),
        Some("list") => STEPS.iter().for_each(|step| println!("{} {}", step.name, step.times)),
        Some(wanted) => {
            let (name, times) = wanted.split_once(':').unwrap();
            let mut step = (STEPS.iter().find(|step| step.name == name).unwrap().build)();
            (0..times.parse::<u32>().unwrap()).for_each(|_| step());
        }
    }
}

fn measure_times() {
    let mut criterion = Criterion::default().configure_from_args();
    for step in STEPS {
        criterion.bench_function(step.name, |bencher| {
            let mut step = (step.build)();
            bencher.iter(&mut step);
        });
    }
    criterion.final_summary();
}
