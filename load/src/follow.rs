//! A client that follows one payment across lost connections and checks what it receives: `seq` grows by one, each update names the
//! one before, and whatever breaks that chain says why.

use crate::{
    http::End,
    sse::{Event, Item},
    stream::{Next, Stream},
};
use serde_json::Value;
use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};
use tokio::time::sleep;

/// How long a browser waits before it reconnects, until the server sends `retry`.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);

/// Follows one payment.
#[derive(Debug)]
pub struct Follower {
    /// What it has seen so far.
    pub seen: Seen,
    /// Upper limit on the wait before a reconnect, for tests that have no time for what the server asks.
    pub longest_wait: Duration,
    /// The cursor that the next connection resumes from.
    pub cursor: Option<String>,
    host: SocketAddr,
    path: String,
    headers: Vec<(String, String)>,
    retry: Duration,
}

/// What a follower saw, and which errors it found.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The newest `seq` seen.
    pub seq: u64,
    /// The newest status seen.
    pub status: String,
    /// Provider event ids by `seq`, from updates and timelines.
    pub events: BTreeMap<u64, String>,
    /// Reasons of the snapshots that replaced known state. The first snapshot of a stream is not among them.
    pub snapshots: Vec<String>,
    /// Reasons of the `closing` messages.
    pub closings: Vec<String>,
    /// How many connections were answered with a stream.
    pub connections: u64,
    /// Whether the server answered 204, after which a browser does not reconnect.
    pub finished: bool,
    /// How many `seq`s were skipped without an explanation.
    pub lost: u64,
    /// How many updates came a second time.
    pub repeated: u64,
    /// How many updates came after a later one.
    pub reordered: u64,
}

impl Seen {
    /// Whether nothing was lost, repeated or out of order.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        (self.lost, self.repeated, self.reordered) == (0, 0, 0)
    }

    /// Takes one message. `fresh` tells that the stream was opened without a cursor.
    pub fn take(&mut self, message: &Value, fresh: bool) {
        let word = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let seq = message["seq"].as_u64().unwrap_or_default();
        match message["type"].as_str() {
            Some("snapshot") => {
                let reason = word("reason");
                if !reason.is_empty() {
                    self.snapshots.push(reason);
                    self.events.clear();
                } else if !fresh {
                    // State was replaced without a reason, so whatever lies between may be lost.
                    self.lost += 1;
                }
                self.seq = seq;
                self.status = word("status");
                self.take_timeline(&message["timeline"]);
            }
            Some("update") => {
                if self.events.contains_key(&seq) {
                    self.repeated += 1;
                } else if seq <= self.seq {
                    self.reordered += 1;
                } else if seq != self.seq + 1 || message["prev"].as_u64() != Some(self.seq) {
                    self.lost += (seq - self.seq - 1).max(1);
                }
                self.seq = self.seq.max(seq);
                self.status = word("status");
                self.events.insert(
                    seq,
                    message.pointer("/event/id").and_then(Value::as_str).unwrap_or_default().to_owned(),
                );
            }
            Some("ready") if seq != self.seq => self.lost += 1,
            Some("closing") => self.closings.push(word("reason")),
            _ => {}
        }
    }

    fn take_timeline(&mut self, timeline: &Value) {
        for entry in timeline.as_array().into_iter().flatten() {
            if let (Some(seq), Some(id)) = (entry["seq"].as_u64(), entry["id"].as_str()) {
                self.events.insert(seq, id.to_owned());
            }
        }
    }
}

impl Follower {
    /// Creates a follower of the stream at `path`, e.g. `/v1/payments/pay_1/events`.
    #[must_use]
    pub fn new(host: SocketAddr, path: String, headers: Vec<(String, String)>) -> Self {
        Self {
            seen: Seen::default(),
            longest_wait: Duration::MAX,
            cursor: None,
            host,
            path,
            headers,
            retry: DEFAULT_RETRY,
        }
    }

    /// Follows the payment until `enough` returns true for a message, or until the payment is finished. It reconnects after a lost or refused
    /// connection, after the time that the server asked for. An answer at which a browser gives up is an error.
    pub async fn follow(&mut self, mut enough: impl FnMut(&Seen, &Value) -> bool) -> io::Result<()> {
        loop {
            match self.connect().await {
                Ok(mut stream) if stream.head.status == 200 => {
                    self.seen.connections += 1;
                    if self.read(&mut stream, &mut enough).await {
                        return Ok(());
                    }
                }
                Ok(stream) if stream.head.status == 204 => {
                    self.seen.finished = true;
                    return Ok(());
                }
                Ok(stream) => {
                    let what = format!("a browser would give up: status {}", stream.head.status);
                    return Err(io::Error::other(what));
                }
                Err(_) => {}
            }
            sleep(self.retry.min(self.longest_wait)).await;
        }
    }

    async fn connect(&self) -> io::Result<Stream> {
        let mut headers = self.headers.clone();
        headers.extend(self.cursor.iter().map(|cursor| ("last-event-id".to_owned(), cursor.clone())));
        Stream::open(self.host, &self.path, &headers).await
    }

    /// Reads one connection to its end. Returns true if `enough` did.
    async fn read(&mut self, stream: &mut Stream, enough: &mut impl FnMut(&Seen, &Value) -> bool) -> bool {
        let fresh = self.cursor.is_none();
        loop {
            match stream.next().await {
                Ok(Next::Item(Item::Retry(ms))) => self.retry = Duration::from_millis(ms),
                Ok(Next::Item(Item::Event(event))) => {
                    if let Some(message) = self.take(&event, fresh)
                        && enough(&self.seen, &message)
                    {
                        return true;
                    }
                }
                Ok(Next::Item(Item::Comment(_))) => {}
                // A browser reconnects after a clean end too.
                Ok(Next::End(End::Clean | End::Unclean)) | Err(_) => return false,
            }
        }
    }

    fn take(&mut self, event: &Event, fresh: bool) -> Option<Value> {
        if !event.id.is_empty() {
            self.cursor = Some(event.id.clone());
        }
        if event.kind != "message" {
            return None;
        }
        let message = serde_json::from_str(&event.data).ok()?;
        self.seen.take(&message, fresh);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn update(seq: u64, prev: u64) -> Value {
        json!({ "type": "update", "seq": seq, "prev": prev, "status": "captured", "event": { "id": format!("e{seq}") } })
    }

    #[test]
    fn what_breaks_the_chain_is_counted() {
        let snapshot = json!({ "type": "snapshot", "seq": 2, "status": "authorized",
            "timeline": [{ "seq": 1, "id": "e1" }, { "seq": 2, "id": "e2" }] });
        for (messages, expected) in [
            (vec![update(3, 2), update(4, 3)], (0, 0, 0)),
            (vec![update(4, 3)], (1, 0, 0)),
            (vec![update(6, 2)], (3, 0, 0)),
            (vec![update(3, 2), update(3, 2)], (0, 1, 0)),
            (vec![update(2, 1)], (0, 1, 0)),
            (vec![update(4, 3), update(3, 2)], (1, 0, 1)),
            (vec![json!({ "type": "ready", "seq": 2 })], (0, 0, 0)),
            (vec![json!({ "type": "ready", "seq": 3 })], (1, 0, 0)),
        ] {
            let mut seen = Seen::default();
            seen.take(&snapshot, true);
            messages.iter().for_each(|message| seen.take(message, true));
            assert_eq!((seen.lost, seen.repeated, seen.reordered), expected, "{messages:?}");
        }
    }

    #[test]
    fn a_snapshot_may_replace_what_was_known_only_with_a_reason() {
        let mut seen = Seen::default();
        seen.take(&update(1, 0), true);
        seen.take(
            &json!({ "type": "snapshot", "seq": 5, "status": "captured", "reason": "rolled_back" }),
            false,
        );
        assert!(seen.is_exact());
        assert_eq!(seen.snapshots, ["rolled_back"]);
        seen.take(&json!({ "type": "snapshot", "seq": 5, "status": "captured" }), false);
        assert_eq!(seen.lost, 1);
    }
}
