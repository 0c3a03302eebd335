//! A provider: posts a payment's events to both nodes, each until it is acknowledged, and remembers when it was.

use crate::support::{GENERIC_SECRET, Random, generic};
use load::{
    http::{Connection, Response},
    sign,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How long a provider waits for an answer; Stripe's is of this order. No node may ever take so long.
const ANSWER: Duration = Duration::from_secs(20);

/// The end of the id of an event that names a part of its payment alone. What comes before it is the id of the event that names both.
pub(super) const ALONE: &str = "-alone";

/// The shop's number for the order of a payment, which is a label.
pub(super) fn order_of(payment: &str) -> String {
    format!("order-{payment}")
}

/// What a provider waits before it sends an event again.
const AGAIN: Duration = Duration::from_millis(20);

/// One acknowledgement: when the request that got it began, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    pub(super) began: Instant,
    pub(super) came: Instant,
}

/// What one payment's provider knows.
#[derive(Default, Debug)]
pub(super) struct Book {
    /// Acknowledgements by event.
    pub(super) acked: BTreeMap<String, Vec<Ack>>,
    /// Events that were posted, acknowledged or not.
    pub(super) posted: u64,
    /// Those of them that named a part of the payment alone.
    pub(super) alone: u64,
    /// Acknowledgements in all, of duplicates too.
    pub(super) acks: u64,
    /// Answers that asked to come again.
    pub(super) deferred: u64,
    pub(super) slowest_answer: Duration,
}

/// Posts one payment's events.
pub(super) struct Post {
    nodes: [SocketAddr; 2],
    pub(super) payment: String,
    book: Mutex<Book>,
}

/// A running provider.
pub(super) struct Provider {
    pub(super) post: Arc<Post>,
    go: watch::Sender<bool>,
    parked: watch::Receiver<bool>,
    pub(super) task: JoinHandle<()>,
}

impl Post {
    pub(super) fn new(nodes: [SocketAddr; 2], payment: String) -> Self {
        Self { nodes, payment, book: Mutex::default() }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Posts an event to a node, or to the other one while that does not answer, until it is acknowledged.
    pub(super) async fn event(&self, id: &str, body: &[u8], mut node: usize) {
        let headers = sign::generic(GENERIC_SECRET, body);
        let mut connection = None;
        loop {
            if connection.is_none() {
                connection = Connection::open(self.nodes[node]).await.ok();
            }
            let began = Instant::now();
            let answer = match &mut connection {
                Some(open) => {
                    let asked = open.request("POST", "/webhooks/acme", &headers, body);
                    timeout(ANSWER, asked)
                        .await
                        .unwrap_or_else(|_| panic!("{id}: no answer of node {node}"))
                        .ok()
                }
                None => None,
            };
            let Some(answer) = answer else {
                connection = None;
                node = 1 - node;
                sleep(AGAIN).await;
                continue;
            };
            if self.note(id, began, &answer) {
                return;
            }
            sleep(AGAIN).await;
        }
    }

    /// Writes an answer down. True if it is an acknowledgement.
    fn note(&self, id: &str, began: Instant, answer: &Response) -> bool {
        let came = Instant::now();
        let mut book = self.book();
        book.slowest_answer = book.slowest_answer.max(came - began);
        if answer.head.status == 503 {
            book.deferred += 1;
            return false;
        }
        assert_eq!(answer.head.status, 200, "{id}: {}", answer.text());
        let body = answer.json();
        let taken = ["accepted", "duplicate", "waiting"];
        assert!(taken.iter().any(|outcome| body["outcome"] == **outcome), "{id}: {body}");
        book.acks += 1;
        book.acked.entry(id.to_owned()).or_default().push(Ack { began, came });
        true
    }

    /// The next event's id and body; its word and time are drawn, so that events come in no order of time. It names the order and a charge
    /// of the payment beside it.
    pub(super) fn next(&self, random: &mut Random) -> (String, Vec<u8>) {
        let (id, body) = self.draw(random);
        (id, body.to_string().into_bytes())
    }

    /// An event that names a charge alone, and the next one, from which the charge is known to be of the payment.
    pub(super) fn next_pair(&self, random: &mut Random) -> [(String, Vec<u8>); 2] {
        let (id, body) = self.draw(random);
        let mut alone = body.clone();
        let alone_id = format!("{id}{ALONE}");
        alone["id"] = alone_id.clone().into();
        for key in ["id", "order"] {
            alone["payment"].as_object_mut().unwrap().remove(key);
        }
        let mut book = self.book();
        book.posted += 1;
        book.alone += 1;
        [(alone_id, alone.to_string().into_bytes()), (id, body.to_string().into_bytes())]
    }

    fn draw(&self, random: &mut Random) -> (String, Value) {
        const WORDS: [&str; 6] = ["pending", "pending", "pending", "confirmed", "failed", "expired"];
        let number = {
            let mut book = self.book();
            book.posted += 1;
            book.posted
        };
        let id = format!("{}-e{number}", self.payment);
        let word = WORDS[usize::try_from(random.below(WORDS.len() as u64)).unwrap()];
        let at = 1_700_000_000 + random.below(10_000);
        let mut body = generic(&id, word, &self.payment, at);
        body["payment"]["charge"] = format!("charge-{id}").into();
        body["payment"]["order"] = order_of(&self.payment).into();
        (id, body)
    }
}

impl Provider {
    /// A provider of `events` events, which waits for [`Provider::resume`].
    pub(super) fn start(nodes: [SocketAddr; 2], payment: String, events: u64, mut random: Random) -> Self {
        let post = Arc::new(Post::new(nodes, payment));
        let (go, mut going) = watch::channel(false);
        let (park, parked) = watch::channel(false);
        let posting = Arc::clone(&post);
        let task = tokio::spawn(async move {
            for _ in 0..events {
                if !*going.borrow() {
                    park.send_replace(true);
                    if going.wait_for(|go| *go).await.is_err() {
                        return;
                    }
                    park.send_replace(false);
                }
                let node = usize::try_from(random.below(2)).unwrap();
                if random.below(3) == 0 {
                    // The provider acknowledges nothing to itself: either may come first, over either node, or both at once.
                    let [first, second] = posting.next_pair(&mut random);
                    match random.below(3) {
                        0 => {
                            posting.event(&first.0, &first.1, node).await;
                            posting.event(&second.0, &second.1, 1 - node).await;
                        }
                        1 => {
                            posting.event(&second.0, &second.1, node).await;
                            posting.event(&first.0, &first.1, 1 - node).await;
                        }
                        _ => {
                            let both = (
                                posting.event(&first.0, &first.1, node),
                                posting.event(&second.0, &second.1, 1 - node),
                            );
                            tokio::join!(both.0, both.1);
                        }
                    }
                    continue;
                }
                let (id, body) = posting.next(&mut random);
                match random.below(8) {
                    // Twice at once, and once more after the acknowledgement: providers do both.
                    0 => {
                        let both = [posting.event(&id, &body, 0), posting.event(&id, &body, 1)];
                        let [first, second] = both;
                        tokio::join!(first, second);
                    }
                    1 => {
                        posting.event(&id, &body, node).await;
                        posting.event(&id, &body, 1 - node).await;
                    }
                    _ => posting.event(&id, &body, node).await,
                }
                sleep(Duration::from_millis(random.below(15))).await;
            }
            park.send_replace(true);
            // Out of events; keeps the channel for those who look at it.
            park.closed().await;
        });
        Self { post, go, parked, task }
    }

    pub(super) fn resume(&self) {
        self.go.send_replace(true);
    }

    /// Asks it to pause after the event that it is about.
    pub(super) fn park(&self) {
        self.go.send_replace(false);
    }

    pub(super) async fn parked(&self) {
        let mut parked = self.parked.clone();
        assert!(parked.wait_for(|parked| *parked).await.is_ok(), "a provider has failed");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}
