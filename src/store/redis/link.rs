//! A connection that comes back: whoever has something to ask waits for it, and says so when it is broken.
//!
//! One task per link connects, checks that the server is as configured, and connects again with a growing, jittered pause. A
//! server that does not answer in time counts as gone, whatever its socket says: that is how a network which swallows
//! everything looks.

use super::check::{Checks, Unfit};
use crate::{
    metrics::{CountReason as _, Metrics},
    store::StoreError,
};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, Pipeline, PushInfo, PushKind, RedisError, ServerError, Value,
    aio::MultiplexedConnection,
};
use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

/// How long a caller waits for the store, tries included. A provider that gets no answer by then is asked to come again.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long a server may take to answer, or to greet a new connection. Two tries fit into [`PATIENCE`].
pub(super) const ANSWER: Duration = Duration::from_millis(900);

/// What is not the caller's fault and passes is asked again after this.
pub(super) const AGAIN: Duration = Duration::from_millis(20);

/// Opens connections to the configured server.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Connector {
    pub(super) const fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics }
    }

    /// Connects, greets and logs in; `config` says what else the connection is for.
    pub(super) async fn connect(
        &self,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Unfit> {
        let config = config.set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        match timeout(ANSWER, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) if is_login_refused(&error) => {
                let remedy = "mend the user in url or the password under [store]";
                Err(Unfit::Wrong(vec![format!("it refuses user or password; {remedy}")]))
            }
            Ok(Err(error)) => Err(Unfit::NotYet(in_words(&error))),
            Err(_) => Err(Unfit::NotYet("it does not greet".to_owned())),
        }
    }

    /// Connects to a server that passes the checks.
    pub(super) async fn connect_to_fit(
        &self,
        config: AsyncConnectionConfig,
        checks: Checks,
    ) -> Result<MultiplexedConnection, Unfit> {
        let mut connection = self.connect(config).await?;
        checks.fit(&mut connection).await?;
        Ok(connection)
    }

    /// Counts a fault of a connection.
    pub(super) fn count(&self, fault: &'static str) {
        self.metrics.store_faults.count(fault);
    }
}

/// A growing pause, each one drawn from its upper half so that nodes do not come back in step.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Pause {
    const LEAST: Duration = Duration::from_millis(10);
    const MOST: Duration = Duration::from_millis(250);

    pub(super) const fn new() -> Self {
        Self(Self::LEAST)
    }

    pub(super) async fn take(&mut self) {
        sleep(self.0.mul_f64(rand::random_range(0.5..=1.0))).await;
        self.0 = (self.0 * 2).min(Self::MOST);
    }
}

/// A shared hold on one connection. The task that keeps it ends with the last hold.
#[derive(Clone, Debug)]
pub(super) struct Link {
    state: Arc<watch::Sender<State>>,
    connector: Connector,
}

#[derive(Clone)]
enum State {
    /// Not connected, and why.
    Down(Arc<str>),
    Up(Up),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down(why) => write!(f, "down: {why}"),
            Self::Up(up) => write!(f, "up, connection {}", up.number),
        }
    }
}

/// A connection, and which one in the life of its link.
#[derive(Clone)]
pub(super) struct Up {
    pub(super) number: u64,
    connection: MultiplexedConnection,
}

impl Up {
    /// Sends all commands at once and waits for all answers; a server's error is an answer too.
    pub(super) async fn send(&mut self, commands: &Pipeline, count: usize) -> Result<Vec<Value>, String> {
        let answers = self.connection.send_packed_commands(commands, 0, count).await;
        answers.map_err(|error| in_words(&error))
    }
}

impl Link {
    /// Begins to connect, only to a server that passes the checks.
    pub(super) fn start(connector: Connector, checks: Checks) -> Self {
        let state = Arc::new(watch::Sender::new(State::Down("not connected yet".into())));
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
            // We hold a sender ourselves.
            let _changed = changes.changed().await;
        }
    }

    /// What is wrong, if it is down.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Down(why) => Some(Arc::clone(why)),
            State::Up(_) => None,
        }
    }

    /// Connection `number` is of no use any more.
    pub(super) fn broken(&self, number: u64, why: &str) {
        if take_out(&self.state, number, why) {
            self.connector.count("lost");
        }
    }

    /// The present connection is of no use any more.
    pub(super) fn leave(&self, why: &str) {
        let number = match &*self.state.borrow() {
            State::Up(up) => up.number,
            State::Down(_) => return,
        };
        self.broken(number, why);
    }

    /// A server that became a replica will not be the primary again soon: the address may lead elsewhere by now.
    pub(super) fn leave_a_replica(&self, up: &Up, error: &ServerError) {
        if error.code() == "READONLY" {
            self.broken(up.number, "it has become a replica");
        }
    }

    /// Asks, and asks again as long as that may help: at most [`PATIENCE`].
    pub(super) async fn ask(&self, commands: &Pipeline, count: usize) -> Result<Vec<Value>, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut trouble = None;
        while let Ok(mut up) = timeout_at(until, self.up()).await {
            match timeout_at(until, up.send(commands, count)).await {
                Ok(Ok(answers)) => match answers.iter().find_map(refusal) {
                    None => return Ok(answers),
                    Some(error) if passes(error) => {
                        trouble = Some(told(error));
                        self.leave_a_replica(&up, error);
                    }
                    Some(error) => return Err(StoreError::Unavailable(told(error))),
                },
                Ok(Err(why)) => {
                    self.broken(up.number, &why);
                    trouble = Some(why);
                }
                Err(_) => trouble = Some("no answer in time".to_owned()),
            }
            sleep(AGAIN).await;
        }
        let trouble = self.trouble().map(|why| why.to_string()).or(trouble);
        Err(StoreError::Unavailable(trouble.unwrap_or_else(|| "no answer in time".to_owned())))
    }
}

/// Keeps a link connected until nobody holds it.
async fn keep(
    connector: Connector,
    checks: Checks,
    state: Weak<watch::Sender<State>>,
    mut changes: watch::Receiver<State>,
) {
    let mut pause = Pause::new();
    for number in 1_u64.. {
        let opened = connector.connect_to_fit(told_of_its_end(number, &state), checks).await;
        let Some(state) = state.upgrade() else { return };
        match opened {
            Ok(connection) => {
                pause = Pause::new();
                state.send_replace(State::Up(Up { number, connection }));
                drop(state);
                if changes.wait_for(|state| matches!(state, State::Down(_))).await.is_err() {
                    return;
                }
            }
            Err(why) => {
                connector.count("connect");
                let why: Arc<str> = why.to_string().into();
                let before = state.send_replace(State::Down(Arc::clone(&why)));
                // Once for each reason: somebody may have to change something.
                if !matches!(before, State::Down(said) if said == why) {
                    tracing::warn!(%why, "no connection to the store");
                }
                drop(state);
                pause.take().await;
            }
        }
    }
}

/// A connection that takes itself out when it ends, so that nobody has to find out by asking in vain.
fn told_of_its_end(number: u64, state: &Weak<watch::Sender<State>>) -> AsyncConnectionConfig {
    let state = Weak::clone(state);
    AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection
            && let Some(state) = state.upgrade()
        {
            take_out(&state, number, "it ended");
        }
        Ok::<(), Infallible>(())
    })
}

/// Connection `number` is down. True if that is news.
fn take_out(state: &watch::Sender<State>, number: u64, why: &str) -> bool {
    let is_news = state.send_if_modified(|state| {
        let is_meant = matches!(state, State::Up(up) if up.number == number);
        if is_meant {
            *state = State::Down(why.into());
        }
        is_meant
    });
    if is_news {
        tracing::warn!(why, "a connection to the store is lost");
    }
    is_news
}

/// HELLO answers so where user or password are wrong, missing, or may not do what a gateway does.
fn is_login_refused(error: &RedisError) -> bool {
    let refused = error.code().is_some_and(|code| ["WRONGPASS", "NOAUTH", "NOPERM"].contains(&code));
    refused || error.kind() == ErrorKind::AuthenticationFailed
}

/// The error in an answer.
pub(super) fn refusal(answer: &Value) -> Option<&ServerError> {
    match answer {
        Value::ServerError(error) => Some(error),
        Value::Array(answers) => answers.iter().find_map(refusal),
        _ => None,
    }
}

/// Whether an error passes by itself: a server that starts, changes its role or moves a slot.
pub(super) fn passes(error: &ServerError) -> bool {
    const PASSING: [&str; 9] = [
        "LOADING",
        "READONLY",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "MOVED",
        "ASK",
        "BUSY",
        "NOREPLICAS",
    ];
    PASSING.contains(&error.code())
}

/// An error of the server in words. It may quote the command, but no command of ours carries a secret or a payload in its
/// first words, which is all that Redis quotes.
pub(super) fn told(error: &ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned()
}

/// An error of the library in words, without the password that an error in an address may quote.
pub(super) fn in_words(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::InvalidClientConfig => "the address or the certificates cannot be used".to_owned(),
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}
