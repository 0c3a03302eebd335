//! A group of Redis servers that real sentinels watch, and one that all tests of a run share. Dropping it kills it.

use super::{RedisServer, ask_at, eventually, free_address, shared};
use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The name of the group.
pub(crate) const GROUP: &str = "mymaster";

/// One sentinel.
pub(crate) struct Sentinel {
    pub(crate) address: SocketAddr,
    password: Option<String>,
    _folder: TempDir,
    child: Child,
}

impl Sentinel {
    /// Starts a sentinel that watches `primary`.
    pub(crate) async fn start(primary: SocketAddr, password: Option<&str>) -> Self {
        let (folder, address) = (TempDir::new().unwrap(), free_address());
        let config = folder.path().join("sentinel.conf");
        let mut lines = format!(
            "bind 127.0.0.1\nport {}\ndir {}\nsentinel monitor {GROUP} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {GROUP} 500\nsentinel failover-timeout {GROUP} 3000\n\
             sentinel parallel-syncs {GROUP} 2\n",
            address.port(),
            folder.path().display(),
            primary.port()
        );
        if let Some(password) = password {
            lines += &format!("requirepass {password}\nsentinel sentinel-pass {password}\n");
        }
        fs::write(&config, lines).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server"])
            .arg(&config)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("redis-server; tests/run installs it");
        let sentinel = Self { address, password: password.map(str::to_owned), _folder: folder, child };
        eventually("the sentinel answers", async || ask_at(address, &["PING"]).is_some()).await;
        sentinel
    }

    /// Its answer to a command.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        assert!(self.password.is_none(), "it asks for a password");
        ask_at(self.address, command).unwrap()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A primary with replicas and three sentinels. The first server is the primary at the start.
pub(crate) struct Group {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) sentinels: Vec<Sentinel>,
}

impl Group {
    /// A primary with so many replicas.
    pub(crate) async fn start(replicas: usize) -> Self {
        let starting = (0..=replicas).map(|_| RedisServer::with(&["--repl-diskless-sync-delay", "0"]));
        let servers: Vec<_> = futures_util::future::join_all(starting).await;
        for replica in &servers[1..] {
            replica.replicate(servers[0].address);
        }
        eventually("the replicas are known", async || {
            servers[0].ask(&["INFO", "replication"]).matches("state=online").count() == replicas
        })
        .await;
        let primary = servers[0].address;
        let starting = (0..3).map(|_| Sentinel::start(primary, None));
        let sentinels: Vec<_> = futures_util::future::join_all(starting).await;
        let group = Self { servers, sentinels };
        group.until_settled(replicas).await;
        group
    }

    /// Waits until every sentinel knows the others and so many replicas, and all name one primary.
    pub(crate) async fn until_settled(&self, replicas: usize) {
        let count = |sentinel: &Sentinel, what: &str| {
            sentinel.ask(&["SENTINEL", what, GROUP]).matches("runid").count()
        };
        eventually("the sentinels have settled", async || {
            let primaries: Vec<_> = self
                .sentinels
                .iter()
                .map(|sentinel| sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]))
                .collect();
            primaries.iter().all(|primary| *primary == primaries[0])
                && self.sentinels.iter().all(|sentinel| {
                    count(sentinel, "SENTINELS") == 2
                        && sentinel.ask(&["SENTINEL", "REPLICAS", GROUP]).matches("slave-priority").count()
                            >= replicas
                })
        })
        .await;
    }

    /// The place of the server that the sentinels call the primary.
    pub(crate) fn primary(&self) -> usize {
        let answer = self.sentinels[0].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]);
        let port = answer.lines().last().unwrap().trim().to_owned();
        self.servers.iter().position(|server| server.address.port().to_string() == port).unwrap()
    }

    /// Waits until the sentinels call another server the primary, and it is one.
    pub(crate) async fn until_failed_over(&self, from: usize) {
        eventually("the failover is over", async || {
            let now = self.primary();
            now != from && self.servers[now].ask(&["ROLE"]).contains("master")
        })
        .await;
    }

    /// The address for `[store] url`.
    pub(crate) fn url(&self) -> String {
        let sentinels: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect();
        format!("redis+sentinel://{}/{GROUP}", sentinels.join(","))
    }
}

/// The address of a group that all tests of this run share: a primary with two replicas. It ends with the run.
pub(crate) async fn shared_group() -> String {
    static URL: OnceCell<String> = OnceCell::const_new();
    shared(&URL, async || {
        let group = Group::start(2).await;
        (group.url(), group)
    })
    .await
}
