//! A proxy of another make in front of a gateway, with a configuration that a test writes. Dropping it ends it.

use super::{PATIENCE, eventually, free_address};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    child: Child,
}

impl Front {
    /// Starts what `prepare` returns, which has written its files into the folder and listens on the address.
    pub(crate) async fn spawn(prepare: impl FnOnce(&Path, SocketAddr) -> Command) -> Self {
        let (address, folder) = (free_address(), TempDir::new().unwrap());
        let mut command = prepare(folder.path(), address);
        let log = File::create(folder.path().join("log")).unwrap();
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
        let mut front = Self { address, folder, child };
        eventually("the proxy listens", async || {
            let ended = front.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended ({ended:?}):\n{}", front.log());
            TcpStream::connect(address).is_ok()
        })
        .await;
        front
    }

    /// All that it has written.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process by a signal that it hears: killed, it would leave its workers behind.
pub(super) fn end(child: &mut Child) {
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
