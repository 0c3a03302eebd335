//! A gateway that a service manager starts: what it is told, its watchdog, the sockets that it passes, and the unit of systemd.

use crate::support::{
    ADMIN_TOKEN, PATIENCE, Setup, eventually, free_address, generic, header, next_message, paystream, signed,
    token,
};
use load::{http::request, stream::Stream};
use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};
use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A gateway's process, and the service manager's end of what it is told.
struct Service {
    child: Child,
    folder: TempDir,
    notices: UnixDatagram,
    addresses: [SocketAddr; 3],
}

impl Service {
    /// Starts `serve` by a shell that sets the variables which hold the number of the process.
    fn start(setup: &Setup, environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let notices = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        let addresses = [free_address(), free_address(), free_address()];
        setup.write(folder.path(), addresses);
        let log = File::create(folder.path().join("log")).unwrap();
        let program = paystream();
        let mut shell = Command::new("sh");
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let child = shell
            .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
            .arg(program.get_program())
            .args(["serve", "--config"])
            .arg(folder.path().join("paystream.toml"))
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder, notices, addresses }
    }

    /// The lines of the next notice.
    fn notice(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.notices.recv(&mut bytes).unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The clock of `MONOTONIC_USEC`, in microseconds.
fn monotonic_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[tokio::test]
async fn the_service_manager_hears_when_the_gateway_is_ready_reloads_and_stops() {
    let mut service = Service::start(&Setup::default(), &[]);
    assert_eq!(service.notice(), ["READY=1", "STATUS=serving"]);
    let [_, _, admin] = service.addresses;
    let ready = request(admin, "GET", "/readyz", &[], b"").await.unwrap();
    assert_eq!(ready.head.status, 200, "it is ready when it says so");

    let before = monotonic_us();
    service.signal(Signal::HUP);
    let reloading = service.notice();
    assert_eq!(reloading[0], "RELOADING=1");
    let at: i64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!((before..=monotonic_us()).contains(&at), "{at}");
    assert_eq!(service.notice(), ["READY=1", "STATUS=serving"]);

    fs::write(service.folder.path().join("paystream.toml"), "[listen").unwrap();
    service.signal(Signal::HUP);
    assert_eq!(service.notice()[0], "RELOADING=1");
    let refused = service.notice();
    assert_eq!(refused[0], "READY=1", "it goes on with the old configuration");
    assert!(refused[1].contains("the last reload was refused"), "{refused:?}");

    service.signal(Signal::TERM);
    let stopping = service.notice();
    assert_eq!(stopping[..2], ["STOPPING=1", "STATUS=draining"]);
    assert_eq!(stopping[2], "EXTEND_TIMEOUT_USEC=35000000", "the drain of 20 s, and what follows it");
    assert!(service.child.wait().unwrap().success(), "{}", service.log());
}

#[tokio::test]
async fn the_watchdog_hears_of_a_gateway_that_works_and_of_no_other() {
    const PERIOD: Duration = Duration::from_millis(1200);
    let service = Service::start(&Setup::default(), &[("WATCHDOG_USEC", "1200000")]);
    let beats = || {
        let mut notice = service.notice();
        while notice[0] != "WATCHDOG=1" {
            notice = service.notice();
        }
        Instant::now()
    };
    let first = beats();
    for _ in 0..4 {
        beats();
    }
    let last = beats();
    assert!(last - first < PERIOD * 3, "five beats, of which three belong into each period");

    service.signal(Signal::STOP);
    service.notices.set_read_timeout(Some(PERIOD)).unwrap();
    let mut bytes = [0; 4096];
    // One that was on its way.
    let _earlier = service.notices.recv(&mut bytes);
    assert!(service.notices.recv(&mut bytes).is_err(), "a stopped process says nothing");
    service.notices.set_read_timeout(Some(PATIENCE)).unwrap();
    service.signal(Signal::CONT);
    beats();
}

/// The variables of another process, which a shell may have left in the environment.
#[tokio::test]
async fn a_watchdog_of_another_process_is_not_ours() {
    let folder = TempDir::new().unwrap();
    let notices = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    Setup::default().write(folder.path(), [free_address(), free_address(), free_address()]);
    let mut other = paystream()
        .args(["serve", "--config"])
        .arg(folder.path().join("paystream.toml"))
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .envs([("WATCHDOG_USEC", "60000"), ("WATCHDOG_PID", "1")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    notices.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 64];
    let length = notices.recv(&mut bytes).unwrap();
    assert!(bytes[..length].starts_with(b"READY=1"));
    notices.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(notices.recv(&mut bytes).is_err(), "nobody asked for signs of life");
    other.kill().unwrap();
    other.wait().unwrap();
}

/// A gateway to which `systemd-socket-activate` passes sockets. It starts the gateway at the first connection, as systemd does.
struct Activated {
    child: Child,
    folder: TempDir,
}

impl Activated {
    /// Passes a socket for each name, at these addresses. The configuration has other ones; with `--dev`, there is none.
    fn start(sockets: &[(&str, SocketAddr)], arguments: &[&str], configured: [SocketAddr; 3]) -> Self {
        let folder = TempDir::new().unwrap();
        Setup::default().write(folder.path(), configured);
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("systemd-socket-activate");
        for (_, address) in sockets {
            command.arg("-l").arg(address.to_string());
        }
        command.arg(format!("--fdname={}", names.join(":"))).args([env!("CARGO_BIN_EXE_paystream"), "serve"]);
        if arguments != ["--dev"] {
            command.arg("--config").arg(folder.path().join("paystream.toml"));
        }
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until somebody listens, by which the gateway is started.
    async fn knock(&self, address: SocketAddr) {
        eventually("the socket is open", async || TcpStream::connect(address).is_ok()).await;
    }

    /// The exit code, once it has ended.
    async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("it ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_sockets_that_are_passed_take_the_place_of_the_configured_ones() {
    let configured = [free_address(), free_address(), free_address()];
    let [public, ingest, admin] = [free_address(), free_address(), free_address()];
    let gateway =
        Activated::start(&[("ingest", ingest), ("admin", admin), ("public", public)], &[], configured);
    // The first connection was there before the program was.
    gateway.knock(admin).await;
    let ready = request(admin, "GET", "/readyz", &[], b"").await.unwrap();
    assert_eq!(ready.head.status, 200, "{}", gateway.log());
    let bearer = [header("authorization", &format!("Bearer {}", token("default", &["pay_1"])))];
    let mut stream = Stream::open(public, "/v1/payments/pay_1/events", &bearer).await.unwrap();
    assert_eq!(next_message(&mut stream).await.1["seq"], 0);
    let body = generic("e1", "confirmed", "pay_1", 1_700_000_000).to_string().into_bytes();
    let answer = request(ingest, "POST", "/webhooks/acme", &signed("acme", &body), &body).await.unwrap();
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    assert_eq!(next_message(&mut stream).await.1["status"], "captured");
    for address in configured {
        assert!(TcpStream::connect(address).is_err(), "{address} is open as well");
    }
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    assert_eq!(request(public, "GET", "/admin/sources", &operator, b"").await.unwrap().head.status, 404);
}

#[tokio::test]
async fn what_is_not_passed_is_bound_as_configured() {
    let configured = [free_address(), free_address(), free_address()];
    let public = free_address();
    let gateway = Activated::start(&[("public", public)], &[], configured);
    gateway.knock(public).await;
    assert_eq!(request(public, "GET", "/v1/payments/p", &[], b"").await.unwrap().head.status, 401);
    let ready = request(configured[2], "GET", "/readyz", &[], b"").await.unwrap();
    assert_eq!(ready.head.status, 200, "{}", gateway.log());
    assert!(TcpStream::connect(configured[1]).is_ok());
    assert!(TcpStream::connect(configured[0]).is_err());
}

/// Their clients would wait for ever.
#[tokio::test]
async fn sockets_that_nobody_would_serve_are_refused_before_anything_starts() {
    let configured = [free_address(), free_address(), free_address()];
    for (names, arguments, expected) in [
        (&["publik"][..], &[][..], "with the name \"publik\"; allowed: public, ingest, admin, redirect"),
        (&["redirect"], &[], "the public listener has no TLS to redirect to"),
        (&["public", "public"], &[], "several sockets with the name \"public\""),
        (&["public"], &["--dev"], "--dev is open to everyone"),
    ] {
        let sockets: Vec<_> = names.iter().map(|name| (*name, free_address())).collect();
        let mut gateway = Activated::start(&sockets, arguments, configured);
        gateway.knock(sockets[0].1).await;
        assert_eq!(gateway.ended().await, Some(2), "{}", gateway.log());
        assert!(gateway.log().contains(expected), "{}", gateway.log());
        assert!(configured.iter().all(|address| TcpStream::connect(address).is_err()));
    }
}

/// The units as they are in `deploy/systemd`, with a program that exists here.
fn units(folder: &Path) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let program = folder.join("paystream");
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut units = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|extension| extension == "service" || extension == "socket") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // The manual page is in the package.
        let text =
            text.replace("man:paystream(1) ", "").replace("/usr/bin/paystream", program.to_str().unwrap());
        let unit = folder.join(path.file_name().unwrap());
        fs::write(&unit, text).unwrap();
        units.push(unit);
    }
    assert!(units.len() >= 2, "{units:?}");
    units
}

fn analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    Command::new("systemd-analyze").args(arguments).args(units).output().unwrap()
}

#[test]
fn systemd_finds_no_mistake_in_the_units() {
    let folder = TempDir::new().unwrap();
    let output = analyze(&["verify"], &units(folder.path()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn systemd_rates_the_exposure_of_the_service_at_two_at_most() {
    let folder = TempDir::new().unwrap();
    let service: Vec<_> =
        units(folder.path()).into_iter().filter(|unit| unit.ends_with("paystream.service")).collect();
    let rate = |threshold: &str| {
        analyze(&["security", "--offline=true", "--no-pager", "--threshold", threshold], &service)
    };
    let output = rate("20");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Overall exposure level"), "{said}");
    assert!(!rate("5").status.success(), "the threshold counts");
}
