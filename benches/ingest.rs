//! Measures what a delivery costs apart from the store: verifying, parsing, mapping, masking and accounting for a Stripe event of
//! 2 KB. The bare HMAC-SHA256 of the same bytes is measured too, as the lower bound.
//!
//!     cargo bench --bench ingest
//!
//! On a busy machine, times say little about a change of a few percent, but counts of instructions do. If the environment gives a
//! number of events, the bench delivers these and ends, so that two runs under valgrind show what one event costs:
//!
//!     cargo bench --no-run --bench ingest     # prints the program's path
//!     for n in 1000 2000; do PAYSTREAM_BENCH_EVENTS=$n valgrind --tool=callgrind --callgrind-out-file=/dev/null …; done

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up ends")]

use async_trait::async_trait;
use criterion::{Criterion, criterion_group};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use paystream::{
    ingest::{Delivery, Ingest},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    payment::{Cursor, Name, Subject, Tag, Time},
    source::{Source, SourceSettings},
    store::{
        Append, Appended, Backlog, Claim, ClaimTerms, Erased, Erasure, Feed, Head, Log, Notice, Pending,
        Record, RecordCursor, RecordLog, RecordPage, Settlement, Store, StoreError,
    },
};
use sha2::Sha256;
use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// The allocator of the program.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SECRET: &str = "whsec_8f3b1c2d9a7e55aa";
/// An event with all of its members, on as many lines as Stripe sends it.
const EVENT: &[u8] = include_bytes!("stripe.json");

/// A store that takes everything and keeps nothing. The store of ingest's tests keeps everything, and that would be measured too.
struct Nowhere;

#[async_trait]
impl Store for Nowhere {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        black_box(append);
        Ok(Appended::New { cursor: Cursor { tag: Tag::from_random(1), seq: 1 } })
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        black_box(record);
        Ok(())
    }

    async fn read(&self, _: &Subject) -> Result<Log, StoreError> {
        Ok(Log::default())
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        broadcast::channel(1).1
    }

    async fn feed(&self, _: u8, _: u64) -> Result<Feed, StoreError> {
        Ok(Feed::Gone(Head::default()))
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        Ok(Vec::new())
    }

    async fn records(
        &self,
        _: RecordLog,
        _: &str,
        _: Option<RecordCursor>,
        _: usize,
    ) -> Result<RecordPage, StoreError> {
        Ok(RecordPage::default())
    }

    async fn enqueue(&self, _: &str, _: &Name, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim(&self, _: &str, _: ClaimTerms) -> Result<Claim, StoreError> {
        Ok(Claim::Nothing)
    }

    async fn settle(&self, _: Pending, _: Settlement) -> Result<(), StoreError> {
        Ok(())
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn erase(&self, _: Erasure) -> Result<Erased, StoreError> {
        Ok(Erased::default())
    }

    async fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

fn source() -> Source {
    Source::build(SourceSettings::new("stripe", "stripe", "default".parse().unwrap(), SECRET.into())).unwrap()
}

/// Everything that a delivery needs. It is built once.
struct Desk {
    source: Source,
    ingest: Ingest,
    headers: HeaderMap,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn new() -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in source().sign(EVENT, received_at(), "") {
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let (metrics, limits) = (Arc::new(Metrics::new()), Live::new(Limits::default()));
        let ingest = Ingest::new(Arc::new(Nowhere), metrics, limits, Arc::default());
        let desk = Self {
            source: source(),
            ingest,
            headers,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        };
        assert_eq!(desk.deliver(), 200);
        desk
    }

    fn deliver(&self) -> u16 {
        let (headers, received_at) = (&self.headers, received_at());
        let delivery = Delivery { headers, query: "", body: EVENT, received_at, peer: None };
        self.runtime.block_on(self.ingest.deliver(&self.source, black_box(delivery))).status
    }
}

fn received_at() -> Time {
    Time::from_unix_s(1_790_000_000).unwrap()
}

fn deliveries(criterion: &mut Criterion) {
    let desk = Desk::new();
    let mut group = criterion.benchmark_group(format!("a Stripe event of {} bytes", EVENT.len()));
    group.bench_function("delivered", |bencher| {
        bencher.iter(|| desk.deliver());
    });
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    group.bench_function("bare HMAC-SHA256", |bencher| {
        bencher.iter(|| {
            let mut mac = keyed.clone();
            mac.update(black_box(EVENT));
            mac.finalize().into_bytes()
        });
    });
    group.finish();
}

criterion_group!(benches, deliveries);

fn main() {
    let events = std::env::var("PAYSTREAM_BENCH_EVENTS").ok().map(|events| events.parse::<u32>().unwrap());
    match events {
        Some(events) => {
            let desk = Desk::new();
            assert!((0..events).all(|_| desk.deliver() == 200));
        }
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
