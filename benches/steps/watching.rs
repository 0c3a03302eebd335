//! What the hub does: a log to what streams write of it, and a notice to all who watch its payment.

use crate::stubs::{Scripted, life, log, subject};
use paystream::{
    hub::{Bell, Hub, Pull, Watch},
    limits::Limits,
    metrics::Metrics,
    payment::{Cursor, Tag},
    shutdown::Shutdown,
    store::{Log, Notice, NoticeBody},
};
use std::{hint::black_box, sync::Arc};
use tokio::runtime::Runtime;

/// How many streams watch the payment of which there is news.
const WATCHERS: usize = 100;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// A running hub, which has read the heads and receives notices.
fn hub(runtime: &Runtime, store: &Arc<Scripted>) -> Arc<Hub> {
    let hub = Hub::new(Arc::clone(store) as _, Arc::new(Metrics::new()), &Limits::default());
    drop(runtime.spawn(Arc::clone(&hub).run(Shutdown::default())));
    runtime.block_on(async {
        while !store.is_watched() {
            tokio::task::yield_now().await;
        }
        // The stub answers the question for the heads, which follows, at once.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    });
    hub
}

/// The first watcher of a payment begins: its log of four events is read, folded, and encoded as a snapshot and as updates.
pub(crate) fn encode() -> Box<dyn FnMut()> {
    let runtime = runtime();
    let hub = hub(&runtime, &Arc::new(Scripted::of(log(0))));
    let (subject, bell) = (subject(0), Arc::<Bell>::default());
    Box::new(move || {
        // The topic, and with it what it has read, ends with its last watcher.
        let watch = hub.join(&subject, Arc::clone(&bell));
        let history = runtime.block_on(watch.history()).unwrap();
        assert_eq!(history.after(black_box(Cursor::START)).unwrap().len(), 4);
    })
}

/// A notice arrives, and each of a hundred watchers is woken and takes the update.
pub(crate) fn wake() -> Box<dyn FnMut()> {
    let (runtime, store) = (runtime(), Arc::new(Scripted::of(Log::default())));
    let hub = hub(&runtime, &store);
    let watchers: Vec<(Arc<Bell>, Watch)> = (0..WATCHERS)
        .map(|_| {
            let bell = Arc::<Bell>::default();
            (Arc::clone(&bell), hub.join(&subject(0), bell))
        })
        .collect();
    // The log is empty, so that the first notice continues it.
    runtime.block_on(async {
        for (_, watch) in &watchers {
            watch.history().await.unwrap();
        }
    });
    let event = Arc::new(life(0).next().unwrap());
    let mut cursor = Cursor::START;
    Box::new(move || {
        let next = Cursor { tag: Tag::from_random(cursor.seq + 1), seq: cursor.seq + 1 };
        store.announce(Notice {
            partition: subject(0).partition(),
            pos: next.seq,
            previous: cursor.tag,
            tag: next.tag,
            body: NoticeBody::Appended { seq: next.seq, event: Arc::clone(&event).into() },
        });
        runtime.block_on(async {
            for (bell, watch) in &watchers {
                // A bell may have rung before, as it does whenever the hub looks at the heads.
                while !matches!(watch.topic().pull(cursor), Pull::Frames(frames) if frames.len() == 1) {
                    bell.rung().await;
                }
            }
        });
        cursor = next;
    })
}
