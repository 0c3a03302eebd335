//! The plan of a run: what its readers and its publisher are to do. It can be sent to another process.

use load::sign;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    fmt::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Most events that are posted to one payment. A payment's log holds 512.
pub(crate) const EVENTS_PER_PAYMENT: usize = 500;

/// Which event of a payment captures it, counted from 0. Later events must not take the status back.
const CAPTURE: usize = 2;

/// The name for which a server with TLS has its certificate.
pub(crate) const TLS_NAME: &str = "load.test";

/// The protocol that the server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// Paystream: signed webhooks, snapshots and cursors.
    Paystream,
    /// Any server that passes on what is posted to a channel, unchanged, to all who read that channel.
    Plain,
}

/// How webhooks are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Generic,
    Stripe,
}

/// The token that a stream presents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Token {
    None,
    /// The same token for all streams.
    One(String),
    /// A token for each stream's payment, or for all payments, signed with HS256 by the key `k1`, whose secret this is.
    Minted(String),
}

/// The addresses, paths and secrets of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) dialect: Dialect,
    pub(crate) streams: SocketAddr,
    pub(crate) posts: SocketAddr,
    /// The certificate that the server presents to streams, in PEM. `None` if it speaks no TLS there.
    pub(crate) tls: Option<String>,
    /// The path of a stream; `{}` stands for the payment.
    pub(crate) subscribe: String,
    /// The path of a post; `{}` stands for the payment.
    pub(crate) publish: String,
    /// Whether each channel must be created by a PUT to the path of a post before it can be read.
    pub(crate) create: bool,
    pub(crate) provider: Provider,
    pub(crate) secret: String,
    pub(crate) token: Token,
}

/// What a run does, or one process's share of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    /// A name in every payment id, so that the payments of this run differ from those of earlier runs.
    pub(crate) name: String,
    /// The start of the run by the clock, in microseconds. Due times in event ids count from it.
    pub(crate) epoch_us: u64,
    /// The streams of all processes. Stream i watches payment i modulo the number of payments.
    pub(crate) streams: usize,
    pub(crate) payments: usize,
    /// The first stream of this process; `step` further is its next.
    pub(crate) first: usize,
    pub(crate) step: usize,
    /// Addresses for the streams of each process in turn; if there are none, all go to the target's.
    pub(crate) gateways: Vec<SocketAddr>,
    /// How often a reader sends its state, in microseconds.
    pub(crate) tick_us: u64,
    /// How many streams may be opening at the same time.
    pub(crate) opening: usize,
    /// Local addresses to connect from, used in turn.
    pub(crate) sources: Vec<Ipv4Addr>,
    /// How many streams of this process are dropped and resumed per second.
    pub(crate) churn: f64,
    /// How many streams stop reading after their first message.
    pub(crate) stalled: usize,
    /// How many streams read only 512 bytes every 50 ms.
    pub(crate) slow: usize,
    /// How long a stream may take until its first message, and a post until its answer.
    pub(crate) patience_us: u64,
    /// Upper limit on the wait before a reconnect, for runs that have no time for what the server asks.
    pub(crate) longest_wait_ms: Option<u32>,
}

impl Plan {
    /// The plan of one of several processes.
    pub(crate) fn of_process(&self, index: usize, processes: usize) -> Self {
        let mut plan = Self { first: index, step: processes, ..self.clone() };
        #[expect(clippy::cast_precision_loss, reason = "a handful of processes")]
        let share = self.churn / processes as f64;
        plan.churn = share;
        if let Some(address) = index.checked_rem(self.gateways.len()).and_then(|at| self.gateways.get(at)) {
            plan.target.streams = *address;
            plan.sources = own_sources(index, plan.share(plan.streams));
        }
        plan
    }

    /// How many streams this process has if there are `upto` in all.
    pub(crate) fn share(&self, upto: usize) -> usize {
        upto.min(self.streams).saturating_sub(self.first).div_ceil(self.step.max(1))
    }

    /// The payment that this process's n-th stream watches.
    pub(crate) fn payment_of(&self, stream: usize) -> usize {
        (self.first + stream * self.step) % self.payments.max(1)
    }

    /// How many streams watch a payment.
    pub(crate) fn watchers(&self, payment: usize) -> usize {
        self.streams.saturating_sub(payment).div_ceil(self.payments.max(1))
    }

    /// The id of a payment. Letters separate the digits, because a long run of digits could pass for a card number.
    pub(crate) fn payment_id(&self, payment: usize) -> String {
        format!("load{}p{payment}", self.name)
    }

    /// The payment of an id of this run.
    pub(crate) fn payment_of_id(&self, id: &str) -> Option<usize> {
        id.strip_prefix("load")?.strip_prefix(&self.name)?.strip_prefix('p')?.parse().ok()
    }

    /// The header of a token for all payments, if streams present one.
    pub(crate) fn list_token(&self) -> Option<String> {
        match &self.target.token {
            Token::None => None,
            Token::One(token) => Some(format!("Bearer {token}")),
            Token::Minted(secret) => Some(format!("Bearer {}", minted(secret, "*"))),
        }
    }

    /// Writes the request that opens a stream.
    pub(crate) fn stream_request(&self, payment: usize, cursor: &[u8], out: &mut Vec<u8>) {
        let id = self.payment_id(payment);
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n",
            self.target.subscribe.replace("{}", &id),
            self.target.streams
        );
        // Writing to a string can't fail.
        let _ = match &self.target.token {
            Token::None => Ok(()),
            Token::One(token) => write!(head, "Authorization: Bearer {token}\r\n"),
            Token::Minted(secret) => write!(head, "Authorization: Bearer {}\r\n", minted(secret, &id)),
        };
        out.extend_from_slice(head.as_bytes());
        if !cursor.is_empty() {
            out.extend_from_slice(b"Last-Event-ID: ");
            out.extend_from_slice(cursor);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Writes the request that creates a payment's channel.
    pub(crate) fn create_request(&self, payment: usize, out: &mut Vec<u8>) {
        let path = self.target.publish.replace("{}", &self.payment_id(payment));
        let host = self.target.posts;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
    }

    /// Writes the request that posts an event.
    pub(crate) fn post_request(&self, event: &Event, out: &mut Vec<u8>) {
        let Event { number, due_us, lag_us, settled } = *event;
        let payment = self.payment_id(number % self.payments.max(1));
        let turn = number / self.payments.max(1);
        let due_us = due_us.saturating_sub(self.epoch_us);
        let id = EventId { number, due_us, lag_us }.to_string();
        let (body, headers) = match (self.target.dialect, self.target.provider) {
            (Dialect::Plain, _) => {
                let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
                (plain(&payment, &id, turn, settled), headers)
            }
            (_, Provider::Generic) => {
                let body = generic(&payment, &id, turn);
                let headers = sign::generic(&self.target.secret, &body);
                (body, headers)
            }
            (_, Provider::Stripe) => {
                let body = stripe(&payment, &id, turn);
                let headers = sign::stripe(&self.target.secret, unix_s(), &body);
                (body, headers)
            }
        };
        let path = self.target.publish.replace("{}", &payment);
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n",
            self.target.posts,
            body.len()
        );
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&body);
    }
}

/// An event to post.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) number: usize,
    /// When it is due by the clock, in microseconds.
    pub(crate) due_us: u64,
    /// How late the publisher itself is with it.
    pub(crate) lag_us: u64,
    /// How many of the payment's first events have been answered when this one is sent; the server may put later ones in any order. Only the
    /// plain dialect uses it, where the publisher numbers the events.
    pub(crate) settled: usize,
}

/// What the id of an event carries: enough to compute its latency in whatever process reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventId {
    pub(crate) number: usize,
    /// When it was due, in microseconds after the run's epoch.
    pub(crate) due_us: u64,
    /// How late the publisher itself was with it.
    pub(crate) lag_us: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, due_us, lag_us } = self;
        write!(out, "e{number}d{due_us}l{lag_us}")
    }
}

impl EventId {
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let (number, times) = id.strip_prefix('e')?.split_once('d')?;
        let (due_us, lag_us) = times.split_once('l')?;
        Some(Self {
            number: number.parse().ok()?,
            due_us: due_us.parse().ok()?,
            lag_us: lag_us.parse().ok()?,
        })
    }
}

/// How many streams one address is used for, below half of the 28,232 ports that Linux assigns by default: it assigns ports of one address
/// quickly only while half of them are free.
pub(crate) const STREAMS_PER_SOURCE: usize = 10_000;

/// Loopback addresses that only this process connects from, because a port of one address is given to one connection at a time.
fn own_sources(index: usize, streams: usize) -> Vec<Ipv4Addr> {
    let net = u8::try_from(index % 250).unwrap_or_default();
    let wanted = u8::try_from(streams.div_ceil(STREAMS_PER_SOURCE)).unwrap_or(u8::MAX);
    (1..=wanted).map(|host| Ipv4Addr::new(127, 1, net, host)).collect()
}

/// The time now, in seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A token for a payment. No two are the same, as if each belonged to a page of its own, since a server may limit what one token
/// opens.
fn minted(secret: &str, payment: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = unix_s();
    let id = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let claims = json!({
        "realm": "default", "payments": [payment], "aud": "paystream", "iat": now, "exp": now + 86_400, "jti": id,
    });
    sign::jwt_hs256("k1", secret.as_bytes(), &claims)
}

fn generic(payment: &str, id: &str, turn: usize) -> Vec<u8> {
    let word = if turn == CAPTURE { "confirmed" } else { "pending" };
    let body = json!({
        "id": id,
        "event": format!("payment.{word}"),
        "timestamp": unix_s(),
        "payment": { "id": payment, "status": word, "amount": "12.50", "currency": "EUR" },
    });
    body.to_string().into_bytes()
}

fn stripe(payment: &str, id: &str, turn: usize) -> Vec<u8> {
    let (word, status) =
        if turn == CAPTURE { ("succeeded", "succeeded") } else { ("processing", "processing") };
    let body = json!({
        "id": id, "object": "event", "api_version": "2025-03-31.basil", "type": format!("payment_intent.{word}"),
        "created": unix_s(), "livemode": false,
        "data": { "object": {
            "id": payment, "object": "payment_intent", "amount": 1250, "amount_received": 1250,
            "amount_capturable": 0, "currency": "eur", "status": status,
        } },
    });
    body.to_string().into_bytes()
}

/// A body like the update that Paystream makes of an event, for servers that pass a body on unchanged.
fn plain(payment: &str, id: &str, turn: usize, settled: usize) -> Vec<u8> {
    let body = json!({
        "v": 1, "type": "update", "payment": payment, "seq": turn + 1, "prev": turn, "settled": settled,
        "status": "processing",
        "amount": 1250, "currency": "EUR", "exponent": 2, "captured": 0, "refunded": 0, "conflict": false,
        "event": {
            "id": id, "type": "payment.pending", "occurred_at": "2026-11-22T03:43:20.000Z",
            "received_at": "2026-11-22T03:43:20.123Z", "live": true,
        },
        "up_to_date": true,
    });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_tells_number_and_times() {
        let id = EventId { number: 17, due_us: 123_456, lag_us: 50 };
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        for foreign in ["", "evt_1", "e17", "e1d5", "e1dxl0", "17d5l0"] {
            assert_eq!(EventId::parse(foreign), None, "{foreign:?}");
        }
    }
}
