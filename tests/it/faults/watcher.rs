//! A watcher: a client that follows one payment on one node, and resumes on the other when it is sent away.

use crate::support::{header, token};
use load::follow::{Follower, Seen};
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::watch, task::AbortHandle};

/// What a watcher shows.
#[derive(Clone, Default, Debug)]
pub(super) struct Shown {
    pub(super) seen: Seen,
    /// Where the last message came from.
    pub(super) node: Option<usize>,
    /// It was told that this may be out of date.
    pub(super) stale: bool,
    /// Messages so far.
    pub(super) messages: u64,
    /// Why a browser would have given up.
    pub(super) gave_up: Option<String>,
}

pub(super) struct Watcher {
    /// The node where it belongs.
    pub(super) home: usize,
    node: Arc<watch::Sender<usize>>,
    pub(super) shown: watch::Receiver<Shown>,
    task: AbortHandle,
}

impl Watcher {
    pub(super) fn start(nodes: [SocketAddr; 2], payment: &str, home: usize) -> Self {
        let node = Arc::new(watch::Sender::new(home));
        let (show, shown) = watch::channel(Shown::default());
        let path = format!("/v1/payments/{payment}/events");
        let headers = vec![header("authorization", &format!("Bearer {}", token("default", &[payment])))];
        let task = tokio::spawn(run(nodes, path, headers, Arc::clone(&node), show)).abort_handle();
        Self { home, node, shown, task }
    }

    /// Sends it to a node, as a balancer would.
    pub(super) fn go_to(&self, node: usize) {
        self.node.send_if_modified(|at| std::mem::replace(at, node) != node);
    }

    /// What it shows now.
    pub(super) fn shows(&self) -> Shown {
        self.shown.borrow().clone()
    }

    /// Waits until it shows what `holds`.
    pub(super) async fn until(&self, holds: impl FnMut(&Shown) -> bool) {
        let mut shown = self.shown.clone();
        assert!(shown.wait_for(holds).await.is_ok(), "a watcher has failed");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    nodes: [SocketAddr; 2],
    path: String,
    headers: Vec<(String, String)>,
    node: Arc<watch::Sender<usize>>,
    show: watch::Sender<Shown>,
) {
    let (mut seen, mut cursor) = (Seen::default(), None);
    let mut sent = node.subscribe();
    loop {
        let at = *sent.borrow_and_update();
        let mut follower = Follower::new(nodes[at], path.clone(), headers.clone());
        follower.longest_wait = Duration::from_millis(50);
        (follower.seen, follower.cursor) = (seen, cursor);
        let followed = follower.follow(|seen, message| {
            show.send_modify(|shown| take(shown, at, seen, message));
            message["type"] == "closing"
        });
        tokio::select! {
            ended = followed => match ended {
                // Sent away. The next connection of a browser goes wherever the balancer likes.
                Ok(()) => move_on(&node, at),
                Err(why) => {
                    show.send_modify(|shown| shown.gave_up = Some(why.to_string()));
                    return std::future::pending().await;
                }
            },
            _ = sent.changed() => {}
        }
        (seen, cursor) = (follower.seen, follower.cursor);
    }
}

/// To the other node, unless it was sent somewhere already.
fn move_on(node: &watch::Sender<usize>, from: usize) {
    node.send_if_modified(|node| {
        let stays = *node == from;
        if stays {
            *node = 1 - from;
        }
        stays
    });
}

fn take(shown: &mut Shown, node: usize, seen: &Seen, message: &Value) {
    shown.node = Some(node);
    shown.seen.clone_from(seen);
    shown.messages += 1;
    if message["type"] == "stale" {
        shown.stale = message["stale"] == true;
    }
}
