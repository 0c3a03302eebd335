//! The SSE wire: how each event of a stream is spelled. Pure: bytes in, bytes out.
//!
//! State travels in unnamed events, so a page needs no more than `onmessage`. Every event has an `id:`, the stream's cursors
//! joined by dots. `retry:` stands in the block of an event or alone with one newline, since a blank line after it, or after a
//! comment, fires an empty message in a popular client.

use super::reason::{Closing, Reset};
use crate::{
    hub::{Changes, Page, WIRE_VERSION},
    payment::{Cursor, Name, Time},
};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;
use std::{
    borrow::Cow,
    fmt::{Display, Write},
};

/// Writes text to the output; this cannot fail.
struct Text<'a>(&'a mut BytesMut);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // `Text` never fails, and neither does `Display` of the integers, strings and JSON that are written to it.
    let _ = Text(out).write_fmt(text);
}

/// Writes `retry:` with the delay in milliseconds after which this client may come back.
pub(super) fn retry(out: &mut BytesMut, ms: u64) {
    put(out, format_args!("retry: {ms}\n"));
}

/// Writes one update. `json` is its object without the closing brace; `is_last` says that no newer event is known.
pub(super) fn update(out: &mut BytesMut, id: &impl Display, json: &[u8], is_last: bool) {
    let end = if is_last { UP_TO_DATE } else { r#","up_to_date":false}"# };
    message(out, id, json, end);
}

/// Writes a snapshot. `json` is its object without the closing brace; `asked` is the label by which the payment was asked for, if it was;
/// `reset` says why the client's cursor cannot be honoured, if it sent one, or that there is a label.
pub(super) fn snapshot(
    out: &mut BytesMut,
    id: &impl Display,
    json: &[u8],
    asked: Option<&Name>,
    reset: Option<Reset>,
) {
    message(out, id, json, snapshot_end(asked, reset));
}

/// The end of a snapshot's object.
pub(super) fn snapshot_end(asked: Option<&Name>, reset: Option<Reset>) -> Cow<'static, str> {
    if asked.is_none() && reset.is_none() {
        return UP_TO_DATE.into();
    }
    // An id may hold quotes, which JSON escapes.
    let asked = asked.map(|asked| format!(r#","asked":{}"#, json!(asked))).unwrap_or_default();
    let reason = reset.map(|reset| format!(r#","reason":"{}""#, reset.as_str())).unwrap_or_default();
    format!("{asked}{reason}{UP_TO_DATE}").into()
}

/// The end of a snapshot's or update's object after which no newer event is known.
const UP_TO_DATE: &str = r#","up_to_date":true}"#;

/// Writes an unnamed event: an object without its end, and the end.
fn message(out: &mut BytesMut, id: &impl Display, json: &[u8], end: impl Display) {
    put(out, format_args!("id: {id}\ndata: "));
    out.put_slice(json);
    put(out, format_args!("{end}\n\n"));
}

/// Writes an unnamed event: a whole object.
fn whole(out: &mut BytesMut, id: &impl Display, json: &serde_json::Value) {
    message(out, id, &[], json);
}

/// Writes that the client has missed nothing up to `seq`.
pub(super) fn ready(out: &mut BytesMut, id: &impl Display, payment: &Name, asked: Option<&Name>, seq: u64) {
    let mut json =
        json!({"v": WIRE_VERSION, "type": "ready", "payment": payment, "seq": seq, "up_to_date": true});
    if let (Some(asked), Some(object)) = (asked, json.as_object_mut()) {
        object.insert("asked".to_owned(), json!(asked));
    }
    whole(out, id, &json);
}

/// Writes that the store is lost, or back.
pub(super) fn stale(out: &mut BytesMut, id: &impl Display, is_stale: bool) {
    whole(out, id, &json!({"v": WIRE_VERSION, "type": "stale", "stale": is_stale}));
}

/// Writes the last event of a stream, with the delay after which this client may come back.
pub(super) fn closing(out: &mut BytesMut, id: &impl Display, why: Closing, retry_ms: u64) {
    retry(out, retry_ms);
    whole(out, id, &json!({"v": WIRE_VERSION, "type": "closing", "reason": why.as_str()}));
}

/// Writes the last event of a stream that an operator ends, with what the operator says.
pub(super) fn dismissed(out: &mut BytesMut, id: &impl Display, why: &str, retry_ms: u64) {
    retry(out, retry_ms);
    let reason = Closing::Operator.as_str();
    whole(out, id, &json!({"v": WIRE_VERSION, "type": "closing", "reason": reason, "detail": why}));
}

/// Writes a heartbeat that scripts cannot see: one comment line, and no blank line after it.
pub(super) fn comment_heartbeat(out: &mut BytesMut) {
    out.put_slice(b":\n");
}

/// Writes a heartbeat for pages that watch for half-open connections. Its `seq` is a number or, on a stream of several
/// payments, a list in the order of the request.
pub(super) fn event_heartbeat(out: &mut BytesMut, id: &impl Display, seqs: &[u64]) {
    let seq = match seqs {
        [one] => json!(one),
        several => json!(several),
    };
    let json = json!({"seq": seq});
    put(out, format_args!("event: heartbeat\nid: {id}\ndata: {json}\n\n"));
}

/// Writes a heartbeat for pages that watch for half-open connections, on a stream of all payments.
pub(super) fn bare_heartbeat(out: &mut BytesMut, id: &impl Display) {
    put(out, format_args!("event: heartbeat\nid: {id}\ndata: {{}}\n\n"));
}

/// Writes a page of all payments. `restart` says why the client has to begin anew, if it was here before.
pub(super) fn page(out: &mut BytesMut, id: &impl Display, page: &Page, restart: Option<&str>) {
    let Page { payments, next, complete_since } = page;
    begin_list(out, id, "page");
    list(out, payments);
    let next = next.as_ref().map(ToString::to_string);
    put(out, format_args!(r#","next":{},"complete_since":{}"#, json!(next), json!(complete_since)));
    if let Some(restart) = restart {
        put(out, format_args!(r#","reason":"{restart}""#));
    }
    put(out, format_args!("{UP_TO_DATE}\n\n"));
}

/// Writes what has changed of all payments.
pub(super) fn changes(out: &mut BytesMut, id: &impl Display, changes: &Changes) {
    let Changes { payments, gone, complete_since, is_all } = changes;
    begin_list(out, id, "changes");
    list(out, payments);
    let (gone, since) = (json!(gone), json!(complete_since));
    put(out, format_args!(r#","gone":{gone},"complete_since":{since},"up_to_date":{is_all}}}"#));
    out.put_slice(b"\n\n");
}

/// Writes that the client has missed nothing of all payments.
pub(super) fn nothing_missed(out: &mut BytesMut, id: &impl Display, complete_since: Option<Time>) {
    let json =
        json!({"v": WIRE_VERSION, "type": "ready", "complete_since": complete_since, "up_to_date": true});
    whole(out, id, &json);
}

fn begin_list(out: &mut BytesMut, id: &impl Display, kind: &str) {
    put(out, format_args!("id: {id}\ndata: {{\"v\":{WIRE_VERSION},\"type\":\"{kind}\",\"payments\":"));
}

/// Writes a list of objects that are JSON already.
pub(crate) fn list(out: &mut BytesMut, objects: &[Bytes]) {
    for (index, object) in objects.iter().enumerate() {
        out.put_u8(if index == 0 { b'[' } else { b',' });
        out.put_slice(object);
    }
    out.put_slice(if objects.is_empty() { b"[]" } else { b"]" });
}

/// Displays cursors joined by dots, in the order of the request: the `id:` of a stream.
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

/// Splits what a client sent as its last event id into one cursor for each of `count` payments; `None` for each part that is
/// no cursor. Another number of parts gives no cursor at all.
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
    fn every_event_is_spelled_as_promised() {
        let cursors = [Cursor { tag: Tag::from_random(1), seq: 4 }, Cursor::START];
        let id = Joined(cursors.iter().copied());
        for (written, expected) in [
            (text(|out| retry(out, 2731)), "retry: 2731\n"),
            (
                text(|out| update(out, &id, br#"{"seq":4"#, true)),
                "id: 00000001-4.0-0\ndata: {\"seq\":4,\"up_to_date\":true}\n\n",
            ),
            (
                text(|out| update(out, &"0-0", br#"{"seq":4"#, false)),
                "id: 0-0\ndata: {\"seq\":4,\"up_to_date\":false}\n\n",
            ),
            (
                text(|out| snapshot(out, &"0-0", br#"{"seq":4"#, None, Some(Reset::RolledBack))),
                "id: 0-0\ndata: {\"seq\":4,\"reason\":\"rolled_back\",\"up_to_date\":true}\n\n",
            ),
            (
                text(|out| stale(out, &"0-0", true)),
                "id: 0-0\ndata: {\"stale\":true,\"type\":\"stale\",\"v\":1}\n\n",
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
