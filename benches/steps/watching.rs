//! What the hub does: a log to what streams write of it, and a notice to all who watch its payment.

use crate::stubs::{Scripted, life, log, subject};
use paystream::{
    hub::{Bell, Hub, Pull, Watch},
    limits::Limits,
    metrics::Metrics,
    payment::{Cursor, Tag},
    shutdown::Shutdown,
    store::{Log, Notice},
};
use std::{hint::black_box, sync::Arc};
use tokio::runtime::Runtime;

/// How many streams watch the payment of which there is news.
const WATCHERS: usize = 100;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn hub(store: &Arc<Scripted>) -> Arc<Hub> {
    Hub::new(Arc::clone(store) as _, Arc::new(Metrics::new()), &Limits::default())
}

/// A log of four events is read, folded, and encoded as a snapshot and as updates.
pub(crate) fn encode() -> Box<dyn FnMut()> {
    let (runtime, hub) = (runtime(), hub(&Arc::new(Scripted::of(log(0)))));
    let watch = hub.join(&subject(0), Arc::default());
    Box::new(move || {
        let history = runtime.block_on(watch.history()).unwrap();
        assert_eq!(history.after(black_box(Cursor::START)).unwrap().len(), 4);
    })
}

/// A notice arrives, and each of a hundred watchers is woken and takes the update.
pub(crate) fn wake() -> Box<dyn FnMut()> {
    let store = Arc::new(Scripted::of(Log::default()));
    let (runtime, hub) = (runtime(), hub(&store));
    let watchers: Vec<(Arc<Bell>, Watch)> = (0..WATCHERS)
        .map(|_| {
            let bell = Arc::<Bell>::default();
            (Arc::clone(&bell), hub.join(&subject(0), bell))
        })
        .collect();
    // What the hub continues from: the empty log, and the beginning of each partition's feed.
    let run = runtime.spawn(Arc::clone(&hub).run(Shutdown::default()));
    runtime.block_on(async {
        for (_, watch) in &watchers {
            watch.history().await.unwrap();
        }
        while !store.is_watched() {
            tokio::task::yield_now().await;
        }
        // The hub has begun when it has read the heads, which the stub answers at once.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    });
    let event = Arc::new(life(0).next().unwrap());
    let mut cursor = Cursor::START;
    Box::new(move || {
        assert!(!run.is_finished());
        let next = Cursor { tag: Tag::from_random(cursor.seq + 1), seq: cursor.seq + 1 };
        store.announce(Notice {
            partition: subject(0).partition(),
            pos: next.seq,
            previous: cursor.tag,
            cursor: next,
            event: Arc::clone(&event),
        });
        runtime.block_on(async {
            for (bell, watch) in &watchers {
                // A bell may have rung before, as it does whenever the hub looks at the heads.
                while !matches!(watch.pull(cursor), Pull::Frames(frames) if frames.len() == 1) {
                    bell.rung().await;
                }
            }
        });
        cursor = next;
    })
}
