//! How much the hub keeps of what is read.

use super::*;

/// All streams of a node may come back at once. What is kept for those who come next must not grow with all that they read.
#[tokio::test(start_paused = true)]
async fn i6_histories_that_many_come_back_for_take_bounded_memory() {
    let node = Node::start(Fake::default()).await;
    let payments: Vec<_> = (0..40).map(|number| format!("pay_{number}")).collect();
    for payment in &payments {
        for _ in 0..500 {
            node.store.say(payment, Phase::Created).await;
        }
    }
    let watchers: Vec<_> = payments.iter().map(|payment| node.watch(payment)).collect();
    for watcher in &watchers {
        assert_eq!(watcher.watch.history().await.unwrap().head.seq, 500);
    }
    let keeps: Vec<_> = watchers.iter().map(|watcher| watcher.watch.topic().cached(0).is_some()).collect();
    assert_eq!(keeps.iter().filter(|keeps| **keeps).count(), 32, "as many as 16,384 entries allow");
    assert!(keeps.ends_with(&[true; 32]), "the newest are kept");
    // Whoever comes for another one has it read again, and nobody misses anything.
    assert_eq!(watchers[0].watch.history().await.unwrap().head.seq, 500);
    tokio::time::sleep(TICK * 4).await;
    assert_eq!(lock(&node.hub.shelf).len(), 0);
}
