//! The command line of `load peers`.

use super::peer::{Peer, Programs};
use crate::values;
use clap::Args;
use std::path::PathBuf;

/// Which peers are measured, and for how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) programs: Programs,
    /// Peers to measure; by default all whose programs are installed.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(super) only: Vec<Peer>,
    /// Measures to take, by the beginning of their names; by default all.
    #[arg(long, value_delimiter = ',')]
    pub(super) measures: Vec<String>,
    /// How often all measures are repeated.
    #[arg(long, default_value_t = 5, value_parser = values::at_least_one)]
    pub(super) repeats: usize,
    /// Streams of each measure; some take a tenth of them.
    #[arg(long, default_value_t = 10_000, value_parser = values::at_least_one)]
    pub(super) streams: usize,
    /// Length of each measure, in seconds.
    #[arg(long, default_value_t = 8)]
    pub(super) seconds: u64,
    /// The processor that each server and its Redis run on.
    #[arg(long, default_value_t = 0)]
    pub(super) server_core: usize,
    /// The processor that this tool runs on.
    #[arg(long, default_value_t = 1)]
    pub(super) client_core: usize,
    /// Write the tables to this file too, in Markdown.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}
