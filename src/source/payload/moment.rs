//! The forms in which providers write times, in headers and in payloads.

use crate::payment::Time;
use serde::Deserialize;
use std::time::Duration;

/// From this number of digits on, a number in [`TimeForm::SOrMs`] is in milliseconds: as seconds, 10^12 lies in the year 33658.
const MS_DIGITS: usize = 13;

/// The longest that a time may lie ahead of our clock, where neither the preset nor the source says otherwise. Clocks that are synchronized
/// differ by far less.
pub(crate) const MAX_FUTURE: Duration = Duration::from_secs(300);

/// Returns whether a time lies ahead of another by more than a limit.
pub(crate) fn is_ahead(time: Time, of: Time, limit: Duration) -> bool {
    i128::from(time.since_ms(of)) > i128::try_from(limit.as_millis()).unwrap_or(i128::MAX)
}

/// The form in which a preset expects a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TimeForm {
    /// A whole number of seconds since 1970.
    S,
    /// A whole number of milliseconds since 1970.
    Ms,
    /// A whole number of seconds or milliseconds, told apart by its size, for providers that send both.
    SOrMs,
    /// RFC 3339, with any offset.
    Rfc3339,
    /// RFC 3339, or the same without an offset, which then means UTC.
    Rfc3339OrUtc,
    /// RFC 3339 or a whole number of seconds, for senders that are free to choose.
    Rfc3339OrS,
}

impl TimeForm {
    /// Reads a time. Returns `None` if the text is not a time in this form.
    pub(crate) fn read(self, text: &str) -> Option<Time> {
        // `i64::from_str` would also accept a sign.
        let number = || text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match self {
            Self::S => Time::from_unix_s(number()?).ok(),
            Self::Ms => Time::from_unix_ms(number()?).ok(),
            Self::SOrMs if text.len() < MS_DIGITS => Self::S.read(text),
            Self::SOrMs => Self::Ms.read(text),
            Self::Rfc3339 => text.parse().ok(),
            Self::Rfc3339OrUtc => text.parse().or_else(|_| format!("{text}Z").parse()).ok(),
            Self::Rfc3339OrS => Self::S.read(text).or_else(|| Self::Rfc3339.read(text)),
        }
    }

    /// Writes a time in this form, for signing.
    pub(crate) fn write(self, time: Time) -> String {
        match self {
            Self::S | Self::SOrMs => (time.unix_ms() / 1000).to_string(),
            Self::Ms => time.unix_ms().to_string(),
            Self::Rfc3339 | Self::Rfc3339OrUtc | Self::Rfc3339OrS => time.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_form_that_is_asked_for_and_in_no_other() {
        for (form, text, expected_ms) in [
            (TimeForm::S, "1790000000", Some(1_790_000_000_000)),
            (TimeForm::S, "+1790000000", None),
            (TimeForm::S, "-1", None),
            (TimeForm::S, "", None),
            (TimeForm::S, "99999999999999999999", None),
            (TimeForm::S, "2026-09-21T14:13:20Z", None),
            (TimeForm::Ms, "1790000000123", Some(1_790_000_000_123)),
            (TimeForm::SOrMs, "1790000000", Some(1_790_000_000_000)),
            (TimeForm::SOrMs, "1790000000123", Some(1_790_000_000_123)),
            (TimeForm::SOrMs, "soon", None),
            (TimeForm::Rfc3339, "2026-09-21T16:13:20.5+02:00", Some(1_790_000_000_500)),
            (TimeForm::Rfc3339, "1790000000", None),
            (TimeForm::Rfc3339, "2026-09-21T14:13:20", None),
            (TimeForm::Rfc3339OrUtc, "2026-09-21T14:13:20.407", Some(1_790_000_000_407)),
            (TimeForm::Rfc3339OrUtc, "2026-09-21T16:13:20+02:00", Some(1_790_000_000_000)),
            (TimeForm::Rfc3339OrUtc, "soon", None),
            (TimeForm::Rfc3339OrS, "1790000000", Some(1_790_000_000_000)),
            (TimeForm::Rfc3339OrS, "2026-09-21T14:13:20Z", Some(1_790_000_000_000)),
            (TimeForm::Rfc3339OrS, "soon", None),
        ] {
            assert_eq!(form.read(text).map(Time::unix_ms), expected_ms, "{form:?} {text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let time = Time::from_unix_s(1_790_000_000).unwrap();
        for form in [
            TimeForm::S,
            TimeForm::Ms,
            TimeForm::SOrMs,
            TimeForm::Rfc3339,
            TimeForm::Rfc3339OrUtc,
            TimeForm::Rfc3339OrS,
        ] {
            assert_eq!(form.read(&form.write(time)), Some(time), "{form:?}");
        }
    }
}
