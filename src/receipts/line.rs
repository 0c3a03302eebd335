//! One moment of a receipt as the store keeps it: a line of words. Pure.
//!
//! `<word> <milliseconds since 1970> <seq>`, and behind it how many streams it was or why it ended. The lines of one stream or one process
//! are kept in one text, in the order in which they were written. A reader passes over a line that it does not understand, since a newer
//! version may have written it.

use crate::{payment::Time, redact};
use std::{collections::HashSet, fmt::Write as _, str::FromStr, sync::Arc};
use strum::{EnumString, IntoStaticStr};

/// The longest subject that is kept, in characters.
const MAX_SUBJECT: usize = 128;

/// The longest reason that is read.
const MAX_REASON: usize = 32;

/// What happened, by the word that is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReceiptWord {
    /// A node heard of an entry.
    Heard,
    /// A node wrote an entry to streams.
    FannedOut,
    /// A stream opened.
    Opened,
    /// A stream opened with the cursor of an earlier one.
    Resumed,
    /// A stream was told the whole payment.
    Snapshot,
    /// A stream was told of one entry.
    Update,
    /// The page says that it has shown an entry.
    Shown,
    /// A stream ended.
    Closed,
}

/// Who reads a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReceiptReader {
    /// The `sub` of its token.
    pub subject: Option<Arc<str>>,
    /// A digest of its token.
    pub token: Option<u64>,
}

/// Whose moments are kept in one text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReceiptKeeper {
    /// A process of the gateway.
    Node(String),
    /// Streams whose tokens have this `sub`, in which card numbers are masked.
    Subject(String),
    /// Streams of the token with this digest.
    Token(u64),
    /// Streams without a token.
    Anonymous,
}

/// One moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptMoment {
    /// What happened.
    pub word: ReceiptWord,
    /// When.
    pub at: Time,
    /// The entry that it is about, or the last one that the client has; 0 for none.
    pub seq: u64,
    /// To how many streams a node wrote the entry.
    pub streams: Option<u32>,
    /// Why a stream was closed.
    pub reason: Option<String>,
}

impl ReceiptKeeper {
    /// Who keeps what is noted of a reader.
    #[must_use]
    pub fn of(reader: &ReceiptReader) -> Self {
        match (&reader.subject, reader.token) {
            // A shop may use anything as a subject, and what is kept must hold no card number.
            (Some(subject), _) => Self::Subject(redact::text(subject, MAX_SUBJECT)),
            (None, Some(token)) => Self::Token(token),
            (None, None) => Self::Anonymous,
        }
    }

    /// Whether it is a process, and no stream.
    #[must_use]
    pub const fn is_node(&self) -> bool {
        matches!(self, Self::Node(_))
    }

    /// The name under which the text is kept.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::Node(node) => format!("node:{node}"),
            stream => stream.id(),
        }
    }

    /// The id of the stream within its payment, as operators see it; for a process, its name.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Node(node) => node.clone(),
            Self::Subject(subject) => format!("sub:{subject}"),
            Self::Token(token) => format!("token:{token:016x}"),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }

    /// The keeper of a name; nothing for one that only another version knows.
    #[must_use]
    pub fn from_field(field: &str) -> Option<Self> {
        match field.split_once(':') {
            Some(("node", node)) => Some(Self::Node(node.to_owned())),
            Some(("sub", subject)) => Some(Self::Subject(subject.to_owned())),
            Some(("token", token)) => u64::from_str_radix(token, 16).ok().map(Self::Token),
            None if field == "anonymous" => Some(Self::Anonymous),
            _ => None,
        }
    }
}

impl ReceiptMoment {
    /// Adds the line of the moment.
    pub(super) fn write_to(&self, text: &mut String) {
        let word: &str = self.word.into();
        // Writing to a string does not fail.
        let _ = write!(text, "{word} {} {}", self.at.unix_ms(), self.seq);
        if let Some(streams) = self.streams {
            let _ = write!(text, " {streams}");
        }
        if let Some(reason) = &self.reason {
            let _ = write!(text, " {reason}");
        }
        text.push('\n');
    }
}

impl FromStr for ReceiptMoment {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or(());
        let word: ReceiptWord = next()?.parse().map_err(drop)?;
        let ms: i64 = next()?.parse().map_err(drop)?;
        let seq = next()?.parse().map_err(drop)?;
        let rest = words.next();
        let streams = rest.filter(|_| word == ReceiptWord::FannedOut).and_then(|rest| rest.parse().ok());
        let reason = rest.filter(|rest| word == ReceiptWord::Closed && rest.len() <= MAX_REASON);
        let at = Time::from_unix_ms(ms).map_err(drop)?;
        Ok(Self { word, at, seq, streams, reason: reason.map(str::to_owned) })
    }
}

/// The moments of a text, each once: a write whose answer was lost may have been made twice.
#[must_use]
pub fn moments(text: &str) -> Vec<ReceiptMoment> {
    let mut known = HashSet::new();
    text.lines().filter(|line| known.insert(*line)).filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_was_written_and_what_is_unknown_is_passed_over() {
        let at = Time::from_unix_ms(1_800_000_000_123).unwrap();
        let moment = |word, streams, reason: Option<&str>| ReceiptMoment {
            word,
            at,
            seq: 4,
            streams,
            reason: reason.map(str::to_owned),
        };
        let written = [
            moment(ReceiptWord::Opened, None, None),
            moment(ReceiptWord::FannedOut, Some(3), None),
            moment(ReceiptWord::Closed, None, Some("max_age")),
        ];
        let mut text = String::new();
        written.iter().for_each(|moment| moment.write_to(&mut text));
        assert_eq!(
            text,
            "opened 1800000000123 4\nfanned_out 1800000000123 4 3\nclosed 1800000000123 4 max_age\n"
        );
        let twice = format!("{text}danced 1800000000123 4\nopened soon 4\nopened\n\n{text}");
        assert_eq!(moments(&twice), written);
    }

    #[test]
    fn a_keeper_is_read_back_by_its_name_and_holds_no_card_number() {
        let reader = |subject: Option<&str>, token| ReceiptReader { subject: subject.map(Into::into), token };
        for (reader, field) in [
            (reader(Some("customer:9"), Some(7)), "sub:customer:9"),
            (reader(None, Some(7)), "token:0000000000000007"),
            (reader(None, None), "anonymous"),
            (reader(Some("node:x"), None), "sub:node:x"),
        ] {
            let keeper = ReceiptKeeper::of(&reader);
            assert_eq!(keeper.field(), field);
            assert_eq!(ReceiptKeeper::from_field(field), Some(keeper));
        }
        assert_eq!(ReceiptKeeper::from_field("else:1"), None);
        let masked = ReceiptKeeper::of(&reader(Some("4111 1111 1111 1111"), None)).field();
        assert!(!masked.contains("4111 1111"), "{masked}");
    }
}
