//! Reads `[store] url`: which kind of servers there are, where the first ones are, and who logs in. Pure.

use super::node::Node;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo};

/// The port of a sentinel that is given without one.
const SENTINEL_PORT: u16 = 26_379;

/// The most servers that an address names. Others are learned from these.
const MAX_SEEDS: usize = 64;

/// How the servers belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Topology {
    /// One server, at an address that always leads to the primary.
    Single,
    /// A cluster: each slot of keys has a primary of its own.
    Cluster,
    /// A primary and its replicas. Sentinels tell which one is the primary of the group of this name.
    Sentinel(String),
}

/// What the address says.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) topology: Topology,
    /// Whether connections use TLS.
    pub(super) is_encrypted: bool,
    /// The servers that are named: the one, some nodes of the cluster, or some sentinels.
    pub(super) seeds: Vec<Node>,
    /// User, password and database.
    pub(super) login: RedisConnectionInfo,
}

/// Reads an address. The error completes a sentence that begins with "the value", and quotes nothing, since an address may hold a password.
pub(super) fn read(url: &str) -> Result<Address, &'static str> {
    const NONE: &str = "is no address of a Redis server";
    let (scheme, rest) = url.split_once("://").ok_or(NONE)?;
    let (scheme, kind) = scheme.split_once('+').map_or((scheme, None), |(scheme, kind)| (scheme, Some(kind)));
    let is_encrypted = match scheme {
        "redis" => false,
        "rediss" => true,
        _ => return Err(NONE),
    };
    let Some(kind) = kind else {
        let info = url.into_connection_info().map_err(|_| NONE)?;
        let seeds = vec![node_of(&info).ok_or(NONE)?];
        return Ok(Address { topology: Topology::Single, is_encrypted, seeds, login: login_of(&info) });
    };
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (topology, database, port) = match kind {
        "cluster" if path.is_empty() || path == "0" => (Topology::Cluster, "", 6379),
        "cluster" => return Err("names a database, but a cluster has none; leave it out"),
        "sentinel" => {
            let (group, database) = path.split_once('/').unwrap_or((path, ""));
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            if group.is_empty() {
                return Err(
                    "does not name the group of servers that the sentinels watch; add it, as in /mymaster",
                );
            }
            if !group.bytes().all(fits) {
                return Err("names a group that no sentinel can have; use the name in its sentinel.conf");
            }
            (Topology::Sentinel(group.to_owned()), database, SENTINEL_PORT)
        }
        _ => {
            return Err(
                "is for neither a cluster nor sentinels; begin with redis://, redis+cluster:// or redis+sentinel://",
            );
        }
    };
    let mut seeds = Vec::new();
    let mut login = None;
    for host in hosts.split(',') {
        if host.is_empty() || host.starts_with(':') {
            return Err("names an empty host");
        }
        // An address without a port gets that of its kind; colons in brackets are those of an IPv6 address.
        let has_port = host.rsplit_once(']').map_or(host, |(_, rest)| rest).contains(':');
        let port = if has_port { String::new() } else { format!(":{port}") };
        let at = if user.is_empty() { "" } else { "@" };
        let one = format!("redis://{user}{at}{host}{port}/{database}");
        let info = one.as_str().into_connection_info().map_err(|_| NONE)?;
        let seed = node_of(&info).ok_or(NONE)?;
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
        login.get_or_insert_with(|| login_of(&info));
    }
    if seeds.len() > MAX_SEEDS {
        return Err("names more than 64 servers; name a few, since the others are learned from them");
    }
    Ok(Address { topology, is_encrypted, seeds, login: login.ok_or(NONE)? })
}

fn node_of(info: &ConnectionInfo) -> Option<Node> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some(Node::new(bare, *port))
        }
        _ => None,
    }
}

fn login_of(info: &ConnectionInfo) -> RedisConnectionInfo {
    // Messages of sharded channels come as pushes, which only RESP3 has.
    info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_servers_user_and_kind() {
        for (url, topology, is_encrypted, seeds, user, database) in [
            ("redis://h", Topology::Single, false, "h:6379", None, 0),
            ("rediss://u@h:1/3", Topology::Single, true, "h:1", Some("u"), 3),
            (
                "redis+cluster://a,b:7000,[::1]:7,[::2]",
                Topology::Cluster,
                false,
                "a:6379 b:7000 [::1]:7 [::2]:6379",
                None,
                0,
            ),
            ("rediss+cluster://u:p%40@a,a,b/", Topology::Cluster, true, "a:6379 b:6379", Some("u"), 0),
            (
                "redis+sentinel://a,b:1/my-master",
                Topology::Sentinel("my-master".into()),
                false,
                "a:26379 b:1",
                None,
                0,
            ),
            ("rediss+sentinel://u@a/m/2", Topology::Sentinel("m".into()), true, "a:26379", Some("u"), 2),
        ] {
            let address = read(url).unwrap_or_else(|why| panic!("{url} {why}"));
            let named: Vec<_> = address.seeds.iter().map(ToString::to_string).collect();
            assert_eq!((address.topology, address.is_encrypted), (topology, is_encrypted), "{url}");
            assert_eq!(
                (named.join(" "), address.login.username(), address.login.db()),
                (seeds.to_owned(), user, database)
            );
        }
        assert_eq!(read("redis+cluster://u:p%40@a").unwrap().login.password(), Some("p@"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (url, expected) in [
            ("http://h", "is no address"),
            ("redis+cluster:a", "is no address"),
            ("redis+cluster://", "empty host"),
            ("redis+cluster://a,,b", "empty host"),
            ("redis+cluster://a/1", "a cluster has none"),
            ("redis+cluster://a:70000", "is no address"),
            ("redis+sentinel://a", "does not name the group"),
            ("redis+sentinel://a/x y", "that no sentinel can have"),
            ("redis+replicas://a", "for neither"),
        ] {
            let why = read(url).map(drop).unwrap_err();
            assert!(why.contains(expected), "{url}: {why}");
        }
    }
}
