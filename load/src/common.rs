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

/// The options that every workload takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The server's address for streams.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) public: SocketAddr,
    /// The server's address for webhooks, if it is another one.
    #[arg(long)]
    pub(crate) ingest: Option<SocketAddr>,
    /// Start this paystream program for the run, with a configuration of its own, instead of using a server that runs already.
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["public", "ingest", "token", "token_key", "secret", "source"])]
    pub(crate) spawn: Option<PathBuf>,
    /// Let the spawned gateway keep its payments in this Redis, which must be empty, instead of its embedded store.
    #[arg(long, value_name = "URL", requires = "spawn")]
    pub(crate) redis: Option<String>,
    /// Open streams over TLS, with a whole handshake for each: to the spawned gateway, which gets a certificate with a key on P-256.
    #[arg(long, requires = "spawn")]
    pub(crate) tls: bool,
    /// The processor that the spawned gateway runs on.
    #[arg(long, value_name = "NUMBER", requires = "spawn")]
    pub(crate) server_core: Option<usize>,
    /// The source to post webhooks to.
    #[arg(long, default_value = "acme")]
    pub(crate) source: String,
    /// The provider of the source, which decides how webhooks are signed.
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
    /// The protocol that the server speaks.
    #[arg(long, value_enum, default_value_t = Dialect::Paystream)]
    pub(crate) dialect: Dialect,
    /// Path of a stream on a plain server; {} stands for the channel.
    #[arg(long, default_value = "/sub/{}")]
    pub(crate) subscribe: String,
    /// Path of a post on a plain server; {} stands for the channel.
    #[arg(long, default_value = "/pub/{}")]
    pub(crate) publish: String,
    /// Create each channel before the run, with a PUT to the path of a post.
    #[arg(long)]
    pub(crate) create: bool,
    /// Ids of the server's processes, whose memory and processor time are measured.
    #[arg(long)]
    pub(crate) pid: Vec<u32>,
    /// How many processes read streams. Each can hold as many streams as it may open descriptors.
    #[arg(long, default_value_t = 1, value_parser = values::at_least_one)]
    pub(crate) processes: usize,
    /// Addresses to connect from, in turn; by default as many of 127.0.0.x as the streams to a server on this machine need.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS,…")]
    pub(crate) from: Vec<Ipv4Addr>,
    /// How many streams may be opening at the same time, in each process.
    #[arg(long, value_parser = values::at_least_one)]
    pub(crate) opening: Option<usize>,
    /// Upper limit on the wait before a reconnect, in milliseconds, whatever the server asks.
    #[arg(long, value_name = "MS")]
    pub(crate) longest_wait: Option<u32>,
    /// How many seconds a stream may take to open, a post to be answered, and accepted events to arrive.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u64).range(..=1_000_000))]
    pub(crate) patience: u64,
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as an HTML page to this file; the page needs no network.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// The addresses of several gateways, of which each reader process takes one; set where this tool started them.
    #[arg(skip)]
    pub(crate) gateways: Vec<SocketAddr>,
    /// Print no progress.
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Common {
    /// The command line for the report, with secrets replaced.
    pub(crate) fn told_arguments(&self) -> Vec<String> {
        let secrets = [&self.secret, &self.token, &self.token_key];
        let secrets: Vec<_> = secrets.into_iter().flatten().filter(|secret| !secret.is_empty()).collect();
        std::env::args()
            .skip(1)
            .map(|argument| secrets.iter().fold(argument, |told, secret| told.replace(secret.as_str(), "…")))
            .collect()
    }
}
