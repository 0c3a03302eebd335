//! A real Redis server of a test's own: own port, own folder. Dropping it kills it.

use super::{PATIENCE, free_address};
use paystream::store::redis::{Durability, Settings};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The settings of a store at an address, where a test says nothing else.
pub(crate) fn store_at(url: &str) -> Settings {
    Settings {
        url: url.into(),
        password: None,
        sentinel_password: None,
        tls_name: None,
        ca: None,
        prefix: "ps".to_owned(),
        durability: Durability::Everysec,
        ack_replicas: 0,
        history: Duration::from_secs(180 * 86_400),
        recent: 100_000,
    }
}

pub(crate) struct RedisServer {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    options: Vec<String>,
    /// User and password that the test itself logs in with.
    login: Option<(String, String)>,
    child: Option<Child>,
}

impl RedisServer {
    /// A server as the manual wants it: append-only file, nothing evicted.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server that is a cluster by itself.
    pub(crate) async fn start_as_cluster() -> Self {
        // Its bus would else listen 10,000 above, where other tests' clients have their ports.
        let bus = free_address().port().to_string();
        let server = Self::with(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await;
        server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        server.until("cluster", || server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")).await;
        server
    }

    /// A server with further options of the command line.
    pub(crate) async fn with(options: &[&str]) -> Self {
        Self::start_with(options, None).await
    }

    /// A server that lets nobody in but this user.
    pub(crate) async fn with_login(options: &[&str], user: &str, password: &str) -> Self {
        Self::start_with(options, Some((user.to_owned(), password.to_owned()))).await
    }

    async fn start_with(options: &[&str], login: Option<(String, String)>) -> Self {
        let mut server = Self {
            address: free_address(),
            folder: TempDir::new().unwrap(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            login,
            child: None,
        };
        server.restart().await;
        server
    }

    /// Starts it on the same folder and port, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.is_none(), "it is still running");
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        // A server that outlives its test, because the run was killed, would keep its port.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server"])
            .args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("redis-server; tests/run installs it");
        self.child = Some(child);
        self.until("answer", || self.try_ask(&["PING"]).is_some_and(|answer| answer.trim() == "+PONG")).await;
    }

    /// Further options for the next start.
    pub(crate) fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Forgets all that it has on disk. It has to be dead.
    pub(crate) fn wipe(&self) {
        assert!(self.child.is_none(), "it is still running");
        let _ = fs::remove_dir_all(self.data_path());
    }

    /// Where its append-only file is.
    pub(crate) fn data_path(&self) -> PathBuf {
        self.folder.path().join("appendonlydir")
    }

    /// `SIGSTOP`: it keeps its sockets, and answers nothing.
    pub(crate) fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// `SIGCONT`.
    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// The address for `[store] url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Whether it was started and not killed.
    pub(crate) const fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Its name in its cluster.
    pub(crate) fn id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"]).lines().nth(1).unwrap().to_owned()
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its answer to a command, as it stands on the wire.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command).unwrap_or_else(|| panic!("no answer to {command:?}:\n{}", self.log()))
    }

    /// As [`RedisServer::ask`], in another database.
    pub(crate) fn ask_in(&self, database: u8, command: &[&str]) -> String {
        let select = ["SELECT", &database.to_string()];
        self.converse(&[&select, command])
            .unwrap_or_else(|| panic!("no answer to {command:?}:\n{}", self.log()))
    }

    /// The names of all keys that match a pattern of `KEYS`.
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        let answer = self.ask(&["KEYS", pattern]);
        // Each name follows its length.
        answer.lines().skip(2).step_by(2).map(str::to_owned).collect()
    }

    /// The key of a log of the realm `default`, if it exists: its hash tag is the store's own affair.
    pub(crate) fn log_key(&self, payment: &str) -> Option<String> {
        self.keys(&format!("ps:{{*}}:log:default/payment/{payment}")).pop()
    }

    fn try_ask(&self, command: &[&str]) -> Option<String> {
        self.converse(&[command])
    }

    /// The answer to the last of these commands.
    fn converse(&self, commands: &[&[&str]]) -> Option<String> {
        let login = self.login.as_ref().map(|(user, password)| ["AUTH", user, password]);
        let login = login.as_ref().map(<[&str; 3]>::as_slice);
        let all: Vec<_> = login.into_iter().chain(commands.iter().copied()).collect();
        converse(self.address, &all)
    }

    /// Becomes the replica of the server there, which may be a proxy's.
    pub(crate) fn replicate(&self, primary: SocketAddr) {
        let port = primary.port().to_string();
        assert!(self.ask(&["REPLICAOF", "127.0.0.1", &port]).starts_with("+OK"));
    }

    /// Becomes a primary.
    pub(crate) fn promote(&self) {
        assert!(self.ask(&["REPLICAOF", "NO", "ONE"]).starts_with("+OK"));
    }

    /// Waits until a replica is online.
    pub(crate) async fn until_replicated(&self) {
        self.until("replica", || self.ask(&["INFO", "replication"]).contains("state=online")).await;
    }

    /// Waits until a replica has all that this server holds now.
    pub(crate) async fn until_copied_to(&self, replica: &Self) {
        let offset = |server: &Self, field: &str| server.info(field).parse::<u64>().unwrap();
        let now = offset(self, "master_repl_offset");
        self.until("copy", || offset(replica, "slave_repl_offset") >= now).await;
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "no {what}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A field of `INFO`.
    pub(crate) fn info(&self, field: &str) -> String {
        let info = self.ask(&["INFO", "everything"]);
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {field} in:\n{info}")).trim().to_owned()
    }
}

/// The answer of the server there, if there is one. Waits for it.
pub(crate) fn ask_at(address: SocketAddr, command: &[&str]) -> Option<String> {
    converse(address, &[command])
}

fn converse(address: SocketAddr, commands: &[&[&str]]) -> Option<String> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut request = String::new();
    for command in commands {
        request += &format!("*{}\r\n", command.len());
        for word in *command {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
    }
    socket.write_all(request.as_bytes()).ok()?;
    let mut socket = BufReader::new(socket);
    commands.iter().map(|_| read_answer(&mut socket)).last()?
}

/// One whole answer, nested ones included.
fn read_answer(socket: &mut impl std::io::BufRead) -> Option<String> {
    let mut answer = String::new();
    socket.read_line(&mut answer).ok().filter(|read| *read > 0)?;
    let length = answer.get(1..)?.trim().parse::<i64>().unwrap_or_default();
    match answer.as_bytes().first()? {
        b'$' if length >= 0 => {
            let mut bytes = vec![0; usize::try_from(length).ok()? + 2];
            socket.read_exact(&mut bytes).ok()?;
            answer += &String::from_utf8_lossy(&bytes);
        }
        b'*' => {
            for _ in 0..length {
                answer += &read_answer(socket)?;
            }
        }
        _ => {}
    }
    Some(answer)
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
