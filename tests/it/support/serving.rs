//! A `serve` whose arguments, folder and environment a test chooses. Dropping it kills it.

use super::{eventually, paystream};
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Serving {
    child: Child,
    folder: TempDir,
}

impl Serving {
    /// Starts it in the working folder `here`, with these variables in its environment.
    pub(crate) fn spawn(here: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = paystream()
            .arg("serve")
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(here)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// All that it has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until it serves; gives the address of its listener `name`.
    pub(crate) async fn address(&mut self, name: &str) -> SocketAddr {
        eventually("it serves", async || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended ({ended:?}):\n{}", self.log());
            self.log().lines().any(|line| line.contains("serving"))
        })
        .await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving")).unwrap();
        let address = line.split(&format!("{name}=")).nth(1).and_then(|rest| rest.split_whitespace().next());
        address.unwrap_or_else(|| panic!("no {name} in {line}")).parse().unwrap()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
    }
}
