//! Dashboards: streams of all payments of a realm, read by a thread of their own. Of each event they record how long after its
//! acknowledgement a dashboard showed it, or a newer event of the same payment.

use crate::{clock, plan::Plan, poster::Count, stats::Times};
use anyhow::{Context as _, Result};
use load::{
    sse::Item,
    stream::{Next, Stream},
};
use serde::Deserialize;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::Notify;

/// How often it is checked whether the dashboards have come to where they should be.
const LOOK: Duration = Duration::from_millis(20);

/// How many events each payment has before the dashboards are opened.
const EARLIER: u32 = 1;

/// Open dashboards. They are closed when it is dropped.
pub(crate) struct Dashboards {
    all: Vec<Arc<Dashboard>>,
    over: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// What one dashboard has shown.
#[derive(Default)]
struct Dashboard {
    /// The sum of the numbers of all payments' newest entries, that is of the events that were shown or passed over.
    shown: AtomicU64,
    is_open: Notify,
    behind: Mutex<Times>,
    problem: Mutex<Option<String>>,
}

/// What a dashboard has to know of the events.
#[derive(Clone)]
struct Posts {
    plan: Plan,
    count: Arc<Count>,
}

/// A message of a stream of all payments.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    payments: Vec<Shown<'a>>,
}

#[derive(Deserialize)]
struct Shown<'a> {
    payment: &'a str,
    seq: u32,
}

impl Dashboards {
    /// Opens dashboards of a realm in which each payment of the plan has had one event. `count` tells when further ones are acknowledged.
    pub(crate) fn open(plan: &Plan, number: usize, count: Arc<Count>) -> Result<Self> {
        let all: Vec<_> = (0..number).map(|_| Arc::<Dashboard>::default()).collect();
        let over = Arc::<Notify>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let posts = Posts { plan: plan.clone(), count };
        let (tasks, is_over) = (all.clone(), Arc::clone(&over));
        let run = async move {
            for dashboard in tasks {
                tokio::spawn(dashboard.follow(posts.clone()));
            }
            is_over.notified().await;
        };
        let thread = thread::Builder::new().name("dashboards".to_owned());
        let thread = Some(thread.spawn(move || runtime.block_on(run))?);
        let dashboards = Self { all, over, thread };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let patience = Duration::from_micros(plan.patience_us);
        let opened = async {
            for dashboard in &dashboards.all {
                dashboard.is_open.notified().await;
            }
        };
        runtime
            .block_on(async { tokio::time::timeout(patience, opened).await })
            .ok()
            .context("a dashboard did not get its first page in time")?;
        Ok(dashboards)
    }

    /// Waits until each dashboard has shown the newest state of every payment, of which `accepted` events were accepted in all. Returns what was
    /// wrong.
    pub(crate) fn settle(&self, accepted: u64, patience: Duration) -> Vec<String> {
        let until_us = clock::now_us() + clock::micros(patience);
        let missing = || self.all.iter().filter(|one| one.shown.load(Ordering::Relaxed) < accepted).count();
        while missing() > 0 && clock::now_us() < until_us {
            thread::park_timeout(LOOK);
        }
        let mut problems: Vec<_> = self.all.iter().filter_map(|one| locked(&one.problem).clone()).collect();
        if missing() > 0 {
            problems.push(format!("{} dashboards never showed the newest state of all payments", missing()));
        }
        problems
    }

    /// How far behind the dashboards were, over all of them and all events.
    pub(crate) fn behind(&self) -> Times {
        let mut sum = Times::default();
        self.all.iter().for_each(|one| sum.add(&locked(&one.behind)));
        sum
    }
}

impl Drop for Dashboards {
    fn drop(&mut self) {
        self.over.notify_one();
        // A thread that panicked has nothing more to report.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Dashboard {
    async fn follow(self: Arc<Self>, posts: Posts) {
        let why = match self.read(&posts).await {
            Ok(why) => why,
            Err(error) => format!("{error:#}"),
        };
        *locked(&self.problem) = Some(format!("a dashboard's stream ended: {why}"));
    }

    /// Reads the stream to its end, and tells why that came.
    async fn read(&self, posts: &Posts) -> Result<String> {
        let plan = &posts.plan;
        let headers: Vec<_> =
            plan.list_token().map(|token| ("authorization".to_owned(), token)).into_iter().collect();
        let mut stream = Stream::open(plan.target.streams, "/v1/payments/events", &headers).await?;
        if stream.head.status != 200 {
            return Ok(format!("status {}", stream.head.status));
        }
        // Each payment had one event, whether or not the first page shows it.
        let mut seen = vec![EARLIER; plan.payments];
        self.shown.store(plan.payments as u64 * u64::from(EARLIER), Ordering::Relaxed);
        loop {
            match stream.next().await? {
                Next::Item(Item::Event(event)) => {
                    let message: Message<'_> = serde_json::from_str(&event.data)?;
                    match message.kind {
                        "page" => self.is_open.notify_one(),
                        "closing" => return Ok(event.data),
                        _ => {}
                    }
                    self.show(&message.payments, &mut seen, posts);
                }
                Next::Item(_) => {}
                Next::End(_) => return Ok("the server closed it".to_owned()),
            }
        }
    }

    fn show(&self, payments: &[Shown<'_>], seen: &mut [u32], posts: &Posts) {
        let now_us = clock::now_us();
        let mut behind = locked(&self.behind);
        let mut new = 0;
        for Shown { payment, seq } in payments {
            let Some(index) = posts.plan.payment_of_id(payment) else { continue };
            let Some(last) = seen.get_mut(index).filter(|last| **last < *seq) else { continue };
            for turn in *last..*seq {
                behind.record(
                    posts.acked_us(index, turn).map_or(0, |acked_us| now_us.saturating_sub(acked_us)),
                );
            }
            new += u64::from(seq - *last);
            *last = *seq;
        }
        self.shown.fetch_add(new, Ordering::Relaxed);
    }
}

impl Posts {
    /// When an event of a payment was acknowledged; nothing if it is not yet.
    fn acked_us(&self, payment: usize, turn: u32) -> Option<u64> {
        let number = usize::try_from(turn).ok()? * self.plan.payments + payment;
        let acked_us = self.count.acked_us.get()?.get(number)?.load(Ordering::Relaxed);
        (acked_us > 0).then_some(acked_us)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
