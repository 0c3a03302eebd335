//! Where deliveries are read that take long to read: apart from the threads that serve everything else, and few at a time.
//!
//! The threads of the runtime serve all streams, webhooks and health checks. What computes for longer than a millisecond on one of them
//! delays all that wait for it.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
};

/// The longest body, in bytes, that is read on a thread of the runtime. To verify, parse and map so much is to take less than a
/// millisecond, whatever it contains: some 150 events fit in. The webhooks of most providers have 2 to 10 KB.
const SHORT_BYTES: usize = 16 << 10;

/// Limits how many deliveries are read apart from the runtime's threads.
pub(super) struct LongWork(Semaphore);

impl LongWork {
    /// Admits half as many deliveries as there are processors, but at least one, so that the others are left to the runtime.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new((processors / 2).max(1)))
    }

    /// Does the work that a body of so many bytes takes. If it may take long, waits for its turn, and lets the runtime go on on another
    /// thread meanwhile. Those who wait are bounded, as all deliveries in progress are.
    pub(super) async fn run<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        if bytes <= SHORT_BYTES {
            return work();
        }
        // The semaphore is never closed.
        let _turn = self.0.acquire().await;
        match Handle::current().runtime_flavor() {
            // A runtime of one thread has none that could go on.
            RuntimeFlavor::CurrentThread => work(),
            _ => block_in_place(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    /// The runtime's only worker goes on while the work is done, and no more work is done at once than is admitted.
    #[test]
    fn long_work_leaves_the_threads_of_the_runtime() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_time().build().unwrap();
        let work = Arc::new(LongWork(Semaphore::new(2)));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let told = Arc::new(std::sync::Mutex::new(told));
        let all: Vec<_> = (0..6)
            .map(|_| {
                let (work, running, most) = (Arc::clone(&work), Arc::clone(&running), Arc::clone(&most));
                let told = Arc::clone(&told);
                runtime.spawn(async move {
                    let compute = || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // Ends only if something else runs meanwhile.
                        told.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    work.run(SHORT_BYTES + 1, compute).await;
                })
            })
            .collect();
        let others = runtime.spawn(async move {
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                tell.send(()).unwrap();
            }
        });
        runtime.block_on(async {
            others.await.unwrap();
            for one in all {
                one.await.unwrap();
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn short_work_is_done_at_once() {
        let work = LongWork(Semaphore::new(0));
        assert_eq!(work.run(SHORT_BYTES, || 7).await, 7);
    }
}
