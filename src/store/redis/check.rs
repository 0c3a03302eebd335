//! Whether a server is fit: new enough, the primary, and as durable as the configuration asks for.
//!
//! Asked of every connection that is opened, not only at the start: after a failover the address may lead to a server that
//! keeps less than the old one did, and an acknowledgement must not mean less than it says.

use super::{
    Durability,
    link::{in_words, refusal, told},
};
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use std::collections::HashMap;

/// Sharded channels and scripts with flags begin with it.
const OLDEST: u64 = 7;

/// A script that does nothing, but is refused wherever a script that writes would be: no memory left, the disk full, too few
/// replicas, a replica. So nothing has to be written to find out.
const PROBE: &str = "#!lua\nreturn 1";

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

    /// Whether the server is what the configuration asks for. One round trip.
    pub(super) async fn fit(self, connection: &mut MultiplexedConnection) -> Result<(), Unfit> {
        self.ask(connection).await.map(drop)
    }

    /// Whether an append would succeed now, besides.
    pub(super) async fn ready(self, connection: &mut MultiplexedConnection) -> Result<(), Unfit> {
        let (info, probe) = self.ask(connection).await?;
        let (replicas, wanted) = (info.online_replicas(), self.ack_replicas);
        if replicas < wanted {
            return Err(Unfit::NotYet(format!(
                "it has {replicas} replicas online, fewer than ack_replicas = {wanted}; start them, or lower it"
            )));
        }
        match refusal(&probe) {
            None => Ok(()),
            Some(error) => Err(Unfit::NotYet(told(error))),
        }
    }

    /// What the server says of itself, if it is fit, and what came of the probe.
    async fn ask(self, connection: &mut MultiplexedConnection) -> Result<(Info, Value), Unfit> {
        let mut questions = Pipeline::new();
        questions.cmd("INFO").cmd("CLUSTER").arg("INFO");
        questions.cmd("CONFIG").arg("GET").arg("appendfsync");
        questions.cmd("EVAL").arg(PROBE).arg(0);
        let answers = connection.send_packed_commands(&questions, 0, 4).await;
        let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
        let Ok([info, cluster, appendfsync, probe]) = <[Value; 4]>::try_from(answers) else {
            return Err(Unfit::NotYet("it did not answer all questions".to_owned()));
        };
        if let Some(error) = refusal(&info) {
            let remedy = "allow this user INFO, ROLE, EVAL, EVALSHA, SCRIPT LOAD and WAIT";
            return Err(Unfit::Wrong(vec![format!("INFO: {}; {remedy}", told(error))]));
        }
        let info = Info::parse(&(text(&info) + &text(&cluster)));
        if info.get("loading") == "1" {
            return Err(Unfit::NotYet("it is loading its data".to_owned()));
        }
        let faults = self.faults(&info, appendfsync_of(&appendfsync).as_deref());
        if faults.is_empty() { Ok((info, probe)) } else { Err(Unfit::Wrong(faults)) }
    }

    /// All that has to be changed. Pure.
    fn faults(self, info: &Info, appendfsync: Option<&str>) -> Vec<String> {
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
            faults.extend(self.less_durable(info, appendfsync));
        }
        faults
    }

    fn less_durable(self, info: &Info, appendfsync: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        let policy = info.get("maxmemory_policy");
        if policy != "noeviction" {
            faults.push(format!(
                "its maxmemory-policy is {policy}, so it may forget payments; CONFIG SET maxmemory-policy noeviction"
            ));
        }
        if info.get("aof_enabled") != "1" {
            faults.push(
                "its append-only file is off, so it forgets when it ends; CONFIG SET appendonly yes"
                    .to_owned(),
            );
        }
        let synced = match (self.durability, appendfsync) {
            (Durability::Always, synced) => synced == Some("always"),
            // Some hosted servers do not tell; their append-only file is synced every second.
            (_, synced) => synced != Some("no"),
        };
        if !synced {
            let (is, wanted) = (appendfsync.unwrap_or("not told"), self.durability);
            faults.push(format!("its appendfsync is {is}; CONFIG SET appendfsync {wanted}"));
        }
        if !faults.is_empty() {
            faults.push(
                "or say durability = \"none\" under [store] if acknowledged events may be lost".to_owned(),
            );
        }
        faults
    }
}

/// The fields of `INFO`.
struct Info(HashMap<String, String>);

impl Info {
    fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
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

/// From the map or the list that `CONFIG GET` answers with; `None` where it is refused.
fn appendfsync_of(value: &Value) -> Option<String> {
    match value {
        Value::Map(pairs) => pairs.first().map(|(_, value)| text(value)),
        Value::Array(list) => list.get(1).map(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";

    fn faults(durability: Durability, info: &str, appendfsync: Option<&str>) -> String {
        Checks { durability, ack_replicas: 0 }.faults(&Info::parse(info), appendfsync).join("; ")
    }

    #[test]
    fn a_server_that_is_as_configured_has_no_faults() {
        for (durability, info, appendfsync) in [
            (Durability::Everysec, GOOD, Some("everysec")),
            (Durability::Everysec, GOOD, Some("always")),
            (Durability::Everysec, GOOD, None),
            (Durability::Always, GOOD, Some("always")),
            (
                Durability::None,
                "redis_version:8.2.0\nmaxmemory_policy:allkeys-lru\naof_enabled:0",
                Some("no"),
            ),
            (Durability::Everysec, &format!("{GOOD}cluster_enabled:1\ncluster_size:1"), Some("always")),
        ] {
            assert_eq!(faults(durability, info, appendfsync), "", "{info}");
        }
    }

    #[test]
    fn each_fault_is_told_with_its_remedy() {
        for (durability, from, to, appendfsync, expected) in [
            (Durability::None, "7.0.15", "6.2.1", None, "its version is 6.2.1; it has to be"),
            (Durability::None, "master", "slave", None, "it is a replica; give the primary's address"),
            (
                Durability::Everysec,
                "noeviction",
                "allkeys-lru",
                None,
                "CONFIG SET maxmemory-policy noeviction",
            ),
            (Durability::Everysec, "aof_enabled:1", "aof_enabled:0", None, "CONFIG SET appendonly yes"),
            (
                Durability::Everysec,
                "",
                "",
                Some("no"),
                "its appendfsync is no; CONFIG SET appendfsync everysec",
            ),
            (Durability::Always, "", "", Some("everysec"), "CONFIG SET appendfsync always"),
            (Durability::Always, "", "", None, "its appendfsync is not told; CONFIG SET appendfsync always"),
        ] {
            let info = if from.is_empty() { GOOD.to_owned() } else { GOOD.replace(from, to) };
            let told = faults(durability, &info, appendfsync);
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
