//! The nginx of `deploy/`, with a test's own addresses and certificate. Dropping it ends it.

use super::{Gateway, eventually, free_address, front::end};
use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    child: Child,
}

impl Nginx {
    /// In front of two gateways, whose names in the shipped files are `gateway-1` and `gateway-2`, with other values in `nginx.conf`: each first text, which has to be there, becomes the second one.
    pub(crate) async fn with(gateways: [&Gateway; 2], swaps: &[(&str, &str)]) -> Self {
        let (address, folder) = (free_address(), TempDir::new().unwrap());
        write(folder.path(), address, gateways, swaps);
        let checked = nginx(folder.path()).arg("-t").output().unwrap();
        assert!(checked.status.success(), "{}", said(&checked));
        let file = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
        let child = nginx(folder.path())
            .stdin(Stdio::null())
            .stdout(file("access.log"))
            .stderr(file("error.log"))
            .spawn()
            .unwrap();
        let nginx = Self { address, folder, child };
        eventually("nginx listens", async || TcpStream::connect(address).is_ok()).await;
        nginx
    }

    /// The certificate, in PEM, which signs itself.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls/cert.pem")
    }

    /// `https://localhost:…`
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// All that it has logged: accesses, then errors.
    pub(crate) fn logs(&self) -> [String; 2] {
        ["access.log", "error.log"].map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// With everything that it writes inside of `folder`.
fn nginx(folder: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    command.args(["-e", "stderr", "-g", "daemon off; pid nginx.pid;"]);
    command
}

/// The shipped configuration; only addresses and places of files are others.
fn write(folder: &Path, address: SocketAddr, gateways: [&Gateway; 2], swaps: &[(&str, &str)]) {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let shipped = |name: &str| fs::read_to_string(deploy.join(name)).unwrap();
    let put = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    let swap = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    };
    let mut upstreams = shipped("upstreams.conf");
    for (number, gateway) in (1..).zip(gateways) {
        for (port, real) in [(8080, gateway.public), (8081, gateway.ingest)] {
            upstreams = swap(upstreams, &format!("gateway-{number}:{port}"), &real.to_string());
        }
    }
    // Debian's own folders are root's.
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        upstreams += &format!("{kind}_temp_path {kind};\n");
    }
    put("nginx.conf", swaps.iter().fold(shipped("nginx.conf"), |text, (from, to)| swap(text, from, to)));
    put("upstreams.conf", upstreams);
    put("listen.conf", swap(shipped("listen.conf"), "listen 443", &format!("listen {address}")));
    let made = Command::new(deploy.join("self-signed")).arg(folder.join("tls")).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
