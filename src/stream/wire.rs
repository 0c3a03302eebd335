//! The words of the SSE wire. Pure: bytes in, bytes out.
//!
//! State travels in unnamed events, so `onmessage` is enough. Every event has an `id:`, the stream's cursors joined by
//! dots. `retry:` stands in the block of an event or alone with one newline, since a blank line after it, or after a
//! comment, fires an empty message in a popular client.

use crate::{hub::WIRE_VERSION, metrics::CloseReason, payment::Cursor};
use bytes::{BufMut, BytesMut};
use serde_json::json;
use std::fmt::{Display, Write};

/// Why a stream is closed by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The node goes down, or is about to.
    Drain,
    /// Streams move on now and then, so that nodes stay balanced.
    MaxAge,
    /// The token, or the key that signed it, is good no more.
    TokenExpired,
    /// More than this node can take, or its store is lost.
    Overload,
    /// The reader took nothing for too long.
    Stalled,
    /// The payment has come to its end, and the stream was asked to end with it.
    Finished,
}

impl Closing {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::MaxAge => "max_age",
            Self::TokenExpired => "token_expired",
            Self::Overload => "overload",
            Self::Stalled => "stalled",
            Self::Finished => "finished",
        }
    }

    /// The word in metrics.
    #[must_use]
    pub const fn counted(self) -> CloseReason {
        match self {
            Self::Drain => CloseReason::Drain,
            Self::MaxAge => CloseReason::MaxAge,
            Self::TokenExpired => CloseReason::TokenExpired,
            Self::Overload => CloseReason::Overload,
            Self::Stalled => CloseReason::Stalled,
            Self::Finished => CloseReason::Finished,
        }
    }

    /// Whether the body ends properly. A clean end stops one popular client for good, an unclean one makes every client
    /// come back: so only what is finished ends cleanly.
    #[must_use]
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::Finished)
    }
}

/// A text sink over the output: writing to it cannot fail.
struct Text<'a>(&'a mut BytesMut);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // `Text` never fails, and what is written to it are integers and strings, whose `Display` does not either.
    let _ = Text(out).write_fmt(text);
}

/// `retry:` with the milliseconds after which this client may come back.
pub(super) fn retry(out: &mut BytesMut, ms: u64) {
    put(out, format_args!("retry: {ms}\n"));
}

/// An unnamed event. `json` is an object without its closing brace, `rest` ends it.
pub(super) fn message(out: &mut BytesMut, id: &impl Display, json: &[u8], rest: &str) {
    put(out, format_args!("id: {id}\ndata: "));
    out.put_slice(json);
    out.put_slice(rest.as_bytes());
    out.put_slice(b"\n\n");
}

/// The end of an update's or snapshot's object.
pub(super) const fn up_to_date(is: bool) -> &'static str {
    if is { r#","up_to_date":true}"# } else { r#","up_to_date":false}"# }
}

/// Nothing was missed.
pub(super) fn ready(out: &mut BytesMut, id: &impl Display, payment: &str, seq: u64) {
    let json =
        json!({"v": WIRE_VERSION, "type": "ready", "payment": payment, "seq": seq, "up_to_date": true});
    message(out, id, json.to_string().as_bytes(), "");
}

/// The store is lost, or back.
pub(super) fn stale(out: &mut BytesMut, id: &impl Display, stale: bool) {
    let json = json!({"v": WIRE_VERSION, "type": "stale", "stale": stale});
    message(out, id, json.to_string().as_bytes(), "");
}

/// The last event of a stream, with the time after which this client may come back.
pub(super) fn closing(out: &mut BytesMut, id: &impl Display, why: Closing, retry_ms: u64) {
    let json = json!({"v": WIRE_VERSION, "type": "closing", "reason": why.as_str()});
    retry(out, retry_ms);
    message(out, id, json.to_string().as_bytes(), "");
}

/// A heartbeat that scripts cannot see: one comment line, and no blank line after it.
pub(super) fn comment_heartbeat(out: &mut BytesMut) {
    out.put_slice(b":\n");
}

/// A heartbeat for pages that watch for half-open connections. `seq` is a number; on a stream of several payments, a list
/// in the order of the request.
pub(super) fn event_heartbeat(out: &mut BytesMut, id: &impl Display, seqs: &[u64]) {
    let seq = match seqs {
        [one] => json!(one),
        several => json!(several),
    };
    let json = json!({"seq": seq});
    put(out, format_args!("event: heartbeat\nid: {id}\ndata: {json}\n\n"));
}

/// Cursors joined by dots, in the order of the request: the `id:` of a stream.
pub(super) struct Joined<I>(pub(super) I);

impl<I: Iterator<Item = Cursor> + Clone> Display for Joined<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, cursor) in self.0.clone().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            write!(f, "{cursor}")?;
        }
        Ok(())
    }
}

/// Takes apart what a client sent as its last event id: one cursor for each of `count` payments, each either good or not.
/// Another number of them is no cursor for any.
pub(super) fn split_cursors(text: &str, count: usize) -> Vec<Option<Cursor>> {
    let parts: Vec<_> = text.split('.').collect();
    if parts.len() == count {
        parts.iter().map(|part| part.parse().ok()).collect()
    } else {
        vec![None; count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Tag;

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_word_of_the_wire_is_spelled_as_promised() {
        let cursors = [Cursor { tag: Tag::from_random(1), seq: 4 }, Cursor::START];
        let id = Joined(cursors.iter().copied());
        for (written, expected) in [
            (text(|out| retry(out, 2731)), "retry: 2731\n"),
            (
                text(|out| message(out, &id, br#"{"seq":4"#, up_to_date(true))),
                "id: 00000001-4.0-0\ndata: {\"seq\":4,\"up_to_date\":true}\n\n",
            ),
            (text(comment_heartbeat), ":\n"),
            (
                text(|out| event_heartbeat(out, &id, &[4, 0])),
                "event: heartbeat\nid: 00000001-4.0-0\ndata: {\"seq\":[4,0]}\n\n",
            ),
            (
                text(|out| event_heartbeat(out, &"00000001-4", &[4])),
                "event: heartbeat\nid: 00000001-4\ndata: {\"seq\":4}\n\n",
            ),
        ] {
            assert_eq!(written, expected);
        }
        let closing = text(|out| closing(out, &"0-0", Closing::Drain, 9));
        assert!(closing.starts_with("retry: 9\nid: 0-0\ndata: {") && closing.ends_with("}\n\n"), "{closing}");
        assert!(closing.contains(r#""reason":"drain""#) && closing.matches("\n\n").count() == 1, "{closing}");
    }

    #[test]
    fn a_joined_cursor_comes_apart_again() {
        let cursor = Cursor { tag: Tag::from_random(7), seq: 3 };
        let joined = Joined([cursor, Cursor::START].into_iter()).to_string();
        assert_eq!(split_cursors(&joined, 2), [Some(cursor), Some(Cursor::START)]);
        assert_eq!(split_cursors("rubbish.0-0", 2), [None, Some(Cursor::START)]);
        for wrong in ["", "0-0", "0-0.0-0.0-0", "\0"] {
            assert_eq!(split_cursors(wrong, 2), [None, None], "{wrong:?}");
        }
    }
}
