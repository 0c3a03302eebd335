//! How each Redis server does that the store uses as a primary.

use super::{
    buckets::LATENCY_BUCKETS,
    labels::{ServerFaultLabels, ServerLabel, StoreFault},
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::time::Duration;
use strum::VariantArray as _;

/// The metrics of all servers, by host and port.
#[derive(Debug)]
pub struct Servers {
    up: Family<ServerLabel, Gauge>,
    queue: Family<ServerLabel, Gauge>,
    writes: Family<ServerLabel, Counter>,
    write_seconds: Family<ServerLabel, Histogram, fn() -> Histogram>,
    faults: Family<ServerFaultLabels, Counter>,
}

impl Default for Servers {
    fn default() -> Self {
        Self {
            up: Family::default(),
            queue: Family::default(),
            writes: Family::default(),
            write_seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
            faults: Family::default(),
        }
    }
}

impl Servers {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "store_server_up",
            "Whether a Redis server that the store uses as a primary is connected, by server",
            self.up.clone(),
        );
        to.register(
            "store_server_queue",
            "Writes that wait for a Redis server, by server",
            self.queue.clone(),
        );
        to.register(
            "store_server_writes",
            "Writes that a Redis server has answered as durably as configured, by server",
            self.writes.clone(),
        );
        to.register_with_unit(
            "store_server_write",
            "From the sending of a batch of writes to its answer, by server",
            Unit::Seconds,
            self.write_seconds.clone(),
        );
        to.register(
            "store_server_faults",
            "Faults of the connections to a Redis server, and commands that it sent elsewhere, by server and kind",
            self.faults.clone(),
        );
    }

    /// Shows whether a server is connected, and how many writes wait for it.
    pub fn show(&self, server: &str, is_up: bool, queue: usize) {
        let label = ServerLabel { server: server.to_owned() };
        self.up.get_or_create(&label).set(i64::from(is_up));
        self.queue.get_or_create(&label).set(i64::try_from(queue).unwrap_or(i64::MAX));
    }

    /// Shows a server no more.
    pub fn forget(&self, server: &str) {
        let label = ServerLabel { server: server.to_owned() };
        self.up.remove(&label);
        self.queue.remove(&label);
        self.writes.remove(&label);
        self.write_seconds.remove(&label);
        for reason in StoreFault::VARIANTS {
            self.faults.remove(&ServerFaultLabels { server: server.to_owned(), reason: reason.into() });
        }
    }

    /// The counter of the writes that a server has answered.
    #[must_use]
    pub fn writes(&self, server: &str) -> Counter {
        self.writes.get_or_create_owned(&ServerLabel { server: server.to_owned() })
    }

    /// Notes how long a server took to answer a batch of writes.
    pub fn answered(&self, server: &str, after: Duration) {
        self.write_seconds
            .get_or_create(&ServerLabel { server: server.to_owned() })
            .observe(after.as_secs_f64());
    }

    /// Counts a fault of a server.
    pub fn fault(&self, server: &str, fault: StoreFault) {
        let labels = ServerFaultLabels { server: server.to_owned(), reason: fault.into() };
        self.faults.get_or_create(&labels).inc();
    }
}
