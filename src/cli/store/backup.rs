//! `paystream store backup`: a copy of a data folder, made through the gateway that has it open, or of a folder that no gateway has open.

use super::{copied, data_folder::DataFolder};
use crate::{
    cli::{
        argument,
        client::{AdminListener, ByArgs, ReasonArgs},
    },
    store::embedded::{self, BackupError, Copied, FolderError},
};
use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use clap::Args;
use futures_util::StreamExt as _;
use reqwest::{Method, Response, Url};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Makes a backup of the data folder, also while the gateway runs
///
/// If a gateway has the folder open, the backup is made through its admin listener: all that was acknowledged before the command began is
/// in it, and the gateway goes on meanwhile. Otherwise the files are copied. The backup is a data folder itself: it is checked before
/// it gets its name, and `paystream store restore` puts it in place. To copy the files of a running gateway makes no backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream store backup --config paystream.toml /backups/2026-11-30
  paystream store backup --data ./paystream-data /backups/2026-11-30")]
pub(super) struct StoreBackupArgs {
    /// The folder of the backup, which is empty or does not exist yet
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    data: DataFolder,
    /// The URL of the gateway's admin listener [default: http://<listen.admin>, if a gateway has the data folder open]
    #[arg(long, value_parser = argument::url, conflicts_with = "data")]
    url: Option<Url>,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    why: ReasonArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How long the gateway may take for the next bytes. It reads more slowly than it could, so that webhooks do not wait for it.
const SILENCE: Duration = Duration::from_secs(60);

/// The chunks that may wait to be written.
const CHUNKS: usize = 2;

impl StoreBackupArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let made = self.copy().await?;
        copied::say(made, &format!("backup made in {}", self.to.display()), &self.to, self.json)
    }

    async fn copy(&self) -> anyhow::Result<Copied> {
        if self.url.is_some() {
            return self.copy_from_gateway(None).await;
        }
        let folder = self.data.path()?;
        match embedded::copy_folder(&folder, &self.to) {
            // A folder that is not on this machine may be on the gateway's.
            Err(BackupError::Folder(FolderError::Locked { .. } | FolderError::Absent { .. }))
                if self.data.data.is_none() =>
            {
                self.copy_from_gateway(Some(&folder)).await
            }
            copied => Ok(copied?),
        }
    }

    async fn copy_from_gateway(&self, folder: Option<&Path>) -> anyhow::Result<Copied> {
        let listener = AdminListener::find(&self.data.config, self.url.as_ref(), &self.by)?;
        let mut url = listener.url(&["admin", "store", "backup"]);
        self.why.add_to(&mut url);
        let (folder, to) = (folder.map(Path::to_owned), self.to.clone());
        let answer = listener.success_of(listener.request(Method::GET, url)).await?;
        let (chunks, arriving) = mpsc::channel(CHUNKS);
        let reader = Arriving { chunks: arriving, rest: Bytes::new() };
        let build = move || embedded::copy_from_gateway(reader, folder.as_deref(), &to);
        let building = tokio::task::spawn_blocking(build);
        pass(answer, chunks).await;
        Ok(building.await.context("the thread that writes the backup has a defect")??)
    }
}

/// What comes of the body of the answer.
type Chunk = Result<Bytes, io::Error>;

/// Passes the body of the answer on, until its end, an error, or the end of the receiver.
async fn pass(answer: Response, to: mpsc::Sender<Chunk>) {
    let mut body = answer.bytes_stream();
    loop {
        let chunk = match timeout(SILENCE, body.next()).await {
            Ok(None) => return,
            Ok(Some(chunk)) => chunk.map_err(io::Error::other),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came for a minute")),
        };
        let is_last = chunk.is_err();
        if to.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}

/// The body of the answer, as the thread reads it that writes the backup.
struct Arriving {
    chunks: mpsc::Receiver<Chunk>,
    rest: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let length = self.rest.len().min(into.len());
        self.rest.copy_to_slice(into.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}
