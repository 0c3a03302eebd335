//! The options that every workload takes.

use crate::{
    plan::{Dialect, Provider},
    values,
};
use clap::{Args, value_parser};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// What every workload takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The server's address for streams.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) public: SocketAddr,
    /// Its address for webhooks, if it is another.
    #[arg(long)]
    pub(crate) ingest: Option<SocketAddr>,
    /// Start this `paystream` for the run, with a configuration of its own, in place of one that runs already.
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["public", "ingest", "token", "token_key", "secret", "source"])]
    pub(crate) spawn: Option<PathBuf>,
    /// Let it keep its payments in this Redis, which must be empty, in place of its embedded store.
    #[arg(long, value_name = "URL", requires = "spawn")]
    pub(crate) redis: Option<String>,
    /// The processor that it is to run on.
    #[arg(long, value_name = "NUMBER", requires = "spawn")]
    pub(crate) server_core: Option<usize>,
    /// The source to post to.
    #[arg(long, default_value = "acme")]
    pub(crate) source: String,
    /// The source's provider.
    #[arg(long, value_enum, default_value_t = Provider::Generic)]
    pub(crate) provider: Provider,
    /// The source's secret; by default the value of the environment variable PAYSTREAM_SOURCE_SECRET.
    #[arg(long)]
    pub(crate) secret: Option<String>,
    /// A token that may watch all payments; by default the value of PAYSTREAM_TOKEN.
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// The secret of the key `k1` (HS256), to sign a token for each stream; by default the value of PAYSTREAM_TOKEN_KEY.
    #[arg(long)]
    pub(crate) token_key: Option<String>,
    /// What the server speaks.
    #[arg(long, value_enum, default_value_t = Dialect::Paystream)]
    pub(crate) dialect: Dialect,
    /// Path of a stream on a plain server; {} is the channel.
    #[arg(long, default_value = "/sub/{}")]
    pub(crate) subscribe: String,
    /// Path of a post on a plain server; {} is the channel.
    #[arg(long, default_value = "/pub/{}")]
    pub(crate) publish: String,
    /// Create each channel first, with a PUT to the path of a post.
    #[arg(long)]
    pub(crate) create: bool,
    /// Processes of the server, whose memory and time are told.
    #[arg(long)]
    pub(crate) pid: Vec<u32>,
    /// Processes that read; each can hold as many streams as it may open descriptors.
    #[arg(long, default_value_t = 1, value_parser = values::at_least_one)]
    pub(crate) processes: usize,
    /// Addresses to connect from, in turn; by default as many of 127.0.0.x as a server on this machine needs.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS,…")]
    pub(crate) from: Vec<Ipv4Addr>,
    /// Streams that may be opening at once, in each process.
    #[arg(long, value_parser = values::at_least_one)]
    pub(crate) opening: Option<usize>,
    /// The longest wait before a reconnect, in milliseconds, in place of what the server asks.
    #[arg(long, value_name = "MS")]
    pub(crate) longest_wait: Option<u32>,
    /// Seconds that a stream may take to open, a post to be answered, and accepted events to arrive.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u64).range(..=1_000_000))]
    pub(crate) patience: u64,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as a page that needs no network.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Show no progress.
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Common {
    /// The command line for the report, with secrets blotted out.
    pub(crate) fn told_arguments(&self) -> Vec<String> {
        let secrets = [&self.secret, &self.token, &self.token_key];
        let secrets: Vec<_> = secrets.into_iter().flatten().filter(|secret| !secret.is_empty()).collect();
        std::env::args()
            .skip(1)
            .map(|argument| secrets.iter().fold(argument, |told, secret| told.replace(secret.as_str(), "…")))
            .collect()
    }
}
