//! Keeps the subscription to the channels that one server serves, for the life of the node and across lost connections.
//!
//! It has a connection of its own and sends one SSUBSCRIBE for each channel, because client libraries lose sharded
//! subscriptions without an error when they reconnect or when a slot moves. It treats all faults alike (the connection ends,
//! the server does not answer, ends a subscription or has become a replica, a notice is overdue): it connects again,
//! subscribes to all channels, and reports that notices may have been lost. The old connection goes on until the new one hears.
//! While a slot is moved, its channel is heard at the server that imports it too, since an append that runs there is published there alone.

use super::{
    check::{Checks, Server},
    error::{Unfit, in_words, refusal, told},
    heard::Heard,
    link::{Connector, Link, Pause},
    map::{Board, Map},
    plan::Plan,
};
use crate::{metrics::StoreFault, payment::PartitionSet};
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

/// How often the server is asked whether it is still the primary. Together with the 0.9 s that an answer may take
/// ([`ANSWER`](super::link::ANSWER)), it is noticed within 1.4 s that a network drops every packet.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// The subscription to one server.
#[derive(Debug)]
pub(super) struct Ear {
    connector: Connector,
    checks: Checks,
    plan: Plan,
    board: Arc<Board>,
    heard: Arc<Heard>,
    /// The connection over which the store reads from the same server.
    reader: Link,
    /// Notified when the present connection has become useless.
    lost: Mutex<Arc<Notify>>,
}

/// A connection that hears.
struct Hearing {
    connection: MultiplexedConnection,
    server: Server,
    /// What it is subscribed to.
    partitions: PartitionSet,
    lost: Arc<Notify>,
}

impl Ear {
    pub(super) fn new(
        connector: Connector,
        checks: Checks,
        board: Arc<Board>,
        heard: Arc<Heard>,
        reader: Link,
    ) -> Self {
        let plan = checks.plan.clone();
        Self { connector, checks, plan, board, heard, reader, lost: Mutex::default() }
    }

    /// Subscribes again, since a notice is overdue.
    pub(super) fn doubt(&self) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).notify_one();
    }

    /// Keeps the subscription until the task is aborted.
    pub(super) async fn run(self: Arc<Self>) -> Infallible {
        let mut pause = Pause::new();
        let mut changes = self.board.changes();
        let mut server_before: Option<Server> = None;
        // The connection before, which hears until the next one does.
        let mut before = None;
        loop {
            let map = Arc::clone(&changes.borrow_and_update());
            if self.wanted(&map).is_empty() {
                before = None;
                // This fails only if no sender is left, and the board holds it.
                let _changed = changes.changed().await;
                continue;
            }
            match self.subscribe(&map).await {
                Ok(mut hearing) => {
                    drop(before.take());
                    if server_before
                        .replace(hearing.server.clone())
                        .is_some_and(|server| server != hearing.server)
                    {
                        // The store has to read from the server that sends the notices.
                        self.reader.leave(
                            "the notices come from another server, or from a new start of the same one",
                        );
                    }
                    self.heard.subscribed_on(&hearing.server, hearing.partitions);
                    pause = Pause::new();
                    let why = self.until_lost(&mut hearing, &mut changes).await;
                    before = Some(hearing);
                    tracing::warn!(server = %self.connector.node(), why, "the subscription to the store's notices is lost; subscribing again");
                    self.connector.count(StoreFault::Deaf);
                    self.board.doubt();
                }
                Err(why) => {
                    tracing::debug!(server = %self.connector.node(), %why, "no subscription to the store's notices");
                    self.connector.count(StoreFault::Connect);
                }
            }
            pause.take().await;
        }
    }

    /// What the server should be subscribed to.
    fn wanted(&self, map: &Map) -> PartitionSet {
        let node = self.connector.node();
        map.partitions(node).with(map.guests(node))
    }

    /// Connects and subscribes to all channels. What the server does not serve is left out, and asked for again later.
    async fn subscribe(&self, map: &Map) -> Result<Hearing, Unfit> {
        let (heard, lost) = (Arc::clone(&self.heard), Arc::new(Notify::new()));
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&lost);
        let told = Arc::clone(&lost);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            match push.kind {
                PushKind::SMessage => heard.take(push),
                // The library counts one that nobody asked for as an answer, so later answers on this connection cannot be trusted.
                PushKind::SUnsubscribe | PushKind::Disconnection => told.notify_one(),
                _ => {}
            }
            Ok::<(), Infallible>(())
        });
        let (connection, server) = self.connector.connect_to_fit(config, &self.checks).await?;
        let mut hearing = Hearing { connection, server, partitions: PartitionSet::NONE, lost };
        let wanted = self.wanted(map);
        self.heard.subscribing(wanted);
        let refused = self.add(&mut hearing, map, wanted).await?;
        match refused {
            Some(why) if hearing.partitions.is_empty() => Err(Unfit::NotYet(why)),
            _ => Ok(hearing),
        }
    }

    /// Subscribes to further channels. Returns an error of the server, if it refused one of them.
    async fn add(
        &self,
        hearing: &mut Hearing,
        map: &Map,
        more: PartitionSet,
    ) -> Result<Option<String>, Unfit> {
        let guests = map.guests(self.connector.node());
        let mut commands = Pipeline::new();
        let mut count = 0;
        for partition in more.iter() {
            if guests.contains(partition) {
                commands.cmd("ASKING");
                count += 1;
            }
            commands.cmd("SSUBSCRIBE").arg(self.plan.channel(partition));
            count += 1;
        }
        let answers = hearing.connection.send_packed_commands(&commands, 0, count).await;
        let mut answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?.into_iter();
        let mut refused = None;
        for partition in more.iter() {
            if guests.contains(partition) {
                answers.next();
            }
            match answers.next().as_ref().and_then(refusal) {
                None => hearing.partitions.insert(partition),
                Some(error) => {
                    refused = Some(told(error));
                    self.board.imports_not(partition, self.connector.node());
                }
            }
        }
        if refused.is_some() {
            self.board.doubt();
        }
        Ok(refused)
    }

    /// Watches over the connection until its subscriptions are useless, and returns why they are.
    async fn until_lost(&self, hearing: &mut Hearing, changes: &mut watch::Receiver<Arc<Map>>) -> String {
        const CLOSED: &str = "it was closed, or a notice is overdue";
        let mut question = Pipeline::new();
        question.cmd("ROLE");
        let lost = Arc::clone(&hearing.lost);
        loop {
            tokio::select! {
                () = lost.notified() => return CLOSED.to_owned(),
                _ = changes.changed() => {}
                () = sleep(KEEPALIVE) => {
                    tokio::select! {
                        () = lost.notified() => return CLOSED.to_owned(),
                        answer = hearing.connection.send_packed_commands(&question, 0, 1) => match answer {
                            Ok(answer) if is_primary(answer.first()) => {}
                            Ok(_) => return "it has become a replica".to_owned(),
                            Err(error) => return in_words(&error),
                        },
                    }
                }
            }
            let map = self.board.map();
            let more = self.wanted(&map).without(hearing.partitions);
            if more.is_empty() {
                continue;
            }
            self.heard.subscribing(more);
            let before = hearing.partitions;
            if let Err(why) = self.add(hearing, &map, more).await {
                return why.to_string();
            }
            let added = hearing.partitions.without(before);
            if !added.is_empty() {
                self.heard.subscribed_on(&hearing.server, added);
            }
        }
    }
}

/// Whether the answer to `ROLE` is that of a primary. Some services have no such command, and their replicas are never asked.
pub(super) fn is_primary(answer: Option<&Value>) -> bool {
    match answer {
        Some(Value::Array(role)) => {
            matches!(role.first(), Some(Value::BulkString(name)) if name == b"master")
        }
        Some(Value::ServerError(error)) => error.code() == "ERR" || error.code() == "NOPERM",
        _ => false,
    }
}
