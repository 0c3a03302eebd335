//! A shard: one server that is, or may become, the primary of some slots, with connections of its own to read, to write and to hear. What
//! befalls one shard is nothing to the others.

use super::{
    append::Caller,
    check::Checks,
    ear::Ear,
    heard::Heard,
    link::{Connector, Link},
    login::Login,
    node::Node,
    writer::{Routes, Writer},
};
use crate::metrics::Metrics;
use std::sync::{Arc, OnceLock};
use tokio::{task::AbortHandle, time::Instant};

/// What every shard is made of.
#[derive(Debug)]
pub(super) struct Mould {
    pub(super) login: Login,
    pub(super) checks: Checks,
    pub(super) caller: Caller,
    pub(super) routes: Routes,
    pub(super) heard: Arc<Heard>,
    pub(super) metrics: Arc<Metrics>,
}

impl Mould {
    /// Returns what opens connections to a server.
    pub(super) fn connector(&self, node: &Node) -> Connector {
        Connector::new(self.login.clone(), node.clone(), Arc::clone(&self.metrics))
    }
}

/// One server. Dropping it ends its connections.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) connector: Connector,
    pub(super) reader: Link,
    pub(super) writer: Writer,
    /// When it was started.
    pub(super) started: Instant,
    ear: Arc<Ear>,
    /// The task of the subscription.
    listening: OnceLock<AbortHandle>,
}

impl Shard {
    pub(super) fn start(mould: &Mould, node: &Node) -> Self {
        let connector = mould.connector(node);
        let reading = mould.checks.for_reading();
        let reader = Link::start(connector.clone(), reading.clone());
        let board = Arc::clone(&mould.routes.board);
        let ear = Ear::new(connector.clone(), reading, board, Arc::clone(&mould.heard), reader.clone());
        let metrics = Arc::clone(&mould.metrics);
        let writer = Writer::start(&connector, &mould.checks, &mould.caller, &mould.routes, metrics);
        let (ear, listening) = (Arc::new(ear), OnceLock::new());
        Self { connector, reader, writer, started: Instant::now(), ear, listening }
    }

    /// Subscribes to the notices, unless it has.
    pub(super) fn listen(&self) {
        self.listening.get_or_init(|| tokio::spawn(Arc::clone(&self.ear).run()).abort_handle());
    }

    /// Ends the subscription.
    pub(super) fn fall_silent(&self) {
        self.listening.get().inspect(|task| task.abort());
    }

    /// Subscribes again, since a notice is overdue.
    pub(super) fn doubt(&self) {
        self.ear.doubt();
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.fall_silent();
    }
}
