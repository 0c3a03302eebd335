//! Starts each peer with a comparable configuration, and stops it by its process ids.

use super::{
    arguments::Arguments,
    measure::Trial,
    peer::{MODULES, Peer},
};
use crate::{
    gateway::{free_address, pinned},
    redis_server::RedisServer,
};
use anyhow::{Context as _, Result, bail};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_setaffinity},
};
use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(20);

const A_SECOND: Duration = Duration::from_secs(1);

const NCHAN: &str = include_str!("../../peers/nchan.conf");

/// A running peer. Dropping it ends its processes.
pub(super) struct Running {
    /// The options with which this tool reaches it.
    pub(super) arguments: Vec<String>,
    redis: Option<RedisServer>,
    children: Vec<Child>,
}

impl Running {
    /// Starts a peer for a measure, with its files in this folder, and waits until it is ready.
    pub(super) fn start(peer: Peer, trial: Trial, arguments: &Arguments, folder: &Path) -> Result<Self> {
        let mut running = Self { arguments: Vec::new(), redis: None, children: Vec::new() };
        let program = peer.program(&arguments.programs).context("its program is not installed")?;
        let core = arguments.server_core;
        let start = |config| RedisServer::start(config, Some(core), folder);
        running.redis = peer.redis().map(start).transpose()?;
        let redis = running.redis.as_ref().map(|redis| redis.address);
        if matches!(peer, Peer::Paystream | Peer::PaystreamRedis) {
            // A workload starts this peer itself, with --spawn.
            let words = ["--spawn", &program.to_string_lossy(), "--server-core", &core.to_string()];
            running.arguments.extend(words.map(str::to_owned));
            running.arguments.extend(redis.map(|redis| format!("--redis=redis://{redis}")));
            running.tell_pids();
            return Ok(running);
        }
        let address = free_address()?;
        let listen = ["--listen".to_owned(), address.to_string()];
        // Node serves with one thread. Its other threads collect garbage, and would delay that one if they shared its processor. But in the
        // saturated measures everything runs on one processor, because they tell what one processor can do.
        let frees_helpers = matches!(peer, Peer::NodeHttp | Peer::NodeBetterSse) && trial != Trial::Saturated;
        match peer {
            Peer::Bare => {
                let seconds = if trial == Trial::Heartbeats { "15" } else { "0" };
                let more = ["--heartbeat".to_owned(), seconds.to_owned()];
                running.spawn(&program, &[core], listen.into_iter().chain(more))?;
            }
            Peer::PlainAxum => {
                let redis = redis.context("this peer needs a Redis")?;
                let more = ["--redis".to_owned(), format!("redis://{redis}/?protocol=resp3")];
                running.spawn(&program, &[core], listen.into_iter().chain(more))?;
            }
            Peer::NodeHttp | Peer::NodeBetterSse => {
                let script = if peer == Peer::NodeHttp { "http.mjs" } else { "better-sse.mjs" };
                let redis = format!("redis://{}", redis.context("this peer needs a Redis")?);
                let words = [
                    arguments.programs.node_peers.join(script).to_string_lossy().into_owned(),
                    address.to_string(),
                    redis,
                ];
                let both = [core, arguments.client_core];
                running.spawn(&program, if frees_helpers { &both } else { &both[..1] }, words)?;
            }
            Peer::Nchan | Peer::NchanRedis => {
                let config = folder.join("nginx.conf");
                fs::write(&config, nchan(folder, address, redis))?;
                running.spawn(&program, &[core], [OsStr::new("-c"), config.as_os_str()])?;
            }
            _ => {
                let (port, data) = (address.port().to_string(), folder.join("data"));
                let words = ["--port", &port, "--data-dir", &data.to_string_lossy()].map(str::to_owned);
                running.spawn(&program, &[core], words)?;
                let paths = ["--create", "--publish", "/{}", "--subscribe", "/{}?offset=now&live=sse"];
                running.arguments.extend(paths.map(str::to_owned));
            }
        }
        running.wait_until_ready(peer, address)?;
        if frees_helpers {
            running.pin_main_thread(core)?;
        }
        let plain = ["--dialect", "plain", "--public", &address.to_string()].map(str::to_owned);
        running.arguments.extend(plain);
        running.tell_pids();
        Ok(running)
    }

    /// Adds its process ids to the options, so that their memory and processor time are measured.
    fn tell_pids(&mut self) {
        let pids = self.pids().into_iter().map(|pid| format!("--pid={pid}"));
        self.arguments.extend(pids);
    }

    /// Pins the main thread of the newest process, and leaves its other threads where they are.
    fn pin_main_thread(&self, core: usize) -> Result<()> {
        let mut only = CpuSet::new();
        only.set(core);
        let pid = self.children.last().and_then(|child| Pid::from_raw(child.id().cast_signed()));
        Ok(sched_setaffinity(Some(pid.context("no process was started")?), &only)?)
    }

    fn spawn(
        &mut self,
        program: &Path,
        cores: &[usize],
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<()> {
        let child = pinned(program, cores)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        self.children.push(child);
        Ok(())
    }

    /// Waits until it answers a post (durable-streams: a creation) with 2xx. That it listens is not enough: nginx listens before it has
    /// workers, and nchan refuses posts until it has found its Redis.
    fn wait_until_ready(&mut self, peer: Peer, address: SocketAddr) -> Result<()> {
        let request = match peer {
            Peer::DurableStreams => "PUT /ready HTTP/1.1\r\nContent-Type: text/plain\r\n",
            _ => "POST /pub/ready HTTP/1.1\r\n",
        };
        let request = format!("{request}Host: load\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        self.wait_for(|| answers(address, &request))
    }

    fn wait_for(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            for child in &mut self.children {
                if let Some(status) = child.try_wait()? {
                    bail!("the server ended before it was ready: {status}");
                }
            }
            if Instant::now() > deadline {
                bail!("the server was not ready within {} s", PATIENCE.as_secs());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The ids of all its processes, including the workers of nginx.
    fn pids(&self) -> Vec<u32> {
        let redis = self.redis.as_ref().map(RedisServer::pid);
        let own: Vec<_> = redis.into_iter().chain(self.children.iter().map(Child::id)).collect();
        let workers = own.iter().flat_map(|pid| children_of(*pid));
        own.iter().copied().chain(workers).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            // SIGTERM comes first, because nginx ends its workers only then. SIGKILL follows for a process that does not end.
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let deadline = Instant::now() + Duration::from_secs(3);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether the status of the answer is 2xx.
fn answers(address: SocketAddr, request: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect_timeout(&address, A_SECOND)?;
        socket.set_read_timeout(Some(A_SECOND))?;
        socket.write_all(request.as_bytes())?;
        let mut start = [0; 10];
        socket.read_exact(&mut start)?;
        Ok(start.ends_with(b" 2"))
    };
    ask().unwrap_or(false)
}

fn nchan(folder: &Path, address: SocketAddr, redis: Option<SocketAddr>) -> String {
    let folder = folder.to_string_lossy();
    let upstream = redis
        .map(|redis| format!("upstream redis {{ nchan_redis_server redis://{redis}; }}"))
        .unwrap_or_default();
    let location = if redis.is_some() { "nchan_redis_pass redis;" } else { "" };
    NCHAN
        .replace("{modules}", MODULES)
        .replace("{folder}", &folder)
        .replace("{port}", &address.port().to_string())
        .replace("{redis_upstream}", &upstream)
        .replace("{redis_location}", location)
}

fn children_of(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
