//! Keeps the subscription to the channels of all partitions, for the life of the node and across lost connections.
//!
//! It has a connection of its own and sends one SSUBSCRIBE for each channel, because client libraries lose sharded
//! subscriptions without an error when they reconnect or when a slot moves. It treats all faults alike (the connection ends,
//! the server does not answer, ends a subscription or has become a replica, a notice is overdue): it connects again,
//! subscribes to all channels, and reports that notices may have been lost.

use super::{
    check::{Checks, Server},
    error::{Unfit, in_words, refusal, told},
    link::{Connector, Pause},
    notice,
    plan::Plan,
};
use crate::{
    metrics::{Metrics, StoreFault},
    payment::PARTITIONS,
    store::{Interruption, Notice},
};
use futures_util::FutureExt as _;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use std::{
    convert::Infallible,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, broadcast},
    time::sleep,
};

/// How often the supervisor asks the server whether it is still the primary. Together with the 0.9 s that an answer may take
/// ([`ANSWER`](super::link::ANSWER)), it notices within 1.4 s that a network drops every packet.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// What the supervisor shares with the store.
#[derive(Debug)]
pub(super) struct Heard {
    plan: Plan,
    notices: broadcast::Sender<Arc<Notice>>,
    metrics: Arc<Metrics>,
    /// The newest place that came over the channel of each partition since the present connection was opened; 0 if none did.
    newest: [AtomicU64; PARTITIONS],
    /// The server of the present subscription, or of the last one; empty before the first.
    server: Mutex<Server>,
    /// Whether that server changed since [`Heard::interrupted`] returned last.
    moved: AtomicBool,
    /// Notified whenever all channels have been subscribed to.
    subscribed: Notify,
    /// Notified when the subscriptions have become useless.
    lost: Notify,
}

impl Heard {
    pub(super) fn new(plan: Plan, notices: broadcast::Sender<Arc<Notice>>, metrics: Arc<Metrics>) -> Self {
        let newest = [const { AtomicU64::new(0) }; PARTITIONS];
        let (server, moved, subscribed, lost) = Default::default();
        Self { plan, notices, metrics, newest, server, moved, subscribed, lost }
    }

    /// Returns once all channels have been subscribed to again.
    pub(super) async fn interrupted(&self) -> Interruption {
        self.subscribed.notified().await;
        match self.moved.swap(false, Ordering::Relaxed) {
            true => Interruption::Elsewhere,
            false => Interruption::Missed,
        }
    }

    /// Notes that all channels have been subscribed to, on this server.
    fn subscribed_on(&self, server: Server) {
        let before =
            mem::replace(&mut *self.server.lock().unwrap_or_else(PoisonError::into_inner), server.clone());
        if !before.is_empty() && before != server {
            self.moved.store(true, Ordering::Relaxed);
        }
        self.subscribed.notify_one();
    }

    /// Subscribes again if the notice of `pos` did not come. If it did come, the caller is only behind with its reading.
    pub(super) fn missed(&self, partition: u8, pos: u64) {
        let newest = self.newest.get(usize::from(partition));
        if newest.is_some_and(|newest| newest.load(Ordering::Relaxed) < pos) {
            self.lost.notify_one();
        }
    }

    /// Receives the server's pushes. It runs on the task of the connection, so there is no queue between the socket and the
    /// bounded queue of the hub.
    fn take(&self, push: PushInfo) {
        match push.kind {
            PushKind::SMessage => match self.read(push.data) {
                Some(notice) => {
                    if let Some(newest) = self.newest.get(usize::from(notice.partition)) {
                        newest.store(notice.pos, Ordering::Relaxed);
                    }
                    // This fails only if no receiver is left, and a later one begins by reading the store.
                    let _ = self.notices.send(Arc::new(notice));
                }
                None => self.metrics.store_faults.count(StoreFault::BadNotice),
            },
            PushKind::SUnsubscribe | PushKind::Disconnection => self.lost.notify_one(),
            _ => {}
        }
    }

    fn read(&self, data: Vec<Value>) -> Option<Notice> {
        let [Value::BulkString(channel), Value::BulkString(payload)] = <[Value; 2]>::try_from(data).ok()?
        else {
            return None;
        };
        let partition = self.plan.partition_of(std::str::from_utf8(&channel).ok()?)?;
        notice::read(partition, payload)
    }
}

/// Keeps the subscription until the task is aborted.
pub(super) async fn run(connector: Connector, checks: Checks, heard: Arc<Heard>) -> Infallible {
    let mut pause = Pause::new();
    loop {
        match subscribe(&connector, &checks, &heard).await {
            Ok((connection, server)) => {
                heard.subscribed_on(server);
                pause = Pause::new();
                let why = until_lost(connection, &heard).await;
                tracing::warn!(why, "the subscription to the store's notices is lost; subscribing again");
                connector.count(StoreFault::Deaf);
            }
            Err(why) => {
                tracing::debug!(%why, "no subscription to the store's notices");
                connector.count(StoreFault::Connect);
            }
        }
        pause.take().await;
    }
}

/// Connects and subscribes to all channels, or fails as a whole.
async fn subscribe(
    connector: &Connector,
    checks: &Checks,
    heard: &Arc<Heard>,
) -> Result<(MultiplexedConnection, Server), Unfit> {
    // A notification that is left over was about the last connection.
    let _said = heard.lost.notified().now_or_never();
    heard.newest.iter().for_each(|newest| newest.store(0, Ordering::Relaxed));
    let taker = Arc::clone(heard);
    let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
        taker.take(push);
        Ok::<(), Infallible>(())
    });
    let (mut connection, server) = connector.connect_to_fit(config, checks).await?;
    let mut commands = Pipeline::with_capacity(PARTITIONS);
    for partition in 0..=u8::MAX {
        commands.cmd("SSUBSCRIBE").arg(heard.plan.channel(partition));
    }
    let answers = connection.send_packed_commands(&commands, 0, PARTITIONS).await;
    let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
    match answers.iter().find_map(refusal) {
        None => Ok((connection, server)),
        Some(error) => Err(Unfit::NotYet(told(error))),
    }
}

/// Watches over the connection until its subscriptions are useless, and returns why they are.
async fn until_lost(mut connection: MultiplexedConnection, heard: &Heard) -> String {
    let mut question = Pipeline::new();
    question.cmd("ROLE");
    loop {
        tokio::select! {
            () = heard.lost.notified() => return "it was closed, or a notice is overdue".to_owned(),
            () = sleep(KEEPALIVE) => {}
        }
        tokio::select! {
            () = heard.lost.notified() => return "it was closed, or a notice is overdue".to_owned(),
            answer = connection.send_packed_commands(&question, 0, 1) => match answer {
                Ok(answer) if is_primary(&answer) => {}
                Ok(_) => return "it has become a replica".to_owned(),
                Err(error) => return in_words(&error),
            },
        }
    }
}

/// Whether the first answer is that of a primary to `ROLE`.
pub(super) fn is_primary(answers: &[Value]) -> bool {
    let Some(Value::Array(role)) = answers.first() else { return false };
    matches!(role.first(), Some(Value::BulkString(name)) if name == b"master")
}
