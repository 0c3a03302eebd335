//! A connection that is opened again whenever it is lost. Its users wait for it, and report it when it is broken.
//!
//! One task for each link connects, checks that the server is as configured, and connects again after a growing, jittered
//! pause. A server that does not answer in time counts as gone even if its socket is open, because a network that drops
//! every packet looks like that.

use super::{
    check::{Checks, Server},
    error::{Unfit, in_words},
    login::Login,
    node::Node,
};
use crate::{
    backoff::Backoff,
    metrics::{Metrics, StoreFault},
};
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// How long a caller waits for the store, retries included. After that, a provider gets 503 and sends its webhook again.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long a server may take to answer, or to greet a new connection. Two attempts fit into [`PATIENCE`].
pub(super) const ANSWER: Duration = Duration::from_millis(900);

/// The pause before a retry of what failed for a reason that passes by itself.
pub(super) const AGAIN: Duration = Duration::from_millis(20);

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    login: Login,
    node: Node,
    metrics: Arc<Metrics>,
}

impl Connector {
    pub(super) const fn new(login: Login, node: Node, metrics: Arc<Metrics>) -> Self {
        Self { login, node, metrics }
    }

    /// The server.
    pub(super) const fn node(&self) -> &Node {
        &self.node
    }

    /// Connects, greets and logs in. `config` may add what else the connection needs, such as a receiver of pushes.
    pub(super) async fn connect(
        &self,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Unfit> {
        let config = config.set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
        let config = self.login.route(&self.node, config);
        let client = self.login.client(&self.node)?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        match timeout(ANSWER, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Unfit::unconnected(&error)),
            Err(_) => Err(Unfit::NotYet("no answer to the greeting in time".to_owned())),
        }
    }

    /// Connects to a server that passes the checks, and returns which server it is.
    pub(super) async fn connect_to_fit(
        &self,
        config: AsyncConnectionConfig,
        checks: &Checks,
    ) -> Result<(MultiplexedConnection, Server), Unfit> {
        let mut connection = self.connect(config).await?;
        let server = checks.fit(&mut connection).await?;
        Ok((connection, server))
    }

    /// Counts a fault of a connection.
    pub(super) fn count(&self, fault: StoreFault) {
        self.metrics.store_fault(&self.node.to_string(), fault);
    }
}

/// The pauses between attempts to connect.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(250));

/// Pauses between attempts to connect, each longer than the one before.
#[derive(Debug)]
pub(super) struct Pause {
    /// How many were taken.
    taken: u32,
}

impl Pause {
    pub(super) const fn new() -> Self {
        Self { taken: 0 }
    }

    /// Waits, and lengthens the next pause.
    pub(super) async fn take(&mut self) {
        sleep(RECONNECT.random(self.taken)).await;
        self.taken = self.taken.saturating_add(1);
    }
}

/// A shared handle to one connection. The task that keeps it connected ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub(super) struct Link {
    state: Arc<watch::Sender<State>>,
    connector: Connector,
}

#[derive(Clone)]
enum State {
    /// There is no connection since this time, for this reason.
    Down(Instant, Arc<str>),
    Up(Up),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down(_, why) => write!(f, "down: {why}"),
            Self::Up(up) => write!(f, "up, connection {}", up.number),
        }
    }
}

/// An open connection.
#[derive(Clone)]
pub(super) struct Up {
    /// Counts the connections of the link, from 1.
    pub(super) number: u64,
    connection: MultiplexedConnection,
}

impl Up {
    /// Sends all commands at once and waits for all `count` answers. An error of the server is an answer too.
    pub(super) async fn send(&mut self, commands: &Pipeline, count: usize) -> Result<Vec<Value>, String> {
        let answers = self.connection.send_packed_commands(commands, 0, count).await;
        answers.map_err(|error| in_words(&error))
    }
}

impl Link {
    /// Begins to connect, and uses only a server that passes the checks.
    pub(super) fn start(connector: Connector, checks: Checks) -> Self {
        let state = Arc::new(watch::Sender::new(State::Down(Instant::now(), "not connected yet".into())));
        let link = Self { state, connector };
        let (changes, state) = (link.state.subscribe(), Arc::downgrade(&link.state));
        tokio::spawn(keep(link.connector.clone(), checks, state, changes));
        link
    }

    /// Waits for the connection.
    pub(super) async fn up(&self) -> Up {
        let mut changes = self.state.subscribe();
        loop {
            if let State::Up(up) = &*changes.borrow_and_update() {
                return up.clone();
            }
            // This fails only if no sender is left, and the link itself holds one.
            let _changed = changes.changed().await;
        }
    }

    /// Returns why there is no connection, if there is none.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Down(_, why) => Some(Arc::clone(why)),
            State::Up(_) => None,
        }
    }

    /// Whether there has been no connection for longer than a caller waits.
    pub(super) fn is_long_down(&self) -> bool {
        matches!(&*self.state.borrow(), State::Down(since, _) if since.elapsed() > PATIENCE)
    }

    /// Returns the connection if there is one now.
    pub(super) fn up_now(&self) -> Option<Up> {
        match &*self.state.borrow() {
            State::Up(up) => Some(up.clone()),
            State::Down(..) => None,
        }
    }

    /// Gives up connection `number`, if it is still the present one.
    pub(super) fn broken(&self, number: u64, why: &str) {
        if take_out(&self.state, number, why) {
            self.connector.count(StoreFault::Lost);
        }
    }

    /// Gives up the present connection.
    pub(super) fn leave(&self, why: &str) {
        let number = match &*self.state.borrow() {
            State::Up(up) => up.number,
            State::Down(..) => return,
        };
        self.broken(number, why);
    }
}

/// Keeps a link connected until its last handle is dropped.
async fn keep(
    connector: Connector,
    checks: Checks,
    state: Weak<watch::Sender<State>>,
    mut changes: watch::Receiver<State>,
) {
    let mut pause = Pause::new();
    for number in 1_u64.. {
        let opened = connector.connect_to_fit(told_of_its_end(number, &state), &checks).await;
        let Some(state) = state.upgrade() else { return };
        match opened {
            Ok((connection, _)) => {
                pause = Pause::new();
                state.send_replace(State::Up(Up { number, connection }));
                drop(state);
                if changes.wait_for(|state| matches!(state, State::Down(..))).await.is_err() {
                    return;
                }
            }
            Err(why) => {
                connector.count(StoreFault::Connect);
                let why: Arc<str> = why.to_string().into();
                let mut is_new = true;
                state.send_modify(|state| {
                    let mut since = Instant::now();
                    if let State::Down(before, said) = &*state {
                        (since, is_new) = (*before, *said != why);
                    }
                    *state = State::Down(since, Arc::clone(&why));
                });
                // The log tells each reason once, because an operator may have to change something.
                if is_new {
                    tracing::warn!(server = %connector.node, %why, "no connection to the store");
                }
                drop(state);
                pause.take().await;
            }
        }
    }
}

/// Configures connection `number` to take itself out of the link when it ends, so that no command has to fail first.
fn told_of_its_end(number: u64, state: &Weak<watch::Sender<State>>) -> AsyncConnectionConfig {
    let state = Weak::clone(state);
    AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection
            && let Some(state) = state.upgrade()
        {
            take_out(&state, number, "it was closed");
        }
        Ok::<(), Infallible>(())
    })
}

/// Marks connection `number` as lost. Returns whether it was the present one until now.
fn take_out(state: &watch::Sender<State>, number: u64, why: &str) -> bool {
    let is_news = state.send_if_modified(|state| {
        let is_meant = matches!(state, State::Up(up) if up.number == number);
        if is_meant {
            *state = State::Down(Instant::now(), why.into());
        }
        is_meant
    });
    if is_news {
        tracing::warn!(why, "a connection to the store is lost");
    }
    is_news
}
