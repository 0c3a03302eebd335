//! Sentinels: which server is the primary of their group. Asks all of them every second, and at once when one says `+switch-master` or
//! something casts doubt on the present primary.
//!
//! A sentinel that was cut off names an old primary, and an old primary that nobody told goes on acknowledging. So the answer with the
//! highest configuration epoch counts, only a server that calls itself a primary is taken, and what a server acknowledges after its successor
//! is known counts no more: [`Node::epoch`] makes the successor another node than the one before.

use super::{
    ear::is_primary,
    error::{Unfit, in_words, told},
    link::Connector,
    login::Login,
    map::{Board, Map},
    node::Node,
    shards::Shards,
};
use crate::metrics::{Metrics, StoreFault};
use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// How often the sentinels are asked, since their messages are not repeated.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often they are asked while the primary is gone.
const ANXIOUS: Duration = Duration::from_millis(200);

/// The pause between two looks, however much doubt there is.
const GAP: Duration = Duration::from_millis(25);

/// The most sentinels that are asked, those that were learned from others included.
const MAX_SENTINELS: usize = 64;

/// Looks at the sentinels of one group.
pub(super) struct Sentinels {
    group: String,
    /// How to log in to the sentinels, and to the servers of the group.
    to_sentinels: Login,
    to_servers: Login,
    sentinels: Vec<Node>,
    /// The connections to those that answered last.
    connections: HashMap<Node, MultiplexedConnection>,
    /// The newest epoch that was taken.
    epoch: u64,
    /// Notified when a sentinel says that there is another primary.
    switched: Arc<Notify>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentinels").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Sentinels {
    pub(super) fn new(
        group: String,
        sentinels: Vec<Node>,
        to_sentinels: Login,
        to_servers: Login,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (connections, switched) = Default::default();
        Self { group, to_sentinels, to_servers, sentinels, connections, epoch: 0, switched, metrics }
    }

    /// Returns the map of the primary that the sentinels name.
    pub(super) async fn first(&mut self) -> Result<Map, Unfit> {
        self.look(None).await.map(Map::single)
    }

    /// Keeps the map current until the shards are gone.
    pub(super) async fn keep(mut self, shards: Weak<Shards>, board: Arc<Board>) {
        let mut interval = INTERVAL;
        let switched = Arc::clone(&self.switched);
        loop {
            tokio::select! {
                () = board.doubted() => {}
                () = switched.notified() => {}
                () = sleep(interval) => {}
            }
            let known = board.map().nodes().first().cloned();
            match self.look(known.as_ref()).await {
                Ok(primary) => {
                    if let Some(before) = board.show(Map::single(primary.clone())) {
                        let before = before.nodes().first().map(ToString::to_string).unwrap_or_default();
                        tracing::info!(before, now = %primary, epoch = primary.epoch, "the store has another primary");
                        self.metrics.store_faults.count(StoreFault::Topology);
                    }
                }
                Err(why) => tracing::debug!(%why, "no sentinel names a primary"),
            }
            let Some(shards) = shards.upgrade() else { return };
            let is_down = |node: &Node| shards.shard(node).reader.up_now().is_none();
            interval = if board.map().nodes().iter().any(is_down) { ANXIOUS } else { INTERVAL };
            drop(shards);
            sleep(GAP).await;
        }
    }

    /// Asks all sentinels. Returns the primary that the highest epoch names, unless an older one than `known`, after it has said itself that
    /// it is a primary.
    async fn look(&mut self, known: Option<&Node>) -> Result<Node, Unfit> {
        let asked = self.sentinels.clone();
        let answers = join_all(asked.iter().map(|sentinel| self.ask(sentinel))).await;
        let (mut named, mut failure) = (BTreeMap::new(), None);
        for (sentinel, answer) in asked.iter().zip(answers) {
            match answer {
                Ok((connection, view)) => {
                    self.connections.insert(sentinel.clone(), connection);
                    for other in view.others {
                        if !self.sentinels.contains(&other) && self.sentinels.len() < MAX_SENTINELS {
                            self.sentinels.push(other);
                        }
                    }
                    named.insert(view.primary.epoch, view.primary);
                }
                Err(why) => {
                    self.connections.remove(sentinel);
                    // What an operator has to change is told before what passes by itself.
                    if failure.is_none() || matches!(why, Unfit::Wrong(_)) {
                        failure = Some(why);
                    }
                }
            }
        }
        let Some((_, primary)) = named.pop_last() else {
            return Err(failure.unwrap_or_else(|| Unfit::NotYet("there is no sentinel".to_owned())));
        };
        if primary.epoch < self.epoch {
            return Err(Unfit::NotYet("the sentinels that answer name an older primary".to_owned()));
        }
        if known != Some(&primary) {
            self.check_role(&primary).await?;
        }
        self.epoch = primary.epoch;
        Ok(primary)
    }

    /// Asks one sentinel, over the connection that stands or a new one, on which it tells of every other primary.
    async fn ask(&self, sentinel: &Node) -> Result<(MultiplexedConnection, View), Unfit> {
        let mut connection = match self.connections.get(sentinel) {
            Some(connection) => connection.clone(),
            None => self.connect(sentinel).await?,
        };
        // In this order: an address that is newer than its epoch waits for the next look, one that is older would be believed.
        let mut questions = Pipeline::with_capacity(3);
        for question in ["MASTER", "GET-MASTER-ADDR-BY-NAME", "SENTINELS"] {
            questions.cmd("SENTINEL").arg(question).arg(&self.group);
        }
        let answers = connection.send_packed_commands(&questions, 0, 3).await;
        let answers =
            answers.map_err(|error| Unfit::NotYet(format!("sentinel {sentinel}: {}", in_words(&error))))?;
        Ok((connection, read(answers, sentinel, &self.group)?))
    }

    async fn connect(&self, sentinel: &Node) -> Result<MultiplexedConnection, Unfit> {
        let switched = Arc::clone(&self.switched);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
                switched.notify_one();
            }
            Ok::<(), Infallible>(())
        });
        let connector =
            Connector::new(self.to_sentinels.clone(), sentinel.clone(), Arc::clone(&self.metrics));
        let mut connection = connector.connect(config).await.map_err(|unfit| match unfit {
            Unfit::NotYet(why) => Unfit::NotYet(format!("sentinel {sentinel}: {why}")),
            Unfit::Wrong(_) => Unfit::Wrong(vec![format!(
                "sentinel {sentinel} refuses the password; mend sentinel_password under [store]"
            )]),
        })?;
        let mut subscribe = Pipeline::with_capacity(1);
        subscribe.cmd("SUBSCRIBE").arg("+switch-master");
        // If it fails, the sentinel is asked every second all the same.
        let _subscribed = connection.send_packed_commands(&subscribe, 0, 1).await;
        Ok(connection)
    }

    /// Asks a server whether it is a primary.
    async fn check_role(&self, server: &Node) -> Result<(), Unfit> {
        let connector = Connector::new(self.to_servers.clone(), server.clone(), Arc::clone(&self.metrics));
        let mut connection = connector.connect(AsyncConnectionConfig::new()).await?;
        let mut question = Pipeline::with_capacity(1);
        question.cmd("ROLE");
        let answers = connection.send_packed_commands(&question, 0, 1).await;
        let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
        match is_primary(answers.first()) {
            true => Ok(()),
            false => {
                Err(Unfit::NotYet(format!("{server}, which the sentinels call the primary, is a replica")))
            }
        }
    }
}

/// What one sentinel says.
#[derive(Debug)]
struct View {
    primary: Node,
    /// The other sentinels of the group.
    others: Vec<Node>,
}

/// Reads the answers of a sentinel: its fields of the primary, the primary's address, the other sentinels. Pure.
///
/// A sentinel that leads a failover gives the old primary's address among the fields, with the new epoch, until the last replica follows the
/// new primary. Only the address that it is asked for belongs to the epoch.
fn read(answers: Vec<Value>, sentinel: &Node, group: &str) -> Result<View, Unfit> {
    let mut answers = answers.into_iter();
    let primary = match answers.next() {
        Some(Value::ServerError(error))
            if error.details().is_some_and(|said| said.contains("No such master")) =>
        {
            return Err(Unfit::Wrong(vec![format!(
                "sentinel {sentinel} watches no group {group}; mend the name after the last slash of [store] url"
            )]));
        }
        Some(Value::ServerError(error)) => {
            return Err(Unfit::NotYet(format!("sentinel {sentinel}: {}", told(&error))));
        }
        Some(answer) => fields(&answer),
        None => return Err(Unfit::NotYet(format!("sentinel {sentinel} does not answer"))),
    };
    let address = answers.next().as_ref().map(words).unwrap_or_default();
    let mut node = match address.as_slice() {
        [host, port] => parse_node(host, port),
        _ => None,
    }
    .ok_or_else(|| Unfit::NotYet(format!("sentinel {sentinel} does not say where the primary is")))?;
    node.epoch = primary.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
    let others = match answers.next() {
        Some(Value::Array(others)) => others.iter().filter_map(|other| node_of(&fields(other))).collect(),
        _ => Vec::new(),
    };
    Ok(View { primary: node, others })
}

fn node_of(fields: &HashMap<String, String>) -> Option<Node> {
    parse_node(fields.get("ip")?, fields.get("port")?)
}

fn parse_node(host: &str, port: &str) -> Option<Node> {
    (!host.is_empty()).then_some(Node::new(host, port.parse().ok()?))
}

/// Reads a map, or a list of names and values in alternation.
fn fields(answer: &Value) -> HashMap<String, String> {
    match answer {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), text(value))).collect(),
        other => words(other)
            .chunks_exact(2)
            .filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())))
            .collect(),
    }
}

fn words(answer: &Value) -> Vec<String> {
    match answer {
        Value::Array(words) => words.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn map(fields: &[(&str, &str)]) -> Value {
        Value::Map(fields.iter().map(|(name, value)| (bulk(name), bulk(value))).collect())
    }

    #[test]
    fn a_sentinel_names_the_primary_its_epoch_and_the_others() {
        let sentinel = Node::new("s", 1);
        let primary = map(&[("name", "m"), ("ip", "10.0.0.1"), ("port", "6380"), ("config-epoch", "7")]);
        let address = Value::Array(vec![bulk("10.0.0.1"), bulk("6380")]);
        let others = Value::Array(vec![map(&[("ip", "10.0.0.9"), ("port", "26379")]), map(&[("ip", "")])]);
        let view = read(vec![primary, address, others], &sentinel, "m").unwrap();
        assert_eq!((view.primary.to_string().as_str(), view.primary.epoch), ("10.0.0.1:6380", 7));
        assert_eq!(view.others, [Node::new("10.0.0.9", 26_379)]);
        assert!(read(vec![Value::Nil, Value::Nil, Value::Nil], &sentinel, "m").is_err());
    }

    #[test]
    fn i1_the_leader_of_a_failover_names_the_new_primary_with_the_new_epoch() {
        let flags = "s_down,o_down,master,disconnected,failover_in_progress";
        let primary = map(&[("ip", "10.0.0.1"), ("port", "6380"), ("flags", flags), ("config-epoch", "8")]);
        let address = Value::Array(vec![bulk("10.0.0.2"), bulk("6381")]);
        let view = read(vec![primary, address, Value::Array(Vec::new())], &Node::new("s", 1), "m").unwrap();
        assert_eq!((view.primary.to_string().as_str(), view.primary.epoch), ("10.0.0.2:6381", 8));
    }
}
