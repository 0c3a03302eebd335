//! Whether a server is fit: new enough, the primary, as durable as the configuration asks for, and with keys in our layout.
//!
//! Every connection is checked when it is opened, and not only the first one at the start: after a failover the address may
//! lead to a server that keeps less than the old one did, and an acknowledgement must not mean less than it says.

use super::{
    error::{Unfit, in_words, refusal},
    layout,
    plan::Plan,
    scripts::{LOADED, PROBE},
    settings::Durability,
};
use redis::{Pipeline, ServerError, Value, aio::MultiplexedConnection};
use std::collections::HashMap;

/// The oldest major version that works: sharded channels and scripts with flags came with it.
const OLDEST: u64 = 7;

/// Identifies one run of one server (`run_id` of `INFO`): it changes with each start, and each replica has its own.
pub(super) type Server = String;

/// What the configuration asks of a server.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    pub(super) durability: Durability,
    /// How many replicas have to be online for an append to succeed.
    pub(super) ack_replicas: u32,
    /// Names the keys that the checks look at.
    pub(super) plan: Plan,
    /// Whether the servers are the nodes of a cluster.
    pub(super) is_cluster: bool,
    /// Whether the servers were found out from others, and so are found again after one has become a replica.
    pub(super) is_found: bool,
}

impl Checks {
    /// The checks for a connection that only reads, which may lead to a server of any durability.
    pub(super) fn for_reading(&self) -> Self {
        Self { durability: Durability::None, ack_replicas: 0, ..self.clone() }
    }

    /// Checks that the server is what the configuration asks for, and returns which one it is. Takes one round trip, and
    /// two more where the prefix is still empty.
    pub(super) async fn fit(&self, connection: &mut MultiplexedConnection) -> Result<Server, Unfit> {
        self.ask(connection).await.map(|info| info.get("run_id").to_owned())
    }

    /// Checks besides whether an append to a partition would succeed now, if the server has one.
    pub(super) async fn ready(
        &self,
        connection: &mut MultiplexedConnection,
        partition: Option<u8>,
    ) -> Result<(), Unfit> {
        let info = self.ask(connection).await?;
        let (replicas, wanted) = (info.online_replicas(), self.ack_replicas);
        if replicas < wanted {
            return Err(Unfit::NotYet(format!(
                "it has {replicas} replicas online, fewer than ack_replicas = {wanted}; start them, or lower it"
            )));
        }
        let Some(partition) = partition else { return Ok(()) };
        let mut trial = Pipeline::new();
        for script in LOADED {
            trial.cmd("SCRIPT").arg("LOAD").arg(script);
        }
        trial.cmd("EVAL").arg(PROBE).arg(1).arg(self.plan.head(partition)).arg(self.plan.channel(partition));
        let answers = connection.send_packed_commands(&trial, 0, LOADED.len() + 1).await;
        let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
        match answers.iter().find_map(refusal) {
            // The slot is just being moved, which takes no primary.
            Some(error) if self.is_cluster && ["MOVED", "ASK", "TRYAGAIN"].contains(&error.code()) => Ok(()),
            Some(error) => Err(Unfit::refused(error)),
            None => Ok(()),
        }
    }

    /// Returns what a fit server says about itself.
    async fn ask(&self, connection: &mut MultiplexedConnection) -> Result<Info, Unfit> {
        let mut questions = Pipeline::new();
        questions.cmd("INFO").cmd("CLUSTER").arg("INFO");
        questions
            .cmd("CONFIG")
            .arg("GET")
            .arg("appendfsync")
            .arg("no-appendfsync-on-rewrite")
            .arg("maxmemory-policy");
        layout::ask(&mut questions, &self.plan);
        let answers = connection.send_packed_commands(&questions, 0, 4).await;
        let answers = answers.map_err(|error| Unfit::NotYet(in_words(&error)))?;
        let Ok([info, cluster, config, layout]) = <[Value; 4]>::try_from(answers) else {
            return Err(Unfit::NotYet("it did not answer all questions".to_owned()));
        };
        if let Some(error) = refusal(&info) {
            return Err(Unfit::refused(error));
        }
        let mut info = Info::parse(&(text(&info) + &text(&cluster)));
        info.add_config(config);
        if info.get("loading") == "1" {
            return Err(Unfit::NotYet("it is loading its data".to_owned()));
        }
        if self.is_found && info.get("role") == "slave" {
            return Err(Unfit::NotYet("it is a replica".to_owned()));
        }
        let faults = self.faults(&info);
        if !faults.is_empty() {
            return Err(Unfit::Wrong(faults));
        }
        // In a cluster, the server that has the key of the layout tells it.
        let is_elsewhere = |error: &ServerError| self.is_cluster && ["MOVED", "ASK"].contains(&error.code());
        if !refusal(&layout).is_some_and(is_elsewhere) {
            layout::check(connection, &self.plan, &layout).await?;
        }
        Ok(info)
    }

    /// Lists every fault of the server with its remedy. Pure.
    fn faults(&self, info: &Info) -> Vec<String> {
        let mut faults = Vec::new();
        let version = info.get("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse::<u64>().ok());
        if major.is_none_or(|major| major < OLDEST) {
            faults.push(format!("its version is {version}; use Redis 7, Valkey 7.2 or a later version"));
        }
        if info.get("role") == "slave" {
            faults.push("it is a replica; give the primary's address in [store] url".to_owned());
        }
        if !self.is_cluster && info.get("cluster_enabled") == "1" && info.get("cluster_size") != "1" {
            faults.push(
                "it is part of a cluster; let [store] url begin with redis+cluster:// or rediss+cluster://"
                    .to_owned(),
            );
        }
        match self.durability {
            Durability::None => {}
            Durability::Service => faults.extend(evicting(info)),
            _ => faults.extend(self.less_durable(info)),
        }
        faults
    }

    /// Lists the settings by which the server keeps less than the configuration asks for.
    fn less_durable(&self, info: &Info) -> Vec<String> {
        let mut faults = Vec::new();
        let mut wants = |fault: String, setting: &str| {
            faults.push(format!(
                "{fault}; put `{setting}` into its redis.conf, or CONFIG SET {setting} and CONFIG REWRITE"
            ));
        };
        let policy = info.get("maxmemory_policy");
        if policy != "noeviction" {
            let fault = format!("its maxmemory-policy is {policy}, so it may evict payments");
            wants(fault, "maxmemory-policy noeviction");
        }
        if info.get("aof_enabled") != "1" {
            wants("its append-only file is off, so a restart loses everything".to_owned(), "appendonly yes");
        }
        let synced = info.get("appendfsync");
        match self.durability {
            Durability::Always if synced != "always" => {
                let synced = if synced.is_empty() { "not known" } else { synced };
                wants(format!("its appendfsync is {synced}"), "appendfsync always");
            }
            // Some hosted servers hide the setting; they sync their append-only file every second.
            Durability::Everysec if synced == "no" => {
                wants("its appendfsync is no".to_owned(), "appendfsync everysec");
            }
            _ => {}
        }
        if info.get("no-appendfsync-on-rewrite") == "yes" {
            let fault = "it does not sync while it rewrites its append-only file";
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

/// The one setting by which a service would not keep what it has acknowledged, if it tells that.
fn evicting(info: &Info) -> Option<String> {
    let policy = info.get("maxmemory_policy");
    let policy = if policy.is_empty() { info.get("maxmemory-policy") } else { policy };
    (!policy.is_empty() && policy != "noeviction").then(|| {
        format!(
            "its maxmemory-policy is {policy}, so it may evict payments; choose noeviction in the service's own settings, such as a parameter group"
        )
    })
}

/// The fields of `INFO`, and those of `CONFIG GET` where the server answers it.
struct Info(HashMap<String, String>);

impl Info {
    fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Adds the map or the list that `CONFIG GET` answers with. Adds nothing if the server refuses it.
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

    /// Returns a field, or an empty text if it is missing.
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Counts the replicas that are online, from fields such as `slave0:ip=…,state=online,…`.
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
        Checks {
            durability,
            ack_replicas: 0,
            plan: Plan::new("ps".to_owned()),
            is_cluster: false,
            is_found: false,
        }
        .faults(&Info::parse(info))
        .join("; ")
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
            // A service that tells nothing, and one that tells that it has no append-only file.
            (Durability::Service, "redis_version:7.1.0\n"),
            (Durability::Service, &GOOD.replace("aof_enabled:1", "aof_enabled:0")),
        ] {
            assert_eq!(faults(durability, info), "", "{info}");
        }
    }

    #[test]
    fn each_fault_comes_with_its_remedy() {
        for (durability, from, to, expected) in [
            (Durability::None, "7.0.15", "6.2.1", "its version is 6.2.1; use Redis 7"),
            (
                Durability::Service,
                "noeviction",
                "volatile-lru",
                "choose noeviction in the service's own settings",
            ),
            (
                Durability::None,
                "role",
                "cluster_enabled:1\r\ncluster_size:3\r\nrole",
                "let [store] url begin with redis+cluster://",
            ),
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
                "its appendfsync is not known; put `appendfsync always`",
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
