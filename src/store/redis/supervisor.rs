//! Hears every partition's channel, for the life of the node, whatever happens to the connection.
//!
//! One connection of our own, and one SSUBSCRIBE for each channel: client libraries lose sharded subscriptions when they
//! reconnect or when a slot moves, and say nothing. Whatever looks wrong (the connection ends, the server does not answer,
//! ends a subscription or has become a replica, a notice is overdue) is answered in one way: connect anew, subscribe to
//! all, and tell whoever watches that notices may have been lost.

use super::{
    check::{Checks, Server, Unfit},
    link::{Connector, Pause, in_words, refusal, told},
    notice,
    plan::Plan,
};
use crate::{
    metrics::{CountReason as _, Metrics},
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

/// How often the server is asked whether it is there and still the primary. With [`super::link::ANSWER`], a network that
/// swallows everything is noticed within 1.4 s.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// What the supervisor shares with the store.
#[derive(Debug)]
pub(super) struct Heard {
    plan: Plan,
    notices: broadcast::Sender<Arc<Notice>>,
    metrics: Arc<Metrics>,
    /// The newest place that came over each partition's channel in this connection.
    newest: [AtomicU64; PARTITIONS],
    /// Where the subscription is, or was last.
    server: Mutex<Server>,
    /// It moved there since somebody asked.
    moved: AtomicBool,
    /// Told whenever all channels have been subscribed to.
    subscribed: Notify,
    /// Told when the subscriptions are of no use.
    deaf: Notify,
}

impl Heard {
    pub(super) fn new(plan: Plan, notices: broadcast::Sender<Arc<Notice>>, metrics: Arc<Metrics>) -> Self {
        let newest = [const { AtomicU64::new(0) }; PARTITIONS];
        let (server, moved, subscribed, deaf) = Default::default();
        Self { plan, notices, metrics, newest, server, moved, subscribed, deaf }
    }

    /// Returns once all channels have been subscribed to anew.
    pub(super) async fn interrupted(&self) -> Interruption {
        self.subscribed.notified().await;
        match self.moved.swap(false, Ordering::Relaxed) {
            true => Interruption::Elsewhere,
            false => Interruption::Missed,
        }
    }

    /// All channels have been subscribed to.
    fn subscribed_on(&self, server: Server) {
        let before =
            mem::replace(&mut *self.server.lock().unwrap_or_else(PoisonError::into_inner), server.clone());
        if !before.is_empty() && before != server {
            self.moved.store(true, Ordering::Relaxed);
        }
        self.subscribed.notify_one();
    }

    /// The notice of `pos` should have come. If it did, whoever asks is just behind.
    pub(super) fn missed(&self, partition: u8, pos: u64) {
        let newest = self.newest.get(usize::from(partition));
        if newest.is_some_and(|newest| newest.load(Ordering::Relaxed) < pos) {
            self.deaf.notify_one();
        }
    }

    /// Takes what the server sends unasked. Runs on the connection's own task, so no queue lies between the socket and the
    /// hub's bounded one.
    fn take(&self, push: &PushInfo) {
        match push.kind {
            PushKind::SMessage => match self.read(&push.data) {
                Some(notice) => {
                    if let Some(newest) = self.newest.get(usize::from(notice.partition)) {
                        newest.store(notice.pos, Ordering::Relaxed);
                    }
                    // Who watched may have gone; whoever comes next reads first.
                    let _ = self.notices.send(Arc::new(notice));
                }
                None => self.metrics.store_faults.count("bad_notice"),
            },
            PushKind::SUnsubscribe | PushKind::Disconnection => self.deaf.notify_one(),
            _ => {}
        }
    }

    fn read(&self, data: &[Value]) -> Option<Notice> {
        let [Value::BulkString(channel), Value::BulkString(payload)] = data else { return None };
        let partition = self.plan.partition_of(std::str::from_utf8(channel).ok()?)?;
        notice::read(partition, payload)
    }
}

/// Hears until the task is aborted.
pub(super) async fn run(connector: Connector, heard: Arc<Heard>) -> Infallible {
    let mut pause = Pause::new();
    loop {
        match subscribe(&connector, &heard).await {
            Ok((connection, server)) => {
                heard.subscribed_on(server);
                pause = Pause::new();
                let why = until_deaf(connection, &heard).await;
                tracing::warn!(why, "notices of the store do not come; subscribing anew");
                connector.count("deaf");
            }
            Err(why) => {
                tracing::debug!(%why, "no subscription to the store's notices");
                connector.count("connect");
            }
        }
        pause.take().await;
    }
}

/// Connects and subscribes to all channels, or fails as a whole.
async fn subscribe(
    connector: &Connector,
    heard: &Arc<Heard>,
) -> Result<(MultiplexedConnection, Server), Unfit> {
    // What was said of the connection before this one is settled.
    let _said = heard.deaf.notified().now_or_never();
    heard.newest.iter().for_each(|newest| newest.store(0, Ordering::Relaxed));
    let taker = Arc::clone(heard);
    let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
        taker.take(&push);
        Ok::<(), Infallible>(())
    });
    let (mut connection, server) = connector.connect_to_fit(config, Checks::READING).await?;
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

/// Keeps the connection until it is of no use, and says why.
async fn until_deaf(mut connection: MultiplexedConnection, heard: &Heard) -> String {
    let mut question = Pipeline::new();
    question.cmd("ROLE");
    loop {
        tokio::select! {
            () = heard.deaf.notified() => return "it ended, or a notice is overdue".to_owned(),
            () = sleep(KEEPALIVE) => {}
        }
        tokio::select! {
            () = heard.deaf.notified() => return "it ended, or a notice is overdue".to_owned(),
            answer = connection.send_packed_commands(&question, 0, 1) => match answer {
                Ok(answer) if is_primary(&answer) => {}
                Ok(_) => return "it has become a replica".to_owned(),
                Err(error) => return in_words(&error),
            },
        }
    }
}

/// Whether `ROLE` was answered with `master`.
pub(super) fn is_primary(answers: &[Value]) -> bool {
    let Some(Value::Array(role)) = answers.first() else { return false };
    matches!(role.first(), Some(Value::BulkString(name)) if name == b"master")
}
