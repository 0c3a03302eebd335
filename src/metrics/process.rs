//! What the operating system says about this process, under the names that Prometheus' own client libraries use (`process_…`,
//! without our prefix), so that existing dashboards and alerts work. It is asked at each scrape.

use procfs::{
    ProcResult, boot_time_secs, page_size,
    process::{LimitValue, Process},
    ticks_per_second,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use std::fmt;

/// Asks the kernel about this process. A figure that the kernel does not give is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// The figures of one scrape.
struct Figures {
    /// User and system time, in seconds.
    cpu: f64,
    /// Bytes of memory in RAM.
    resident: u64,
    /// Bytes of address space.
    virtual_size: u64,
    /// When the process started, in seconds since 1970.
    started: f64,
    threads: i64,
    open_files: u64,
    /// `None` if there is no limit.
    max_files: Option<u64>,
}

impl Figures {
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        #[expect(clippy::cast_precision_loss, reason = "a 53-bit count of ticks lasts for millions of years")]
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit 53 bits")]
        let booted = boot_time_secs()? as f64;
        Ok(Self {
            cpu: seconds(stat.utime + stat.stime),
            resident: stat.rss * page_size(),
            virtual_size: stat.vsize,
            started: booted + seconds(stat.starttime),
            threads: stat.num_threads,
            open_files: process.fd_count()? as u64,
            max_files: match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            },
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(figures) = Figures::read() else { return Ok(()) };
        let mut figure = |name, help, unit: Option<Unit>, value: &dyn Encodable| {
            value.encode_as(&mut encoder, name, help, unit.as_ref())
        };
        let (seconds, bytes) = (|| Some(Unit::Seconds), || Some(Unit::Bytes));
        figure(
            "process_cpu",
            "User and system CPU time of the process",
            seconds(),
            &ConstCounter::new(figures.cpu),
        )?;
        figure(
            "process_resident_memory",
            "Memory of the process in RAM",
            bytes(),
            &ConstGauge::new(figures.resident),
        )?;
        figure(
            "process_virtual_memory",
            "Address space of the process",
            bytes(),
            &ConstGauge::new(figures.virtual_size),
        )?;
        figure(
            "process_start_time",
            "When the process started, since 1970",
            seconds(),
            &ConstGauge::new(figures.started),
        )?;
        figure("process_threads", "Threads of the process", None, &ConstGauge::new(figures.threads))?;
        figure("process_open_fds", "Open file descriptors", None, &ConstGauge::new(figures.open_files))?;
        if let Some(most) = figures.max_files {
            figure("process_max_fds", "Most open file descriptors", None, &ConstGauge::new(most))?;
        }
        Ok(())
    }
}

/// A metric of any type of number.
trait Encodable {
    fn encode_as(
        &self,
        to: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
    ) -> fmt::Result;
}

impl<M: EncodeMetric> Encodable for M {
    fn encode_as(
        &self,
        to: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
    ) -> fmt::Result {
        self.encode(to.encode_descriptor(name, help, unit, self.metric_type())?)
    }
}
