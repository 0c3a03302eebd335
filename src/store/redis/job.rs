//! A write that waits for its answer, and where one goes that a server sent away.

use super::{append::Appending, node::Node};
use crate::store::StoreError;
use redis::{Cmd, Value};
use std::time::Duration;
use tokio::{sync::oneshot, time::Instant};

/// A write, from the caller to the server and back.
pub(super) struct Job {
    pub(super) write: Write,
    /// The slot of its keys.
    pub(super) slot: u16,
    /// The caller acknowledges a webhook after this write, so the configured number of replicas must have it first.
    pub(super) must_last: bool,
    /// The server of the slot said that the slot is being moved, and the write goes to the server that imports it, once.
    pub(super) is_asking: bool,
    /// When the caller gives up.
    pub(super) until: Instant,
    /// Receives the answer. It is closed once the caller has given up.
    pub(super) reply: oneshot::Sender<Result<Value, StoreError>>,
}

/// What is written.
pub(super) enum Write {
    /// One command.
    Command(Cmd),
    /// One event. It shares a command with other appends, but not their answers.
    Append(Appending),
}

impl Job {
    pub(super) const fn append(&self) -> Option<&Appending> {
        match &self.write {
            Write::Append(append) => Some(append),
            Write::Command(_) => None,
        }
    }

    /// Answers the caller, who may be gone.
    pub(super) fn answer(self, answer: Result<Value, StoreError>) {
        let _ = self.reply.send(answer);
    }
}

/// A write that another server has to take, or the same one later.
pub(super) struct Stray {
    pub(super) job: Job,
    pub(super) to: To,
}

/// Where a stray goes.
pub(super) enum To {
    /// To the owner of its slot.
    Owner,
    /// To the owner of its slot after a pause, for the reason that the server gave.
    OwnerAfter(Duration, String),
    /// To the server that imports its slot.
    Importing(Node),
}
