//! A gateway that is started for one run, with free ports, a temporary folder and new secrets. It ends with the run.

use crate::{clock, plan::TLS_NAME};
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

/// The half of a gateway that a process runs, or all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    All,
    Ingest,
    Stream,
}

/// The secrets of a run's gateway, which all of its processes share.
#[derive(Clone)]
pub(crate) struct Secrets {
    /// The secret of the source `load`.
    pub(crate) source: String,
    /// The secret of the token key `k1`.
    pub(crate) token_key: String,
}

impl Secrets {
    pub(crate) fn fresh() -> Self {
        Self { source: random_text(), token_key: random_text() }
    }
}

/// What a gateway is started with.
pub(crate) struct Settings<'a> {
    pub(crate) program: &'a Path,
    pub(crate) role: Role,
    /// Where it listens for streams, or for webhooks if it serves none.
    pub(crate) address: SocketAddr,
    /// The processor that it runs on; any if there is none.
    pub(crate) core: Option<usize>,
    /// The URL of its Redis, if it does not use the embedded store.
    pub(crate) redis: Option<&'a str>,
    pub(crate) provider: &'a str,
    /// Further lines of the configuration's section `stream`.
    pub(crate) stream: &'a str,
    /// Whether it speaks TLS with streams. Webhooks then have an address of their own, without it.
    pub(crate) tls: bool,
    pub(crate) secrets: &'a Secrets,
}

/// A running gateway. Dropping it kills the process.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    /// Where it takes webhooks.
    pub(crate) posts: SocketAddr,
    /// The certificate that it presents to streams, in PEM, if it speaks TLS with them.
    pub(crate) certificate: Option<String>,
    admin: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Gateway {
    /// Starts a process. It passes on no environment variable of the caller's but `PATH`: `PAYSTREAM__…` variables would change the
    /// configuration, and with it what is measured.
    pub(crate) fn start(settings: &Settings<'_>) -> Result<Self> {
        let Settings { program, role, address, core, secrets, .. } = *settings;
        let (folder, admin) = (TempDir::with_prefix("load-gateway-")?, free_address()?);
        let config = folder.path().join("paystream.toml");
        let mut text = configuration(settings, admin, folder.path());
        let (posts, certificate) = if settings.tls {
            let posts = free_address()?;
            let (table, certificate) = certificate(folder.path())?;
            text = text.replacen("[listen]", &format!("[listen]\ningest = \"{posts}\""), 1) + &table;
            (posts, Some(certificate))
        } else {
            (address, None)
        };
        fs::write(&config, text)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let role = match role {
            Role::All => "all",
            Role::Ingest => "ingest",
            Role::Stream => "stream",
        };
        let child = pinned(program, core.as_slice())
            .args(["serve", "--role", role, "--config"])
            .arg(&config)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LOAD_SOURCE_SECRET", &secrets.source)
            .env("LOAD_TOKEN_KEY", &secrets.token_key)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { address, posts, certificate, admin, child, folder })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers its readiness check. Fails, with its log, if it ends before.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(self.admin) {
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
    free_address_of(Ipv4Addr::LOCALHOST)
}

/// Finds such a port of this address.
pub(crate) fn free_address_of(ip: Ipv4Addr) -> Result<SocketAddr> {
    let free = (0..1_000)
        .map(|_| SocketAddr::from((ip, rand::random_range(12_000..32_000))))
        .find(|address| TcpListener::bind(address).is_ok());
    free.with_context(|| format!("no free port of {ip} was found between 12000 and 32000"))
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

/// Makes a certificate with a key on P-256. Returns the configuration that names its files, and the certificate itself.
fn certificate(folder: &Path) -> Result<(String, String)> {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([TLS_NAME.to_owned()])?;
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    fs::write(&chain, cert.pem())?;
    fs::write(&key, signing_key.serialize_pem())?;
    let table = format!(
        "[tls]\nlisteners = [\"public\"]\n[[tls.certificate]]\nchain = {chain:?}\nkey = \"file:{}\"\n",
        key.display()
    );
    Ok((table, cert.pem()))
}

fn configuration(settings: &Settings<'_>, admin: SocketAddr, folder: &Path) -> String {
    let Settings { role, address, redis, provider, stream, .. } = settings;
    let listener = if *role == Role::Ingest { "ingest" } else { "public" };
    let store = match redis {
        Some(url) => format!("kind = \"redis\"\nurl = {url:?}"),
        None => format!("path = {:?}", folder.join("data")),
    };
    let mut text = format!(
        r#"[listen]
{listener} = "{address}"
admin = "{admin}"
[store]
{store}
[stream]
{stream}
"#
    );
    if *role != Role::Stream {
        text.push_str(&format!(
            r#"[[source]]
name = "load"
provider = "{provider}"
realm = "default"
secrets = ["env:LOAD_SOURCE_SECRET"]
"#
        ));
    }
    if *role != Role::Ingest {
        text.push_str(
            r#"[[access.key]]
kid = "k1"
algorithm = "HS256"
secret = "env:LOAD_TOKEN_KEY"
realms = ["default"]
operator = true
"#,
        );
    }
    text
}
