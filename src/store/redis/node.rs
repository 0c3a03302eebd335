//! The address of a server as a key of maps. Pure.

use std::{fmt, sync::Arc};

/// One server that may be a primary: host and port, and in a Sentinel group the epoch of the failover that made it the primary.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Node {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    /// The configuration epoch of a Sentinel group; 0 elsewhere. A server that becomes the primary again is another node, so that an answer
    /// that it gave before is told from one that counts.
    pub(super) epoch: u64,
}

impl Node {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port, epoch: 0 }
    }

    /// Reads `host:port` of a redirection. An empty host or `?` stands for the host of the server that gave it.
    pub(super) fn read(text: &str, from: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { &*from.host } else { host };
        Some(Self::new(host, port.parse().ok()?))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_may_leave_out_the_host() {
        let from = Node::new("10.0.0.1", 6379);
        for (text, expected) in [
            ("10.0.0.2:6380", Some("10.0.0.2:6380")),
            (":6380", Some("10.0.0.1:6380")),
            ("?:6380", Some("10.0.0.1:6380")),
            ("fd00::2:6380", Some("[fd00::2]:6380")),
            ("10.0.0.2", None),
            ("10.0.0.2:x", None),
        ] {
            assert_eq!(Node::read(text, &from).map(|node| node.to_string()).as_deref(), expected);
        }
    }
}
