//! Notices that files with secrets were replaced: the rotation of a secret by Kubernetes, by a job of CI, or by hand.
//!
//! It only looks at the files, every two seconds. What to do about a change is the caller's to decide.

use crate::config::{Look, SecretFiles};
use std::{path::PathBuf, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};

/// How often the files are looked at, and for how long they have to stay as they are, so that a file is not read in the middle of
/// being written.
const INTERVAL: Duration = Duration::from_secs(2);

/// The files of the secrets that are in use.
pub(super) struct Rotation {
    files: SecretFiles,
    /// How changed files looked the last time.
    last: Option<Look>,
    /// How the files looked whose secrets were refused, so that each change is reported once.
    refused: Option<Look>,
    ticks: Interval,
}

impl Rotation {
    /// Looks at `files`, which were just read.
    pub(super) fn new(files: SecretFiles) -> Self {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { files, last: None, refused: None, ticks }
    }

    /// Waits until the content of some file is another, and returns their paths. It can be cancelled at any time. Call
    /// [`Rotation::accept`] or [`Rotation::refuse`] before the next call.
    pub(super) async fn changed(&mut self) -> Vec<PathBuf> {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        loop {
            self.ticks.tick().await;
            let files = self.files.clone();
            // A filesystem that hangs costs one blocking thread, and nothing else.
            let Ok(now) = spawn_blocking(move || files.look()).await else { continue };
            if now == self.files.read_as() {
                (self.last, self.refused) = (None, None);
            } else if self.refused.as_ref() != Some(&now) && self.last.replace(now.clone()) == Some(now) {
                let files = self.files.clone();
                let Ok((reread, changed)) = spawn_blocking(move || files.reread()).await else { continue };
                if !changed.is_empty() {
                    return changed;
                }
                // The files were written anew with the same secrets.
                self.accept(reread);
            }
        }
    }

    /// The secrets of `files` are in use.
    pub(super) fn accept(&mut self, files: SecretFiles) {
        (self.files, self.last, self.refused) = (files, None, None);
    }

    /// The secrets of the changed files were refused: the old ones stay in use until a file changes again.
    pub(super) fn refuse(&mut self) {
        self.refused = self.last.take();
    }
}
