//! The servers that are measured, the programs that they need, and the measures that apply to them.

use super::measure::Trial;
use crate::redis_server::STORE;
use anyhow::Result;
use clap::Args;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The configuration of a Redis that only passes messages on.
const BUS: &str = include_str!("../../peers/bus.conf");
/// The folder of nginx's modules in Debian.
pub(super) const MODULES: &str = "/usr/lib/nginx/modules";

/// Where the programs of the peers are.
#[derive(Args, Debug)]
pub(crate) struct Programs {
    /// The gateway's program; by default the one beside this tool.
    #[arg(long)]
    pub(super) paystream: Option<PathBuf>,
    /// The program durable-streams-server; by default the one in the path.
    #[arg(long)]
    pub(super) durable_streams: Option<PathBuf>,
    /// The folder of the baselines for Node and their packages; these peers are left out if the packages are missing.
    #[arg(long, default_value = "load/peers/node")]
    pub(super) node_peers: PathBuf,
}

/// A server that is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub(crate) enum Peer {
    Bare,
    Paystream,
    PaystreamRedis,
    Nchan,
    NchanRedis,
    PlainAxum,
    NodeHttp,
    NodeBetterSse,
    DurableStreams,
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Bare => "bare",
            Self::Paystream => "Paystream, fsync",
            Self::PaystreamRedis => "Paystream + Redis",
            Self::Nchan => "nchan, memory",
            Self::NchanRedis => "nchan + Redis",
            Self::PlainAxum => "plain axum + Redis",
            Self::NodeHttp => "Node http + Redis",
            Self::NodeBetterSse => "Node better-sse + Redis",
            Self::DurableStreams => "durable-streams, fsync",
        })
    }
}

impl Peer {
    /// The configuration of its Redis, if it needs one.
    pub(super) fn redis(self) -> Option<&'static str> {
        match self {
            Self::PaystreamRedis => Some(STORE),
            Self::NchanRedis | Self::PlainAxum | Self::NodeHttp | Self::NodeBetterSse => Some(BUS),
            _ => None,
        }
    }

    /// Its program, if that is installed.
    pub(super) fn program(self, programs: &Programs) -> Option<PathBuf> {
        let program = match self {
            Self::Bare => beside("bare").ok(),
            Self::Paystream | Self::PaystreamRedis => {
                programs.paystream.clone().or_else(|| beside("paystream").ok())
            }
            Self::Nchan | Self::NchanRedis => in_path("nginx"),
            Self::PlainAxum => beside("plain-axum").ok(),
            Self::NodeHttp | Self::NodeBetterSse => in_path("node"),
            Self::DurableStreams => {
                programs.durable_streams.clone().or_else(|| in_path("durable-streams-server"))
            }
        };
        program.filter(|program| program.exists())
    }

    /// The command that installs what this machine lacks for it; none if nothing is missing.
    pub(super) fn missing(self, programs: &Programs) -> Option<&'static str> {
        let lacks_more = match self {
            Self::Nchan | Self::NchanRedis => !module().exists(),
            Self::NodeHttp | Self::NodeBetterSse => !programs.node_peers.join("node_modules").exists(),
            _ => false,
        };
        if self.redis().is_some() && in_path("redis-server").is_none() {
            return Some("apt-get install redis-server");
        }
        if self.program(programs).is_some() && !lacks_more {
            return None;
        }
        Some(match self {
            Self::Bare | Self::Paystream | Self::PaystreamRedis | Self::PlainAxum => {
                "cargo build --release --workspace"
            }
            Self::Nchan | Self::NchanRedis => "apt-get install nginx libnginx-mod-nchan",
            Self::NodeHttp | Self::NodeBetterSse => "npm ci --prefix load/peers/node, with Node 20 or newer",
            Self::DurableStreams => "cargo install durable-streams",
        })
    }

    /// Whether a measure applies to this peer. durable-streams did not complete a storm within a minute, and only Paystream and `bare` can be
    /// given the same heartbeats.
    pub(super) fn takes(self, trial: Trial) -> bool {
        match trial {
            Trial::Storm => self != Self::DurableStreams,
            Trial::Heartbeats => matches!(self, Self::Bare | Self::Paystream | Self::PaystreamRedis),
            Trial::History => self.keeps_events(),
            Trial::Idle | Trial::Paced | Trial::Saturated => true,
        }
    }

    /// Whether it keeps events for those who come later.
    fn keeps_events(self) -> bool {
        match self {
            Self::Paystream
            | Self::PaystreamRedis
            | Self::Nchan
            | Self::NchanRedis
            | Self::DurableStreams => true,
            Self::Bare | Self::PlainAxum | Self::NodeHttp | Self::NodeBetterSse => false,
        }
    }

    /// A word of the command line, adapted to this peer's limits. durable-streams holds a file open for each stream besides its socket, so
    /// with 20,000 descriptors it takes fewer than 10,000 streams.
    pub(super) fn within_its_limits(self, word: &str) -> String {
        let most = if self == Self::DurableStreams { 9_000 } else { usize::MAX };
        let numbers = word.split(',').map(|part| match part.parse::<usize>() {
            Ok(number) => number.min(most).to_string(),
            Err(_) => part.to_owned(),
        });
        numbers.collect::<Vec<_>>().join(",")
    }
}

/// The path of a program in the folder of this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).join(name))
}

fn module() -> PathBuf {
    Path::new(MODULES).join("ngx_nchan_module.so")
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}
