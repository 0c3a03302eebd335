//! A gateway that is started for one run, with free ports, a temporary folder and new secrets. It ends with the run.

use crate::clock;
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long the gateway may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running gateway. Dropping it kills the process.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    /// The secret of the source `load`.
    pub(crate) secret: String,
    /// The secret of the token key `k1`.
    pub(crate) token_key: String,
    child: Child,
    folder: TempDir,
}

impl Gateway {
    /// Starts `program`, pinned to the processor `core` and with the Redis at the URL `redis` if they are given, and waits until it is
    /// ready. It passes on no environment variable of the caller's but `PATH`: `PAYSTREAM__…` variables would change the configuration,
    /// and with it what is measured.
    pub(crate) fn start(
        program: &Path,
        core: Option<usize>,
        redis: Option<&str>,
        provider: &str,
    ) -> Result<Self> {
        let folder = TempDir::with_prefix("load-gateway-")?;
        let (address, admin) = (free_address()?, free_address()?);
        let (secret, token_key) = (random_text(), random_text());
        let config = folder.path().join("paystream.toml");
        let store = match redis {
            Some(url) => format!("kind = \"redis\"\nurl = {url:?}"),
            None => format!("path = {:?}", folder.path().join("data")),
        };
        fs::write(&config, configuration(address, admin, &store, provider))?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = pinned(program, core.as_slice())
            .args(["serve", "--config"])
            .arg(&config)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LOAD_SOURCE_SECRET", &secret)
            .env("LOAD_TOKEN_KEY", &token_key)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut gateway = Self { address, secret, token_key, child, folder };
        gateway.wait_until_ready(admin)?;
        Ok(gateway)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&mut self, admin: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(admin) {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("the gateway ended before it was ready ({status}); its log:\n{}", log());
            }
            if Instant::now() > deadline {
                bail!("the gateway was not ready within {} s; its log:\n{}", PATIENCE.as_secs(), log());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself; then both calls fail and nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds a command that runs on these processors only, or on any if none is given.
pub(crate) fn pinned(program: &Path, cores: &[usize]) -> Command {
    if cores.is_empty() {
        return Command::new(program);
    }
    let list: Vec<_> = cores.iter().map(ToString::to_string).collect();
    let mut command = Command::new("taskset");
    command.args(["-c", &list.join(",")]).arg(program);
    command
}

/// Finds a free port below the range from which the kernel usually gives ports to outgoing connections.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let free = (0..1_000)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(12_000..32_000))))
        .find(|address| TcpListener::bind(address).is_ok());
    free.context("no free port was found between 12000 and 32000")
}

/// Whether the gateway answers `/readyz` with 200.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect_timeout(&admin, Duration::from_secs(1))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        socket.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

fn random_text() -> String {
    let parts: [u64; 4] = rand::random();
    let text: String = parts.iter().map(|part| format!("{part:016x}")).collect();
    format!("{text}{:x}", clock::now_us())
}

fn configuration(address: SocketAddr, admin: SocketAddr, store: &str, provider: &str) -> String {
    format!(
        r#"[listen]
public = "{address}"
admin = "{admin}"
[store]
{store}
[[source]]
name = "load"
provider = "{provider}"
realm = "default"
secrets = ["env:LOAD_SOURCE_SECRET"]
[[access.key]]
kid = "k1"
algorithm = "HS256"
secret = "env:LOAD_TOKEN_KEY"
realms = ["default"]
"#
    )
}
