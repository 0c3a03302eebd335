//! What the kernel says in `/proc` about processes and about itself.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;

/// Clock ticks per second in `/proc/*/stat`. Linux shows 100 to user space on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// The use of resources by one process at one moment. Memory is in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) rss: u64,
    /// Resident memory, with each shared page divided by the number of processes that share it.
    pub(crate) pss: u64,
    /// Resident memory that no file backs: what the process has allocated.
    pub(crate) anonymous: u64,
    pub(crate) cpu_us: u64,
    pub(crate) descriptors: u64,
}

impl Process {
    /// Adds another process, for servers of several processes.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rss += other.rss;
        self.pss += other.pss;
        self.anonymous += other.anonymous;
        self.cpu_us += other.cpu_us;
        self.descriptors += other.descriptors;
    }
}

/// Samples a process. This walks all its pages.
pub(crate) fn process(pid: u32) -> Result<Process> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("cannot read the memory of process {pid}"))?;
    Ok(Process {
        rss: field_kb(&rollup, "Rss:"),
        pss: field_kb(&rollup, "Pss:"),
        anonymous: field_kb(&rollup, "Anonymous:"),
        cpu_us: cpu_us(pid)?,
        descriptors: descriptors(pid)?,
    })
}

/// Counts the open descriptors of a process. Since Linux 6.2 that is the size of the folder. Listing the folder would make the kernel
/// allocate an inode and a name for each descriptor, some 900 B, which would count as the server's memory.
pub(crate) fn descriptors(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    match fs::metadata(&folder)?.len() {
        0 => Ok(fs::read_dir(&folder)?.count() as u64),
        count => Ok(count),
    }
}

/// The resident memory of a process. It costs far less than [`process`], which the measured process would feel.
pub(crate) fn rss(pid: u32) -> Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))
        .with_context(|| format!("cannot read process {pid}"))?;
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    Ok(pages.unwrap_or_default() * rustix::param::page_size() as u64)
}

/// The processor time of a process, user and system, in microseconds.
pub(crate) fn cpu_us(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("cannot read process {pid}"))?;
    // The name stands in brackets and may contain spaces.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * (1_000_000 / TICKS_PER_SECOND))
}

/// Steal time since the machine started: microseconds for which the host ran others while this machine wanted a processor, on average over
/// the processors. It comes in steps of 10 ms and slightly late, and is 0 without a host or with one that does not report it.
pub(crate) fn stolen_us() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.lines().next().and_then(|all| all.split_whitespace().nth(8)?.parse::<u64>().ok());
    let processors = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count() as u64;
    ticks.unwrap_or_default() * (1_000_000 / TICKS_PER_SECOND) / processors.max(1)
}

/// Memory and sockets of the kernel at one moment, for the whole machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kernel {
    /// Bytes in TCP buffers.
    pub(crate) tcp_buffers: u64,
    /// Bytes of kernel objects, including sockets.
    pub(crate) slab: u64,
    pub(crate) sockets: u64,
    /// Connection attempts that found the accept queue of a listener full, since the machine started. Their clients retry after a second.
    pub(crate) overflows: u64,
}

/// Samples the kernel's memory and sockets.
pub(crate) fn kernel() -> Kernel {
    let sockstat = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of = |line: &str, word: &str| {
        let line = sockstat.lines().find_map(|text| text.strip_prefix(line)).unwrap_or_default();
        let mut words = line.split_whitespace().skip_while(|known| *known != word);
        words.nth(1).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default()
    };
    Kernel {
        tcp_buffers: of("TCP:", "mem") * 4_096,
        slab: field_kb(&meminfo, "Slab:"),
        sockets: of("sockets:", "used"),
        overflows: overflows().unwrap_or_default(),
    }
}

/// Reads `ListenOverflows` from `/proc/net/netstat`, where a line of names precedes a line of values.
fn overflows() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split(' ').position(|name| name == "ListenOverflows")?;
    values.split(' ').nth(at)?.parse().ok()
}

/// An id of this machine, which all who run on its kernel see, until it restarts.
pub(crate) fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The machine and the settings that affect the figures, as names and values.
pub(crate) fn machine() -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let value = |name: &str| {
        let line = cpuinfo.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
    };
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory = field_kb(&read("/proc/meminfo"), "MemTotal:") >> 20;
    let kernel =
        format!("{} {}", read("/proc/sys/kernel/ostype").trim(), read("/proc/sys/kernel/osrelease").trim());
    let mut told = vec![
        ("processor".to_owned(), value("model name")),
        ("cores".to_owned(), cores.to_string()),
        ("memory".to_owned(), format!("{memory} MiB")),
        ("kernel".to_owned(), kernel),
    ];
    let settings = [
        "net/core/somaxconn",
        "net/ipv4/tcp_max_syn_backlog",
        "net/ipv4/ip_local_port_range",
        "net/ipv4/tcp_rmem",
        "net/ipv4/tcp_wmem",
        "net/ipv4/tcp_mem",
    ];
    let setting = |path: &str| read(&format!("/proc/sys/{path}")).trim().replace('\t', " ");
    told.extend(settings.map(|path| (path.replace('/', "."), setting(path))));
    told
}

fn field_kb(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let own = process(std::process::id()).unwrap();
        assert!(own.rss > 0 && own.pss <= own.rss && own.anonymous <= own.rss, "{own:?}");
        assert!(own.descriptors > 2);
        assert!(rss(std::process::id()).unwrap() > 0);
        assert!(process(u32::MAX).is_err());
    }

    #[test]
    fn the_machine_is_named_first() {
        let machine = machine();
        let names: Vec<_> = machine.iter().take(4).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["processor", "cores", "memory", "kernel"]);
        assert!(machine[1].1.parse::<usize>().unwrap() > 0, "{machine:?}");
        assert!(machine[3].1.starts_with("Linux "), "{machine:?}");
    }

    #[test]
    fn the_kernel_counts_its_sockets() {
        assert!(kernel().sockets > 0);
        assert!(overflows().is_some());
    }
}
