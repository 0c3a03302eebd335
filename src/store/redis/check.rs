//! Whether a server is fit: new enough, the primary, and as durable as the configuration asks for.
//!
//! Asked of every connection that is opened, not only at the start: after a failover the address may lead to a server that
//! keeps less than the old one did, and an acknowledgement must not mean less than it says.

use super::{
    Durability,
    link::{in_words, refusal, told},
    plan::Plan,
    writer::{APPEND, OWED},
};
use redis::{Pipeline, ServerError, Value, aio::MultiplexedConnection};
use std::collections::HashMap;

/// Sharded channels and scripts with flags begin with it.
const OLDEST: u64 = 7;

/// What would be refused wherever an append would be.
const PROBE: &str = include_str!("probe.lua");

/// Which life of which server it is: another one after each start, and on each replica.
pub(super) type Server = String;

/// What the configuration asks of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checks {
    pub(super) durability: Durability,
    pub(super) ack_replicas: u32,
}

/// Why a server is not fit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It may be fit in a moment.
    #[error("{0}")]
    NotYet(String),
    /// Somebody has to change something: every fault with its remedy.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
}

impl Checks {
    /// What a server must be to be read from, whatever it keeps.
    pub(super) const READING: Self = Self { durability: Durability::None, ack_replicas: 0 };

    /// Whether the server is what the configuration asks for, and which one it is. One round trip.
    pub(super) async fn fit(self, connection: &mut MultiplexedConnection) -> Result<Server, Unfit> {
        self.ask(connection).await.map(|info| info.get("run_id").to_owned())
    }

    /// Whether an append would succeed now, besides.
    pub(super) async fn ready(
        self,
        connection: &mut MultiplexedConnection,
        plan: &Plan,
    ) -> Result<(), Unfit> {
        let info = self.ask(connection).await?;
        let (replicas, wanted) = (info.online_replicas(), self.ack_replicas);
        if replicas < wanted {
            return Err(Unfit::NotYet(format!(
                "it has {replicas} replicas online, fewer than ack_replicas = {wanted}; start them, or lower it"
            )));
        }
        let mut trial = Pipeline::new();
        trial.cmd("SCRIPT").arg("LOAD").arg(APPEND);
        trial.cmd("SCRIPT").arg("LOAD").arg(OWED);
        trial.cmd("EVAL").arg(PROBE).arg(1).arg(plan.head(0)).arg(plan.channel(0));
        let answers = connection.send_packed_commands(&trial, 0, 3).await;
        let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
        answers.iter().find_map(refusal).map_or(Ok(()), |error| Err(unfit(error)))
    }

    /// What the server says of itself, if it is fit.
    async fn ask(self, connection: &mut MultiplexedConnection) -> Result<Info, Unfit> {
        let mut questions = Pipeline::new();
        questions.cmd("INFO").cmd("CLUSTER").arg("INFO");
        questions.cmd("CONFIG").arg("GET").arg("appendfsync").arg("no-appendfsync-on-rewrite");
        let answers = connection.send_packed_commands(&questions, 0, 3).await;
        let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
        let Ok([info, cluster, config]) = <[Value; 3]>::try_from(answers) else {
            return Err(Unfit::NotYet("it did not answer all questions".to_owned()));
        };
        if let Some(error) = refusal(&info) {
            return Err(unfit(error));
        }
        let mut info = Info::parse(&(text(&info) + &text(&cluster)));
        info.add_config(config);
        if info.get("loading") == "1" {
            return Err(Unfit::NotYet("it is loading its data".to_owned()));
        }
        let faults = self.faults(&info);
        if faults.is_empty() { Ok(info) } else { Err(Unfit::Wrong(faults)) }
    }

    /// All that has to be changed. Pure.
    fn faults(self, info: &Info) -> Vec<String> {
        let mut faults = Vec::new();
        let version = info.get("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse::<u64>().ok());
        if major.is_none_or(|major| major < OLDEST) {
            faults.push(format!("its version is {version}; it has to be Redis 7 or Valkey 7.2, or later"));
        }
        if info.get("role") == "slave" {
            faults.push("it is a replica; give the primary's address in [store] url".to_owned());
        }
        if info.get("cluster_enabled") == "1" && info.get("cluster_size") != "1" {
            faults.push(
                "it is part of a cluster, which this version does not know; use a server by itself"
                    .to_owned(),
            );
        }
        if self.durability != Durability::None {
            faults.extend(self.less_durable(info));
        }
        faults
    }

    fn less_durable(self, info: &Info) -> Vec<String> {
        let mut faults = Vec::new();
        let mut wants = |fault: String, setting: &str| {
            faults.push(format!(
                "{fault}; put `{setting}` into its redis.conf, or CONFIG SET {setting} and CONFIG REWRITE"
            ));
        };
        let policy = info.get("maxmemory_policy");
        if policy != "noeviction" {
            let fault = format!("its maxmemory-policy is {policy}, so it may forget payments");
            wants(fault, "maxmemory-policy noeviction");
        }
        if info.get("aof_enabled") != "1" {
            wants("its append-only file is off, so it forgets when it ends".to_owned(), "appendonly yes");
        }
        let synced = info.get("appendfsync");
        match self.durability {
            Durability::Always if synced != "always" => {
                let synced = if synced.is_empty() { "not told" } else { synced };
                wants(format!("its appendfsync is {synced}"), "appendfsync always");
            }
            // Some hosted servers do not tell; their append-only file is synced every second.
            Durability::Everysec if synced == "no" => {
                wants("its appendfsync is no".to_owned(), "appendfsync everysec");
            }
            _ => {}
        }
        if info.get("no-appendfsync-on-rewrite") == "yes" {
            let fault = "it does not sync while it rewrites its file";
            wants(fault.to_owned(), "no-appendfsync-on-rewrite no");
        }
        if !faults.is_empty() {
            faults.push(
                "or say durability = \"none\" under [store] if acknowledged events may be lost".to_owned(),
            );
        }
        faults
    }
}

/// An error of the server: it passes, or somebody has to allow something, or make room.
fn unfit(error: &ServerError) -> Unfit {
    if error.code() != "NOPERM" {
        return Unfit::NotYet(told(error));
    }
    let remedy = "a gateway's user needs the keys and channels of its prefix, and INFO, ROLE, CONFIG GET, EVAL, EVALSHA, \
                  SCRIPT LOAD, TIME, WAIT, MULTI, EXEC and the commands on hashes, sorted sets, streams and sharded channels";
    Unfit::Wrong(vec![format!("{}; {remedy}", told(error))])
}

/// The fields of `INFO`, and of the configuration where it is told.
struct Info(HashMap<String, String>);

impl Info {
    fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// From the map or the list that `CONFIG GET` answers with; nothing where it is refused.
    fn add_config(&mut self, answer: Value) {
        let pairs: Vec<_> = match answer {
            Value::Map(pairs) => pairs,
            Value::Array(list) => list
                .chunks_exact(2)
                .filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())))
                .collect(),
            _ => Vec::new(),
        };
        self.0.extend(pairs.iter().map(|(name, value)| (text(name), text(value))));
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// `slave0:ip=…,state=online,…`
    fn online_replicas(&self) -> u32 {
        let replicas = (0_u32..).map_while(|number| self.0.get(&format!("slave{number}")));
        u32::try_from(replicas.filter(|fields| fields.contains("state=online")).count()).unwrap_or(u32::MAX)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n\
                        appendfsync:everysec\r\nno-appendfsync-on-rewrite:no\r\n";

    fn faults(durability: Durability, info: &str) -> String {
        Checks { durability, ack_replicas: 0 }.faults(&Info::parse(info)).join("; ")
    }

    #[test]
    fn a_server_that_is_as_configured_has_no_faults() {
        let always = GOOD.replace("everysec", "always");
        for (durability, info) in [
            (Durability::Everysec, GOOD),
            (Durability::Everysec, &always),
            (Durability::Everysec, &GOOD.replace("appendfsync:everysec", "")),
            (Durability::Always, &always),
            (
                Durability::None,
                "redis_version:8.2.0\nmaxmemory_policy:allkeys-lru\naof_enabled:0\nappendfsync:no",
            ),
            (Durability::Everysec, &format!("{GOOD}cluster_enabled:1\ncluster_size:1")),
        ] {
            assert_eq!(faults(durability, info), "", "{info}");
        }
    }

    #[test]
    fn each_fault_is_told_with_its_remedy() {
        for (durability, from, to, expected) in [
            (Durability::None, "7.0.15", "6.2.1", "its version is 6.2.1; it has to be"),
            (Durability::None, "master", "slave", "it is a replica; give the primary's address"),
            (
                Durability::Everysec,
                "noeviction",
                "allkeys-lru",
                "CONFIG SET maxmemory-policy noeviction and CONFIG",
            ),
            (
                Durability::Everysec,
                "aof_enabled:1",
                "aof_enabled:0",
                "put `appendonly yes` into its redis.conf",
            ),
            (Durability::Everysec, "everysec", "no", "its appendfsync is no; put `appendfsync everysec`"),
            (Durability::Always, "master", "master", "its appendfsync is everysec; put `appendfsync always`"),
            (
                Durability::Always,
                "appendfsync:everysec",
                "",
                "its appendfsync is not told; put `appendfsync always`",
            ),
            (Durability::Everysec, "rewrite:no", "rewrite:yes", "put `no-appendfsync-on-rewrite no`"),
        ] {
            let told = faults(durability, &GOOD.replace(from, to));
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn replicas_count_once_they_are_online() {
        let online = "slave0:ip=::1,port=1,state=online,offset=1,lag=0\r\nslave1:ip=::1,port=2,state=wait_bgsave,offset=0\r\n";
        for (more, expected) in [("", 0), (online, 1)] {
            assert_eq!(Info::parse(&format!("{GOOD}{more}")).online_replicas(), expected);
        }
    }
}
