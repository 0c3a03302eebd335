//! The command line, as it is typed.

use crate::{model, peers, scale, workload};
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
    /// Opens many streams on one payment, posts events to it and measures the deliveries.
    Fanout(workload::Deliver),
    /// Opens streams that each watch a payment of their own, posts events and measures the deliveries.
    Unicast(workload::Deliver),
    /// All clients arrive at once, are dropped at once and return at once.
    Storm(workload::Storm),
    /// Posts signed webhooks and tells how many are accepted per second, and how fast.
    Webhooks(workload::Webhooks),
    /// Does all at once: events, streams that come and go, readers that are slow or stalled.
    Mixed(workload::Mixed),
    /// Does the same for half an hour, and all streams return now and then, to see whether memory or descriptors grow.
    Soak(workload::Mixed),
    /// Measures those who read a busy payment alone and beside thousands who stopped reading, in turn.
    Stalled(workload::Stalled),
    /// Measures what dashboards of all payments cost and how far behind they are, in pairs of runs with them and without.
    Dashboards(workload::Dashboards),
    /// Holds a million streams on this machine, over as many gateway processes as that takes, and posts to them.
    Scale(scale::Scale),
    /// Reckons what a gateway of many nodes over many Redis primaries would need, from measured costs. Nothing is started.
    Model(model::Model),
    /// Shows two reports side by side.
    Compare {
        /// A report that --json wrote.
        before: PathBuf,
        /// Another report, to compare with the first.
        after: PathBuf,
    },
    /// Adds the reports of several tools that took part in one run, such as on several machines.
    Merge {
        /// Reports that --json wrote.
        #[arg(required = true, num_args = 2..)]
        reports: Vec<PathBuf>,
        /// Write the sum to this file, as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Write the sum to this file, as a page.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Measures this gateway and its peers side by side.
    Peers(peers::Arguments),
    /// Runs readers in a process of their own, for --processes.
    #[command(hide = true)]
    Worker,
}
