//! What the nodes of a cluster say about its slots. Pure.
//!
//! An answer may be incomplete while a failover is under way: hosts that are missing or `?`, ranges without a node. What cannot be read is
//! left out, and the next look tells more.

use super::{map::Map, node::Node, slot::SLOTS};
use redis::{Pipeline, Value};

/// What one node knows.
#[derive(Debug)]
pub(super) struct View {
    pub(super) map: Map,
    /// The replicas, which can be asked too.
    pub(super) replicas: Vec<Node>,
    /// The newest epoch that the node knows; 0 if it does not tell. A node that is cut off from the others knows an older one.
    pub(super) epoch: u64,
}

/// Adds the questions to which [`read`] reads the answers.
pub(super) fn questions() -> (Pipeline, usize) {
    let mut questions = Pipeline::with_capacity(2);
    questions.cmd("CLUSTER").arg("SLOTS");
    questions.cmd("CLUSTER").arg("INFO");
    (questions, 2)
}

/// Reads the answers of node `from`. Fails with the reason if they are no view of a cluster.
pub(super) fn read(answers: Vec<Value>, from: &Node) -> Result<View, String> {
    let Ok([slots, info]) = <[Value; 2]>::try_from(answers) else { return Err("no answer".to_owned()) };
    let ranges = match slots {
        Value::Array(ranges) => ranges,
        Value::ServerError(error) => return Err(super::error::told(&error)),
        _ => return Err("it does not tell its slots".to_owned()),
    };
    let (mut map, mut replicas) = (Map::empty(), Vec::new());
    for range in &ranges {
        let Value::Array(range) = range else { continue };
        let [Value::Int(first), Value::Int(last), primary, others @ ..] = &range[..] else { continue };
        let bounds = (u16::try_from(*first), u16::try_from(*last));
        let ((Ok(first), Ok(last)), Some(primary)) = (bounds, node(primary, from)) else { continue };
        if first <= last && last < SLOTS {
            map.give(first, last, primary);
        }
        replicas.extend(others.iter().filter_map(|other| node(other, from)));
    }
    if map.nodes().is_empty() {
        return Err("it knows of no slot that is served".to_owned());
    }
    replicas.sort_unstable();
    replicas.dedup();
    Ok(View { map, replicas, epoch: epoch(&info) })
}

/// Reads `[host, port, …]`. A host that is missing, empty or `?` is that of the node which answered.
fn node(value: &Value, from: &Node) -> Option<Node> {
    let Value::Array(parts) = value else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        Value::Nil => "",
        _ => return None,
    };
    let host = if host.is_empty() || host == "?" { &*from.host } else { host };
    let port = u16::try_from(*port).ok().filter(|port| *port != 0)?;
    Some(Node::new(host, port))
}

fn epoch(info: &Value) -> u64 {
    let text = match info {
        Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text.clone(),
        _ => return 0,
    };
    let field = text.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
    field.and_then(|epoch| epoch.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, nodes: &[(Value, i64)]) -> Value {
        let nodes =
            nodes.iter().map(|(host, port)| Value::Array(vec![host.clone(), Value::Int(*port), bulk("id")]));
        Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(nodes).collect())
    }

    #[test]
    fn a_view_that_is_incomplete_is_read_as_far_as_it_goes() {
        let from = Node::new("10.0.0.9", 1);
        let slots = Value::Array(vec![
            range(0, 99, &[(bulk("10.0.0.1"), 7000), (bulk("10.0.0.2"), 7001)]),
            range(100, 199, &[(Value::Nil, 7002)]),
            range(200, 299, &[(bulk("?"), 7003), (bulk(""), 7004)]),
            range(300, 399, &[]),
            range(400, 399, &[(bulk("10.0.0.1"), 7000)]),
            range(500, 16_384, &[(bulk("10.0.0.1"), 7000)]),
            range(600, 600, &[(bulk("10.0.0.1"), 0)]),
            Value::Nil,
        ]);
        let info = bulk("cluster_state:ok\r\ncluster_current_epoch:6\r\n");
        let view = read(vec![slots, info], &from).unwrap();
        let owner = |slot| view.map.owner(slot).map(ToString::to_string);
        assert_eq!(owner(99).as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(owner(100).as_deref(), Some("10.0.0.9:7002"));
        assert_eq!(owner(299).as_deref(), Some("10.0.0.9:7003"));
        assert_eq!((owner(300), owner(500), owner(600)), (None, None, None));
        assert_eq!(view.replicas, [Node::new("10.0.0.2", 7001), Node::new("10.0.0.9", 7004)]);
        assert_eq!((view.epoch, view.map.served()), (6, 300));
        for nothing in [Value::Nil, Value::Array(Vec::new()), Value::Array(vec![range(0, 1, &[])])] {
            assert!(read(vec![nothing, Value::Nil], &from).is_err());
        }
    }
}
