//! Parses server-sent events as the HTML standard defines them (section 9.2.6). The chunks may be cut anywhere.

/// One event of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ServerSentEvent {
    /// The value of its `event:` line; empty if it has none.
    pub(super) name: String,
    /// The values of its `data:` lines, joined by line breaks.
    pub(super) data: String,
}

/// The longest event that is accepted, in bytes. A snapshot has at most 512 timeline entries of about 300 bytes each, 154 kB.
const MAX_BYTES: usize = 4 << 20;

/// A line or an event of the stream is longer than the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the stream sent an event of more than {MAX_BYTES} bytes")]
pub(super) struct TooLong;

/// The parser of one connection. For the next connection, only [`EventParser::last_id`] is kept.
#[derive(Debug, Default)]
pub(super) struct EventParser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    event: ServerSentEvent,
    has_data: bool,
    id: Option<String>,
    /// The id of the last complete event.
    pub(super) last_id: Option<String>,
    /// The delay before a reconnect that the gateway asked for, in milliseconds.
    pub(super) retry_ms: Option<u64>,
}

impl EventParser {
    /// A parser for a connection that continues after the event `last_id`.
    pub(super) fn after(last_id: Option<String>) -> Self {
        Self { last_id, ..Self::default() }
    }

    /// Reads a chunk and returns the events that it completes.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<Vec<ServerSentEvent>, TooLong> {
        let mut events = Vec::new();
        for &byte in chunk {
            let follows_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if follows_cr => (),
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    events.extend(self.end_line());
                }
                byte => self.line.push(byte),
            }
            if self.line.len() + self.event.data.len() > MAX_BYTES {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<ServerSentEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let first = !std::mem::replace(&mut self.begun, true);
        let line = if first { line.trim_start_matches('\u{feff}') } else { &line };
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            _ => (),
        }
        None
    }

    fn end_event(&mut self) -> Option<ServerSentEvent> {
        if let Some(id) = &self.id {
            self.last_id = Some(id.clone());
        }
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Vec<(String, String)>, EventParser) {
        let mut parser = EventParser::default();
        let events = parser.feed(text.as_bytes()).unwrap();
        (events.into_iter().map(|event| (event.name, event.data)).collect(), parser)
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (text, expected) in [
            ("data: a\n\n", vec![("", "a")]),
            ("data:a\r\n\r\n", vec![("", "a")]),
            ("data: a\r\rdata: b\r\r", vec![("", "a"), ("", "b")]),
            ("data: a\ndata: b\n\n", vec![("", "a\nb")]),
            ("data\n\n", vec![("", "")]),
            ("\u{feff}data: a\n\n", vec![("", "a")]),
            ("event: heartbeat\ndata: {}\n\n", vec![("heartbeat", "{}")]),
            (":comment\n\nid: 1\n\nretry: 5\n\n", vec![]),
            ("data:  two spaces\n\n", vec![("", " two spaces")]),
            ("data: unfinished", vec![]),
            ("data: unfinished\n", vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(n, d)| (n.to_owned(), d.to_owned())).collect();
            assert_eq!(read(text).0, expected, "{text:?}");
        }
    }

    #[test]
    fn ids_and_retry_are_kept() {
        let (_, parser) = read("retry: 2731\nid: a-1\ndata: x\n\nid: a-2\ndata: cut off");
        assert_eq!((parser.last_id.as_deref(), parser.retry_ms), (Some("a-1"), Some(2731)));
        let (_, parser) = read("retry: soon\nretry: -1\nretry:\nid: a\0b\ndata: x\n\n");
        assert_eq!((parser.last_id, parser.retry_ms), (None, None));
    }

    #[test]
    fn a_stream_without_end_is_refused() {
        let mut parser = EventParser::default();
        assert_eq!(parser.feed(&vec![b'x'; MAX_BYTES + 1]), Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_chunks_are_cut_changes_nothing(text in "(data: x|id: 1|event: e|:|\r|\n|\r\n|é){0,40}", at in 0_usize..200) {
            let whole = EventParser::default().feed(text.as_bytes()).unwrap();
            let (first, second) = text.as_bytes().split_at(at.min(text.len()));
            let mut parser = EventParser::default();
            let mut parts = parser.feed(first).unwrap();
            parts.extend(parser.feed(second).unwrap());
            prop_assert_eq!(parts, whole);
        }
    }
}
