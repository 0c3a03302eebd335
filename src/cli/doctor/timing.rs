//! Watches one stream by the clock, and judges when its parts have arrived.
//!
//! The gateway sends the head and the first event at once, and then something at least once in each heartbeat interval. Whatever comes
//! later was held back on the way.

use super::{
    endpoint::{Endpoint, TokenCarrier},
    finding::{Finding, Flaw},
    streams,
};
use crate::cli::{client, sse::EventParser};
use futures_util::StreamExt as _;
use reqwest::{Response, StatusCode};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// What this machine and the network may add to the time of anything.
const MARGIN: Duration = Duration::from_secs(2);

/// The most that is read of a stream, in bytes. The gateway sends less in ten minutes, unless the payment changes all the time.
const MAX_BYTES: usize = 32 << 20;

/// The most parts that a stream may arrive in, for the same reason.
const MAX_PARTS: usize = 100_000;

/// Something that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Received {
    /// Since the request was sent.
    pub(super) at: Duration,
    /// How many heartbeats it ended.
    pub(super) heartbeats: u32,
}

/// How the watching ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum StreamEnd {
    /// The stream is still open.
    Open,
    /// The gateway said that it ends the stream, for this reason.
    Closing(String),
    /// It ended without a word of the gateway; the text says how.
    Cut(String),
}

/// When the parts of one stream arrived. All times are since the request was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Timeline {
    /// When the head arrived, if it did.
    pub(super) head: Option<Duration>,
    pub(super) received: Vec<Received>,
    pub(super) end: StreamEnd,
    pub(super) ended: Duration,
}

/// Watches a stream for this long. The error says why there is none to watch.
pub(super) async fn watch(
    endpoint: &Endpoint,
    carrier: TokenCarrier,
    length: Duration,
) -> Result<Timeline, String> {
    let begun = Instant::now();
    let until = tokio::time::Instant::now() + length;
    let mut timeline =
        Timeline { head: None, received: Vec::new(), end: StreamEnd::Open, ended: Duration::ZERO };
    match timeout_at(until, endpoint.events(carrier, &[]).send()).await {
        Ok(Ok(response)) if response.status() != StatusCode::OK => {
            return Err(format!("a request for a stream is answered {}", response.status()));
        }
        Ok(Ok(response)) => {
            timeline.head = Some(begun.elapsed());
            timeline.end = read(response, until, begun, &mut timeline.received).await?;
        }
        Ok(Err(error)) => timeline.end = StreamEnd::Cut(client::root(&error)),
        // Nothing has arrived in all this time.
        Err(_) => {}
    }
    timeline.ended = begun.elapsed();
    Ok(timeline)
}

async fn read(
    response: Response,
    until: tokio::time::Instant,
    begun: Instant,
    received: &mut Vec<Received>,
) -> Result<StreamEnd, String> {
    let mut parser = EventParser::default();
    let mut chunks = response.bytes_stream();
    let (mut bytes, mut closing) = (0, None);
    loop {
        let chunk = match timeout_at(until, chunks.next()).await {
            Err(_) => return Ok(StreamEnd::Open),
            Ok(Some(Ok(chunk))) => chunk,
            Ok(end) => {
                let how = match end {
                    Some(Err(error)) => format!("the connection broke: {}", client::root(&error)),
                    _ => "the answer ended".to_owned(),
                };
                return Ok(closing.map_or(StreamEnd::Cut(how), StreamEnd::Closing));
            }
        };
        let at = begun.elapsed();
        bytes += chunk.len();
        if bytes > MAX_BYTES || received.len() >= MAX_PARTS {
            return Err(format!("the stream sends more than {} MiB or {MAX_PARTS} parts", MAX_BYTES >> 20));
        }
        let events = parser.feed(&chunk).map_err(|error| error.to_string())?;
        let heartbeats = events.iter().filter(|event| event.name == "heartbeat").count();
        received.push(Received { at, heartbeats: u32::try_from(heartbeats).unwrap_or(u32::MAX) });
        let message = |data: &str| serde_json::from_str(data).ok().and_then(|data| streams::closing(&data));
        closing = events.iter().find_map(|event| message(&event.data)).or(closing);
    }
}

/// The longest silence that a gateway with this heartbeat interval keeps, as it is seen from here.
pub(super) fn longest_silence(heartbeat: Duration) -> Duration {
    heartbeat + MARGIN.max(heartbeat / 2)
}

/// Why a timeline says nothing about heartbeats, if it does not.
pub(super) fn unseen(timeline: &Timeline, heartbeat: Duration) -> Option<String> {
    let (ended, needed) = (seconds(timeline.ended), longest_silence(heartbeat));
    match &timeline.end {
        StreamEnd::Closing(reason) if timeline.ended < needed => {
            Some(format!("heartbeats: the gateway ended the stream after {ended} ({reason})"))
        }
        StreamEnd::Open if timeline.ended < needed => Some(format!(
            "heartbeats: one comes every {}; give --seconds {:.0} or more",
            seconds(heartbeat),
            needed.as_secs_f64().ceil()
        )),
        _ => None,
    }
}

/// Judges a timeline. `answer` is how long the gateway takes for an answer that nobody holds back.
pub(super) fn judge(timeline: &Timeline, heartbeat: Duration, answer: Duration) -> Vec<Finding> {
    let Timeline { head, received, end, ended } = timeline;
    let begun = match (*head, received.first().map(|first| first.at)) {
        (Some(head), Some(first)) => Some(head.max(first)),
        _ => None,
    };
    let late = answer + MARGIN;
    let mut findings = Vec::new();
    if begun.is_none_or(|begun| begun > late) {
        let what = match (head, begun) {
            (_, Some(begun)) => format!("the first bytes of a stream came after {}", seconds(begun)),
            (None, None) => format!("no byte of a stream came within {}, not even its head", seconds(*ended)),
            (Some(_), None) => format!("the head of a stream came, and no event within {}", seconds(*ended)),
        };
        let says =
            format!("The stream is held back: {what}, while an answer as JSON takes {}.", seconds(answer));
        findings.push(Finding::new(Flaw::Buffered, says));
    }
    if begun.is_some() {
        findings.extend(lumps(received, *ended, *end == StreamEnd::Open, heartbeat));
    }
    if let StreamEnd::Cut(how) = end {
        findings.push(cut(received, *ended, how, heartbeat));
    }
    findings
}

/// The heartbeats that came too late, if there was one.
fn lumps(received: &[Received], ended: Duration, is_open: bool, heartbeat: Duration) -> Option<Finding> {
    let allowed = longest_silence(heartbeat);
    let pairs = received.iter().zip(received.iter().skip(1));
    let late = pairs.map(|(before, after)| (after.at.saturating_sub(before.at), after.heartbeats));
    // What arrives within a moment arrives together.
    let (silence, together) = late.max_by_key(|(silence, _)| *silence).unwrap_or_default();
    let last = received.last().map_or(Duration::ZERO, |last| last.at);
    let (due, open) = (seconds(heartbeat), ended.saturating_sub(last));
    if silence > allowed {
        let says = format!(
            "Heartbeats come in lumps: after {} of silence, {together} came at once, though one is sent at least every {due}.",
            seconds(silence)
        );
        Some(Finding::new(Flaw::Lumps, says))
    } else if is_open && open > allowed {
        let says = format!(
            "No heartbeat came within {}, though one is due every {due}. Give --heartbeat if [stream] says otherwise.",
            seconds(open)
        );
        Some(Finding::new(Flaw::Lumps, says))
    } else {
        None
    }
}

/// Why a connection was cut: it was silent for longer than ever before, or it was too old.
fn cut(received: &[Received], ended: Duration, how: &str, heartbeat: Duration) -> Finding {
    let pairs = received.iter().zip(received.iter().skip(1));
    let gaps = pairs.map(|(before, after)| after.at.saturating_sub(before.at));
    let borne = gaps.max().unwrap_or_default();
    let silent = ended.saturating_sub(received.last().map_or(Duration::ZERO, |last| last.at));
    let due = seconds(heartbeat);
    // A proxy that cuts an old stream may do so as it passes a heartbeat on, after about as long as it took before.
    if silent > borne + borne / 5 && silent <= longest_silence(heartbeat) {
        let says = format!(
            "A stream was cut after {} without data ({how}), and the gateway sends a heartbeat only every {due}.",
            seconds(silent)
        );
        return Finding::new(Flaw::IdleCut, says);
    }
    let says = format!(
        "A stream was cut after {} in all ({how}), though the gateway did not end it; the last data had come {} before.",
        seconds(ended),
        seconds(silent)
    );
    Finding::new(Flaw::Cut, says)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timeline whose head came after 20 ms, from (milliseconds, heartbeats), with its end in milliseconds.
    fn timeline(received: &[(u64, u32)], end: StreamEnd, ended: u64) -> Timeline {
        let received = received
            .iter()
            .map(|(at, heartbeats)| Received { at: Duration::from_millis(*at), heartbeats: *heartbeats })
            .collect();
        Timeline { head: Some(Duration::from_millis(20)), received, end, ended: Duration::from_millis(ended) }
    }

    fn flaws(timeline: &Timeline) -> Vec<Flaw> {
        let found = judge(timeline, Duration::from_secs(15), Duration::from_millis(10));
        found.iter().map(|finding| finding.flaw).collect()
    }

    #[test]
    fn a_stream_that_is_not_held_back_is_in_order() {
        let beats = [(21, 0), (14_900, 1), (29_700, 1)];
        assert_eq!(flaws(&timeline(&beats, StreamEnd::Open, 35_000)), []);
        let closing = StreamEnd::Closing("max_age".to_owned());
        assert_eq!(flaws(&timeline(&beats, closing, 30_000)), []);
        // Less than a heartbeat's time says nothing about heartbeats.
        assert_eq!(flaws(&timeline(&[(21, 0)], StreamEnd::Open, 5_000)), []);
        // Two events of the gateway may well share a packet.
        assert_eq!(flaws(&timeline(&[(21, 0), (14_000, 2)], StreamEnd::Open, 20_000)), []);
    }

    #[test]
    fn what_comes_late_was_held_back() {
        let nothing = Timeline { head: None, ..timeline(&[], StreamEnd::Open, 35_000) };
        assert_eq!(flaws(&nothing), [Flaw::Buffered]);
        assert_eq!(flaws(&timeline(&[], StreamEnd::Open, 35_000)), [Flaw::Buffered]);
        assert_eq!(flaws(&timeline(&[(14_900, 1), (29_800, 1)], StreamEnd::Open, 35_000)), [Flaw::Buffered]);
        assert_eq!(flaws(&timeline(&[(21, 0), (44_000, 3)], StreamEnd::Open, 50_000)), [Flaw::Lumps]);
        assert_eq!(flaws(&timeline(&[(21, 0)], StreamEnd::Open, 35_000)), [Flaw::Lumps]);
    }

    #[test]
    fn a_cut_of_silence_is_told_from_a_cut_of_age() {
        let cut = || StreamEnd::Cut("the answer ended".to_owned());
        assert_eq!(flaws(&timeline(&[(21, 0)], cut(), 5_021)), [Flaw::IdleCut]);
        assert_eq!(flaws(&timeline(&[(21, 0), (7_000, 1)], cut(), 17_000)), [Flaw::IdleCut]);
        assert_eq!(flaws(&timeline(&[(21, 0), (14_900, 1)], cut(), 20_000)), [Flaw::Cut]);
        assert_eq!(flaws(&timeline(&[(21, 0), (14_500, 1)], cut(), 29_400)), [Flaw::Cut]);
        let refused = Timeline { head: None, ..timeline(&[], cut(), 60_000) };
        assert_eq!(flaws(&refused), [Flaw::Buffered, Flaw::Cut]);
    }
}
