//! The event stream parser of the WHATWG HTML standard, section 9.2.6, which also keeps the raw lines.
//!
//! Two things are reported that a browser would not show: comments, and events whose data is empty (a browser only
//! commits their id). The gateway's heartbeats and frames are judged by exactly these.

use std::mem;

/// What the parser reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A line that starts with a colon, without its line end.
    Comment(String),
    /// A `retry:` line with digits, in milliseconds. It is reported at once, because it takes effect at once.
    Retry(u64),
    /// A blank line, with the fields that stood before it.
    Event(Event),
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// The last event id when this event ends. An earlier event may have set it.
    pub id: String,
    /// The event's type; `message` if the event names none.
    pub kind: String,
    /// The data lines, joined by newlines. A browser dispatches the event only if this is not empty.
    pub data: String,
    /// All lines since the last blank line, including comments, without line ends.
    pub lines: Vec<String>,
}

/// The parser. It takes bytes in pieces of any size and reports items as soon as they are complete.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    /// Whether the last byte was a CR. A LF that follows belongs to it.
    after_cr: bool,
    started: bool,
    last_id: String,
    kind: String,
    data: Option<String>,
    lines: Vec<String>,
}

impl Parser {
    /// Parses bytes, and appends the items that they complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Item>) {
        for byte in bytes {
            match byte {
                b'\n' if mem::take(&mut self.after_cr) => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    let line = mem::take(&mut self.line);
                    self.take_line(&String::from_utf8_lossy(&line), out);
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(*byte);
                }
            }
        }
    }

    /// Whether the bytes so far end between events, so that a lost connection would discard nothing.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        self.line.is_empty() && self.data.is_none() && self.kind.is_empty()
    }

    fn take_line(&mut self, line: &str, out: &mut Vec<Item>) {
        let line = if mem::replace(&mut self.started, true) {
            line
        } else {
            line.strip_prefix('\u{feff}').unwrap_or(line)
        };
        if line.is_empty() {
            out.push(Item::Event(self.commit()));
            return;
        }
        self.lines.push(line.to_owned());
        if line.starts_with(':') {
            out.push(Item::Comment(line.to_owned()));
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_id),
            "event" => value.clone_into(&mut self.kind),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                if let Ok(ms) = value.parse() {
                    out.push(Item::Retry(ms));
                }
            }
            _ => {}
        }
    }

    fn commit(&mut self) -> Event {
        let kind = mem::take(&mut self.kind);
        Event {
            id: self.last_id.clone(),
            kind: if kind.is_empty() { "message".to_owned() } else { kind },
            data: self.data.take().unwrap_or_default(),
            lines: mem::take(&mut self.lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, step: usize) -> Vec<Item> {
        let (mut parser, mut items) = (Parser::default(), Vec::new());
        text.as_bytes().chunks(step).for_each(|bytes| parser.push(bytes, &mut items));
        items
    }

    fn event(id: &str, kind: &str, data: &str, lines: &[&str]) -> Item {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Item::Event(Event { id: id.to_owned(), kind: kind.to_owned(), data: data.to_owned(), lines })
    }

    #[test]
    fn streams_are_read_as_the_standard_says() {
        let comment = |text: &str| Item::Comment(text.to_owned());
        for (text, expected) in [
            (
                "data: a\ndata\ndata:b\n\n",
                vec![event("", "message", "a\n\nb", &["data: a", "data", "data:b"])],
            ),
            ("\u{feff}data:  x\r\n\r\n", vec![event("", "message", " x", &["data:  x"])]),
            ("id: 7\n\n", vec![event("7", "message", "", &["id: 7"])]),
            (
                "id: 7\ndata: a\n\ndata: b\n\n",
                vec![
                    event("7", "message", "a", &["id: 7", "data: a"]),
                    event("7", "message", "b", &["data: b"]),
                ],
            ),
            ("id: 7\0\ndata: a\n\n", vec![event("", "message", "a", &["id: 7\0", "data: a"])]),
            (
                "event: heartbeat\ndata: {}\n\n",
                vec![event("", "heartbeat", "{}", &["event: heartbeat", "data: {}"])],
            ),
            (":\n:\n", vec![comment(":"), comment(":")]),
            ("retry: 12\n: hi\n", vec![Item::Retry(12), comment(": hi")]),
            ("retry: 1s\nretry: -1\nretry:\n", vec![]),
            ("data: cut off\n", vec![]),
            (
                "data: a\r\rdata: b\r\n\r\n",
                vec![event("", "message", "a", &["data: a"]), event("", "message", "b", &["data: b"])],
            ),
        ] {
            for step in [1, 3, 1000] {
                assert_eq!(parse(text, step), expected, "{text:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn half_an_event_is_told_from_a_whole_one() {
        for (text, whole) in [
            ("", true),
            (":\n", true),
            ("retry: 5\n", true),
            ("id: 1\ndata: a\n\n", true),
            ("id: 1\ndata: a\n", false),
            ("data: a", false),
            ("event: x\n", false),
        ] {
            let mut parser = Parser::default();
            parser.push(text.as_bytes(), &mut Vec::new());
            assert_eq!(parser.is_between_events(), whole, "{text:?}");
        }
    }
}
