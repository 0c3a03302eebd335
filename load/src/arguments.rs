//! The command line.

use crate::{peers, workload};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures a payment status gateway, or any server of event streams.
#[derive(Parser, Debug)]
#[command(version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Opens idle streams and tells what each costs in memory.
    Hold(workload::Hold),
    /// One payment, many streams.
    Fanout(workload::Deliver),
    /// A payment of its own for each stream.
    Unicast(workload::Deliver),
    /// All clients arrive at once, are dropped at once and return at once.
    Storm(workload::Storm),
    /// Posts signed webhooks and tells how many are accepted, and how fast.
    Webhooks(workload::Webhooks),
    /// All at once: updates, streams that come and go, readers that are slow or stalled.
    Mixed(workload::Mixed),
    /// The same for long, to see whether memory grows.
    Soak(workload::Mixed),
    /// Shows two reports side by side.
    Compare {
        /// A report as `--json` wrote it.
        before: PathBuf,
        /// Another.
        after: PathBuf,
    },
    /// Measures this gateway and its peers side by side.
    Peers(peers::Arguments),
    /// Readers in a process of their own.
    #[command(hide = true)]
    Worker,
}
