//! `load webhooks`: posts signed webhooks of the `generic` provider, at a rate (open loop) or as fast as they are
//! acknowledged (closed loop), while streams follow the payments.
//!
//! Each event's id tells when it was due, so that its latency can be taken wherever it arrives. At a rate, that is the time
//! at which it should have been sent: a gateway that holds up its senders does not flatter its figures.

use anyhow::{Context, Result, ensure};
use load::{
    follow::{Follower, Seen},
    http::Connection,
    sign,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};

/// A log holds 512 events; the run ends before one is full.
const EVENTS_PER_PAYMENT: usize = 500;

/// How long the streams may take for what was accepted last.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The gateway's public address.
    #[arg(long, default_value = "127.0.0.1:8080")]
    public: SocketAddr,
    /// The gateway's ingest address.
    #[arg(long, default_value = "127.0.0.1:8080")]
    ingest: SocketAddr,
    /// The source to post to, of the provider `generic`.
    #[arg(long, default_value = "acme")]
    source: String,
    /// The source's secret.
    #[arg(long, env = "PAYSTREAM_SOURCE_SECRET", hide_env_values = true)]
    secret: String,
    /// A token that may watch all payments.
    #[arg(long, env = "PAYSTREAM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How many streams follow; stream i watches payment i modulo their number.
    #[arg(long, default_value_t = 1_000)]
    streams: usize,
    /// How many payments the events are spread over.
    #[arg(long, default_value_t = 1_000)]
    payments: usize,
    /// Webhooks in flight at most, each on a connection of its own.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Webhooks per second; as fast as they are acknowledged if it is left out.
    #[arg(long)]
    rate: Option<f64>,
    /// How long to post.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// What all tasks share.
struct Run {
    arguments: Arguments,
    /// Sets the payments of this run apart from those of earlier ones.
    name: u64,
    start: Instant,
    next: AtomicUsize,
    accepted: Vec<AtomicU64>,
    refused: AtomicU64,
    latencies_us: Mutex<Vec<u64>>,
    acks_us: Mutex<Vec<u64>>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    ensure!(arguments.payments > 0 && arguments.in_flight > 0, "payments and in-flight must be at least 1");
    let run = Arc::new(Run {
        name: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        start: Instant::now(),
        next: AtomicUsize::new(0),
        accepted: (0..arguments.payments).map(|_| AtomicU64::new(0)).collect(),
        refused: AtomicU64::new(0),
        latencies_us: Mutex::default(),
        acks_us: Mutex::default(),
        arguments,
    });
    let (mut following, seqs) = follow_all(&run).await?;
    let begun = Instant::now();
    let mut posting = JoinSet::new();
    for worker in 0..run.arguments.in_flight {
        posting.spawn(post(Arc::clone(&run), worker, begun));
    }
    posting.join_all().await.into_iter().collect::<Result<()>>()?;
    let elapsed = begun.elapsed();
    let complete = timeout(PATIENCE, all_arrived(&run, &seqs)).await.is_ok();
    following.abort_all();
    while following.join_next().await.is_some() {}
    report(&run, elapsed, complete, &seqs);
    Ok(())
}

/// What the report needs of a stream.
#[derive(Clone, Copy, Default)]
struct Watched {
    connections: u64,
    seq: u64,
    lost: u64,
    repeated: u64,
    reordered: u64,
}

impl From<&Seen> for Watched {
    fn from(seen: &Seen) -> Self {
        let Seen { connections, seq, lost, repeated, reordered, .. } = *seen;
        Self { connections, seq, lost, repeated, reordered }
    }
}

type Progress = Arc<Vec<Mutex<Watched>>>;

/// Opens the streams; returns once each has its first event.
async fn follow_all(run: &Arc<Run>) -> Result<(JoinSet<()>, Progress)> {
    let seen: Progress = Arc::new((0..run.arguments.streams).map(|_| Mutex::default()).collect());
    let mut following = JoinSet::new();
    for index in 0..run.arguments.streams {
        let (run, seen) = (Arc::clone(run), Arc::clone(&seen));
        following.spawn(async move {
            let path = format!("/v1/payments/{}/events", run.payment(index));
            let headers = super::bearer(run.arguments.token.as_deref());
            let mut follower = Follower::new(run.arguments.public, path, headers);
            let watched = follower.follow(|now, message| {
                run.take_latency(message);
                if let Some(place) = seen.get(index) {
                    *locked(place) = now.into();
                }
                false
            });
            // It ends only where a browser would give up; the report then counts the rest as lost.
            let _ = watched.await;
        });
        if index % 64 == 63 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    let open = async {
        while seen.iter().any(|seen| locked(seen).connections == 0) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), open).await.context("not all streams have their first event")?;
    Ok((following, seen))
}

/// One sender: its n-th event is due at (worker + n × in_flight) ÷ rate.
async fn post(run: Arc<Run>, worker: usize, begun: Instant) -> Result<()> {
    let arguments = &run.arguments;
    let path = format!("/webhooks/{}", arguments.source);
    let mut connection = Connection::open(arguments.ingest).await?;
    let end = begun + Duration::from_secs(arguments.seconds);
    let mut turn = worker;
    loop {
        let due = arguments.rate.map(|rate| {
            #[expect(clippy::cast_precision_loss, reason = "a turn is far below 2^53")]
            let after = turn as f64 / rate;
            begun + Duration::from_secs_f64(after)
        });
        turn += arguments.in_flight;
        if let Some(due) = due {
            sleep_until(due.into()).await;
        }
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        let due = due.unwrap_or_else(Instant::now);
        if due >= end || number >= arguments.payments * EVENTS_PER_PAYMENT {
            return Ok(());
        }
        let body = run.body(number, due);
        let headers = sign::generic(&arguments.secret, &body);
        let answer = connection.request("POST", &path, &headers, &body).await?;
        if answer.head.status / 100 == 2 {
            if let Some(accepted) = run.accepted.get(number % arguments.payments) {
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            locked(&run.acks_us).push(micros(due.elapsed()));
        } else {
            run.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns once every stream has all that was accepted of its payment.
async fn all_arrived(run: &Run, seen: &Progress) {
    while seen.iter().enumerate().any(|(index, seen)| locked(seen).seq < run.expected(index)) {
        sleep(Duration::from_millis(20)).await;
    }
}

impl Run {
    /// Letters break up the digits: a long run of them may pass for a card number, and then its events are quarantined.
    fn payment(&self, index: usize) -> String {
        format!("load{:x}p{}", self.name, index % self.arguments.payments)
    }

    fn expected(&self, index: usize) -> u64 {
        let accepted = self.accepted.get(index % self.arguments.payments);
        accepted.map_or(0, |accepted| accepted.load(Ordering::Relaxed))
    }

    fn body(&self, number: usize, due: Instant) -> Vec<u8> {
        let due_us = micros(due.saturating_duration_since(self.start));
        let body = serde_json::json!({
            "id": format!("{number}-{due_us}"),
            "event": "payment.pending",
            "timestamp": self.name,
            "payment": { "id": self.payment(number), "status": "pending", "amount": "12.50", "currency": "EUR" },
        });
        body.to_string().into_bytes()
    }

    fn take_latency(&self, message: &serde_json::Value) {
        let due_us = message
            .pointer("/event/id")
            .and_then(serde_json::Value::as_str)
            .and_then(|id| id.split_once('-')?.1.parse().ok());
        if let Some(due_us) = due_us {
            locked(&self.latencies_us).push(micros(self.start.elapsed()).saturating_sub(due_us));
        }
    }
}

fn report(run: &Run, elapsed: Duration, complete: bool, seen: &Progress) {
    let accepted: u64 = run.accepted.iter().map(|accepted| accepted.load(Ordering::Relaxed)).sum();
    let sum = |of: fn(&Watched) -> u64| -> u64 { seen.iter().map(|seen| of(&locked(seen))).sum() };
    let missing: u64 = seen
        .iter()
        .enumerate()
        .map(|(index, seen)| run.expected(index).saturating_sub(locked(seen).seq))
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let per_second = accepted as f64 / elapsed.as_secs_f64();
    #[expect(clippy::print_stdout, reason = "the result is what the command is for")]
    {
        println!("accepted          {accepted} in {:.1} s: {per_second:.0}/s", elapsed.as_secs_f64());
        println!("refused           {}", run.refused.load(Ordering::Relaxed));
        print_quantiles("webhook to ack   ", &run.acks_us);
        print_quantiles("webhook to client", &run.latencies_us);
        println!("all arrived       {complete}");
        println!("lost              {}", missing + sum(|seen| seen.lost));
        println!("repeated          {}", sum(|seen| seen.repeated));
        println!("reordered         {}", sum(|seen| seen.reordered));
    }
}

#[expect(clippy::print_stdout, reason = "the result is what the command is for")]
fn print_quantiles(what: &str, times_us: &Mutex<Vec<u64>>) {
    let mut times = std::mem::take(&mut *locked(times_us));
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 1000).min(times.len().saturating_sub(1)));
    let (p50, p99, most) = (at(500), at(990), times.last());
    let us = |time: Option<&u64>| time.copied().unwrap_or_default();
    println!("{what} p50 {} µs, p99 {} µs, most {} µs, {} times", us(p50), us(p99), us(most), times.len());
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
