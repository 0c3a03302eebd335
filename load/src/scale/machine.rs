//! What many streams need of the machine, and what it has.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

/// Descriptors that a process needs besides those of its streams: the store's and the admin's connections, epoll, logs.
pub(super) const OTHER_DESCRIPTORS: u64 = 500;

/// The least that a stream takes with both ends of its socket: 8.3 to 10.4 KB in the kernel, some hundred bytes in the gateway and 250 B in
/// this tool, and its payment in Redis 1.5 KB.
const BYTES_PER_STREAM: u64 = 12_000;

/// What a streaming process and a process of readers take without any stream.
const BYTES_PER_PAIR: u64 = 50_000_000;

/// What a run needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) streams: u64,
    /// Streaming processes; there are as many of readers.
    pub(super) processes: u64,
    /// Streams that connect from one address.
    pub(super) per_source: u64,
}

/// What the machine has. A limit that could not be read is `u64::MAX`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// The most descriptors of one process.
    pub(super) descriptors: u64,
    /// Files that the kernel may open besides those that are open.
    files: u64,
    /// The most descriptors that all of a user's epolls watch.
    watches: u64,
    /// Ports that the kernel gives to connections from one address.
    ports: u64,
    memory: u64,
    /// Connections that the kernel's connection tracking has room for; `u64::MAX` if it does not track.
    tracked: u64,
    has_loopback: bool,
    has_redis: bool,
}

impl Machine {
    pub(super) fn look() -> Self {
        let maximum = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let ports = numbers("/proc/sys/net/ipv4/ip_local_port_range");
        let (first, last) =
            (ports.first().copied().unwrap_or(32_768), ports.get(1).copied().unwrap_or(60_999));
        let files = numbers("/proc/sys/fs/file-nr");
        let (open, most) = (files.first().copied().unwrap_or_default(), files.get(2).copied());
        Self {
            descriptors: maximum.unwrap_or(u64::MAX),
            files: most.unwrap_or(u64::MAX).saturating_sub(open),
            watches: numbers("/proc/sys/fs/epoll/max_user_watches").first().copied().unwrap_or(u64::MAX),
            ports: (last + 1).saturating_sub(first),
            memory: free_memory(),
            tracked: tracked(),
            has_loopback: TcpListener::bind((Ipv4Addr::new(127, 1, 249, 250), 0)).is_ok(),
            has_redis: std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|folder| folder.join("redis-server").exists())
            }),
        }
    }

    /// What is missing, each with what to change.
    pub(super) fn missing(&self, needs: &Needs) -> Vec<String> {
        let Needs { streams, processes, per_source } = *needs;
        let sockets = 2 * streams;
        let memory = streams * BYTES_PER_STREAM + processes * BYTES_PER_PAIR;
        let each = streams.div_ceil(processes) + OTHER_DESCRIPTORS;
        let mut missing = Vec::new();
        for (have, need, what, change) in [
            (
                self.descriptors,
                each,
                "descriptors of a process",
                "ulimit -n, or fewer streams with --per-process",
            ),
            (self.files, sockets + 20_000, "open files of the machine", "sysctl -w fs.file-max"),
            (
                self.watches,
                sockets + 20_000,
                "descriptors watched by epoll",
                "sysctl -w fs.epoll.max_user_watches",
            ),
            (
                self.ports,
                per_source,
                "ports of one address",
                "sysctl -w net.ipv4.ip_local_port_range=\"32768 60999\"",
            ),
            (
                self.tracked,
                streams + 20_000,
                "connections tracked by netfilter",
                "sysctl -w net.netfilter.nf_conntrack_max",
            ),
            (self.memory, memory, "bytes of free memory", "fewer streams, or a larger machine"),
        ] {
            if have < need {
                missing.push(format!("{need} {what} are needed, and there are {have}: {change}"));
            }
        }
        if processes > 250 {
            missing.push(format!(
                "{processes} streaming processes are more than the 250 that addresses are set aside for"
            ));
        }
        if !self.has_loopback {
            missing
                .push("the addresses 127.1.x.y cannot be used: ip address add 127.0.0.1/8 dev lo".to_owned());
        }
        if !self.has_redis {
            missing.push("redis-server is not in the path: apt-get install redis-server".to_owned());
        }
        missing
    }
}

/// Bytes that processes may still allocate, on the machine or in this control group if it has less.
pub(super) fn free_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    let available = line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).map(|kb| kb * 1_024);
    let group = |file: &str| numbers(&format!("/sys/fs/cgroup/{file}")).first().copied();
    let in_group =
        group("memory.max").zip(group("memory.current")).map(|(most, used)| most.saturating_sub(used));
    available.unwrap_or(u64::MAX).min(in_group.unwrap_or(u64::MAX))
}

/// How many more connections the kernel tracks. Whether it tracks those of loopback shows in the count while one is open.
fn tracked() -> u64 {
    let count = || numbers("/proc/sys/net/netfilter/nf_conntrack_count").first().copied().unwrap_or_default();
    let connection = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((listener, client))
    });
    let is_tracking = connection.is_ok() && count() > 0;
    let most = numbers("/proc/sys/net/netfilter/nf_conntrack_max").first().copied().filter(|_| is_tracking);
    most.map_or(u64::MAX, |most| most.saturating_sub(count()))
}

/// The numbers in a file; none if it cannot be read or says something else, such as `max`.
fn numbers(path: &str) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: Machine = Machine {
        descriptors: 20_000,
        files: 2_400_000,
        watches: 5_000_000,
        ports: 28_232,
        memory: 20 << 30,
        tracked: u64::MAX,
        has_loopback: true,
        has_redis: true,
    };
    const MILLION: Needs = Needs { streams: 1_000_000, processes: 52, per_source: 10_000 };

    #[test]
    fn whatever_is_missing_is_named_with_what_to_change() {
        assert_eq!(ENOUGH.missing(&MILLION), Vec::<String>::new());
        for (machine, word) in [
            (Machine { descriptors: 19_000, ..ENOUGH }, "ulimit -n"),
            (Machine { files: 1_900_000, ..ENOUGH }, "fs.file-max"),
            (Machine { watches: 1_000_000, ..ENOUGH }, "fs.epoll.max_user_watches"),
            (Machine { ports: 9_000, ..ENOUGH }, "ip_local_port_range"),
            (Machine { tracked: 262_144, ..ENOUGH }, "nf_conntrack_max"),
            (Machine { memory: 8 << 30, ..ENOUGH }, "free memory"),
            (Machine { has_loopback: false, ..ENOUGH }, "dev lo"),
            (Machine { has_redis: false, ..ENOUGH }, "redis-server"),
        ] {
            let missing = machine.missing(&MILLION);
            assert!(missing.len() == 1 && missing[0].contains(word), "{word}: {missing:?}");
        }
        let nothing = Machine { descriptors: 0, memory: 0, ..ENOUGH };
        assert_eq!(nothing.missing(&MILLION).len(), 2, "all that is missing is told at once");
    }

    #[test]
    fn this_machine_has_memory_ports_and_descriptors() {
        let machine = Machine::look();
        assert!(
            machine.descriptors > 0 && machine.ports > 0 && machine.memory > 0 && machine.files > 0,
            "{machine:?}"
        );
    }
}
