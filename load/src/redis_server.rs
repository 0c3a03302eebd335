//! A Redis server of a run's own.

use crate::gateway::{free_address, pinned};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// The configuration of a Redis that stores payments.
pub(crate) const STORE: &str = include_str!("../peers/store.conf");

/// How long it may take until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. Dropping it kills the process.
pub(crate) struct RedisServer {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl RedisServer {
    /// Starts a server with this configuration, which keeps its files in the folder, and waits until it accepts connections.
    pub(crate) fn start(config: &str, core: Option<usize>, folder: &Path) -> Result<Self> {
        let (address, path) = (free_address()?, folder.join("redis.conf"));
        fs::write(&path, format!("{config}port {}\ndir {}\n", address.port(), folder.display()))?;
        let child = pinned(Path::new("redis-server"), core.as_slice())
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start redis-server")?;
        let mut server = Self { address, child };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("redis-server ended before it was ready: {status}");
            }
            ensure!(Instant::now() < deadline, "redis-server was not ready within {} s", PATIENCE.as_secs());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended by itself; then both calls fail and nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
