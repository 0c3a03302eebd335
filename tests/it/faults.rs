//! Faults of Redis, of the network and of nodes, under load: what was acknowledged and survived by the durability that is
//! configured reaches every stream once and in order, or a snapshot says why not.
//!
//! | file | noun |
//! |---|---|
//! | `kind`     | the kinds of faults, and what each may cost |
//! | `cell`     | two nodes over one Redis, and a round: load, fault, agreement |
//! | `strike`   | how each fault is done |
//! | `lane`     | a payment with its provider and watchers, and what must be true of them |
//! | `provider` | posts until it is acknowledged, and remembers |
//! | `watcher`  | follows, and resumes elsewhere |
//! | `report`   | the figures |
//!
//! `PAYSTREAM_FAULTS` is the number of faults, `PAYSTREAM_FAULTS_SEED` plays a run again (what the kernel and the clock make
//! of it is theirs, so a seed narrows a failure down but does not pin it), `PAYSTREAM_FAULTS_KIND` keeps to one kind by its
//! name in the code, and `PAYSTREAM_FAULTS_REPORT` is a file for the figures.

mod cell;
mod kind;
mod lane;
mod provider;
mod report;
mod strike;
mod watcher;

use crate::support::{Random, now_s};
use cell::{Cell, Shape};
use futures_util::FutureExt as _;
use kind::Kind;
use report::Figures;
use std::{env, fs, panic::AssertUnwindSafe};
use tokio::task::JoinSet;

/// Faults unless more are asked for: each kind once, and a few twice.
const FAULTS: u64 = 27;

/// Faults for which one more set of cells is worth its while.
const FAULTS_PER_SET: u64 = 150;

/// Sets of cells at the most; each is six gateways and five servers.
const SETS: u64 = 4;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Deals the kinds out, again and again in another order, each to the least busy of the cells that it suits.
fn deal(cells: &[Shape], faults: u64, random: &mut Random) -> Vec<Vec<Kind>> {
    let only = env::var("PAYSTREAM_FAULTS_KIND").ok();
    let mut kinds: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| only.as_ref().is_none_or(|only| format!("{kind:?}") == *only))
        .collect();
    assert!(!kinds.is_empty(), "PAYSTREAM_FAULTS_KIND is one of {:?}", Kind::ALL);
    let mut hands = vec![Vec::new(); cells.len()];
    let mut left = faults;
    while left > 0 {
        random.shuffle(&mut kinds);
        for kind in kinds.iter().take(usize::try_from(left).unwrap()) {
            let mut suiting: Vec<_> = (0..cells.len()).filter(|cell| kind.suits(cells[*cell])).collect();
            random.shuffle(&mut suiting);
            let least = suiting.into_iter().min_by_key(|cell| hands[*cell].len()).unwrap();
            hands[least].push(*kind);
            left -= 1;
        }
    }
    hands
}

/// All rounds of one cell. Whatever fails is told with all that is needed to play it again.
async fn run(shape: Shape, index: usize, seed: u64, hand: Vec<Kind>) -> Figures {
    let name = format!("c{index}");
    let mut cell = Cell::start(shape, name, seed.wrapping_add(index as u64)).await;
    for (round, kind) in hand.into_iter().enumerate() {
        if let Err(failure) = AssertUnwindSafe(cell.round(kind)).catch_unwind().await {
            eprintln!("seed {seed}, cell {index} ({shape:?}), round {round}: {kind:?}\n{}", cell.logs());
            std::panic::resume_unwind(failure);
        }
    }
    cell.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_lose_nothing_repeat_nothing_and_reorder_nothing() {
    let seed = number("PAYSTREAM_FAULTS_SEED").unwrap_or_else(now_s);
    let faults = number("PAYSTREAM_FAULTS").unwrap_or(FAULTS);
    let sets = (faults / FAULTS_PER_SET).clamp(1, SETS);
    let shapes: Vec<_> = (0..sets).flat_map(|_| Shape::ALL).collect();
    let hands = deal(&shapes, faults, &mut Random::new(seed));
    let mut cells = JoinSet::new();
    for (index, (shape, hand)) in shapes.into_iter().zip(hands).enumerate() {
        cells.spawn(run(shape, index, seed, hand));
    }
    let mut figures = Figures::default();
    while let Some(done) = cells.join_next().await {
        figures.add(done.unwrap_or_else(|failure| panic!("seed {seed}: {failure}")));
    }
    assert_eq!(figures.faults() as u64, faults, "seed {seed}");
    let page = figures.page(seed);
    match env::var_os("PAYSTREAM_FAULTS_REPORT") {
        Some(path) => fs::write(path, page).unwrap(),
        None => eprintln!("{page}"),
    }
}
