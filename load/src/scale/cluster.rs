//! A gateway of many processes on this machine: one Redis, one process that takes webhooks, and as many that stream as descriptors demand.

use crate::{
    gateway::{Gateway, Role, Secrets, Settings, free_address, free_address_of},
    redis_server::{RedisServer, STORE},
};
use anyhow::Result;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};
use tempfile::TempDir;

/// Lines for the Redis beside those of a store: with the default, it would write the whole file anew in the middle of the run, from a copy of
/// itself.
const NO_REWRITES: &str = "auto-aof-rewrite-percentage 0\nmaxclients 4096\n";

/// The processes of the gateway. Dropping it ends them, each by its id.
pub(super) struct Cluster {
    streaming: Vec<Gateway>,
    ingest: Gateway,
    pub(super) secrets: Secrets,
    redis: RedisServer,
    _folder: TempDir,
}

impl Cluster {
    /// Starts all processes and waits until each is ready.
    pub(super) fn start(program: &Path, processes: usize, heartbeat_s: u64) -> Result<Self> {
        let folder = TempDir::with_prefix("load-scale-")?;
        let config = format!("{STORE}{NO_REWRITES}");
        let redis = RedisServer::start(&config, None, folder.path())?;
        let (url, secrets) = (format!("redis://{}", redis.address), Secrets::fresh());
        // Streams end neither by their age nor because a payment is finished while they are counted.
        let stream = format!("heartbeat = \"{heartbeat_s}s\"\nmax_age = \"24h\"\ndrain = \"1s\"");
        let settings = |role, address| Settings {
            program,
            role,
            address,
            core: None,
            redis: Some(&url),
            provider: "generic",
            stream: &stream,
            tls: false,
            secrets: &secrets,
        };
        let mut ingest = Gateway::start(&settings(Role::Ingest, free_address()?))?;
        let streaming =
            (0..processes).map(|index| Gateway::start(&settings(Role::Stream, own_address(index)?)));
        let mut streaming = streaming.collect::<Result<Vec<_>>>()?;
        streaming.iter_mut().chain([&mut ingest]).try_for_each(Gateway::wait_until_ready)?;
        Ok(Self { streaming, ingest, redis, secrets, _folder: folder })
    }

    pub(super) fn ingest(&self) -> SocketAddr {
        self.ingest.address
    }

    pub(super) fn streaming(&self) -> Vec<SocketAddr> {
        self.streaming.iter().map(|gateway| gateway.address).collect()
    }

    /// The ids of its processes, by what they are.
    pub(super) fn parts(&self) -> Vec<(String, Vec<u32>)> {
        vec![
            ("streaming".to_owned(), self.streaming.iter().map(Gateway::pid).collect()),
            ("ingest".to_owned(), vec![self.ingest.pid()]),
            ("Redis".to_owned(), vec![self.redis.pid()]),
        ]
    }
}

/// A free port of an address that no other process listens on. The kernel tells connections apart by both addresses, so that each process has
/// all ports of the readers' addresses for itself.
fn own_address(index: usize) -> Result<SocketAddr> {
    let host = u8::try_from(index % 250 + 1).unwrap_or(u8::MAX);
    free_address_of(Ipv4Addr::new(127, 0, 1, host))
}
