//! How providers write times, in headers and in payloads.

use crate::payment::Time;
use serde::Deserialize;

/// From so many digits on a number of either unit is one of milliseconds: as seconds, 10^12 lies in the year 33658.
const MS_DIGITS: usize = 13;

/// The closed set of forms in which a preset may expect a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TimeForm {
    /// Whole seconds since 1970.
    S,
    /// Whole milliseconds since 1970.
    Ms,
    /// Whole seconds or milliseconds, told apart by their size: for providers that send either.
    SOrMs,
    /// RFC 3339 with any offset.
    Rfc3339,
    /// RFC 3339, or the same without an offset, which is then UTC's.
    Rfc3339OrUtc,
    /// Either RFC 3339 or whole seconds: for senders that we do not want to argue with.
    Rfc3339OrS,
}

impl TimeForm {
    /// Reads a time, or nothing if the text is none in this form.
    pub(crate) fn read(self, text: &str) -> Option<Time> {
        // `i64::from_str` would take a sign too.
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

    /// Writes a time, for signing.
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
