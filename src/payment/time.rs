//! Times: UTC, in milliseconds since 1970-01-01, written as RFC 3339.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A moment in UTC with millisecond precision. Text form: `2026-11-22T10:15:30.000Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(i64);

/// The text or number is not a time between the years 1970 and 9998.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time between the years 1970 and 9998")]
pub struct TimeError;

/// 9998-12-31T23:59:59.999Z: the last hours of the year 9999 are beyond what the time library can write.
const LAST_MS: i64 = 253_370_764_799_999;

impl Time {
    /// The last time that there is.
    #[cfg(any(test, fuzzing))]
    pub(crate) const LAST: Self = Self(LAST_MS);

    /// The time this many milliseconds after the epoch; an error outside the years 1970 to 9998.
    pub fn from_unix_ms(ms: i64) -> Result<Self, TimeError> {
        if (0..=LAST_MS).contains(&ms) { Ok(Self(ms)) } else { Err(TimeError) }
    }

    /// The time this many seconds after the epoch; an error outside the years 1970 to 9998.
    pub fn from_unix_s(s: i64) -> Result<Self, TimeError> {
        Self::from_unix_ms(s.checked_mul(1000).ok_or(TimeError)?)
    }

    /// The milliseconds since the epoch.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// The milliseconds from `earlier` to `self`; negative if `self` is the earlier one.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{stamp:.3}")
    }
}

impl FromStr for Time {
    type Err = TimeError;

    /// Reads RFC 3339 with any offset and cuts off a fraction finer than milliseconds.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let stamp: Timestamp = text.trim().parse().map_err(|_| TimeError)?;
        Self::from_unix_ms(stamp.as_millisecond())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339_in_utc() {
        for (input, expected) in [
            ("2026-11-22T10:15:30Z", "2026-11-22T10:15:30.000Z"),
            ("2026-11-22T10:15:30.1239Z", "2026-11-22T10:15:30.123Z"),
            ("2026-11-22T12:15:30+02:00", "2026-11-22T10:15:30.000Z"),
            (" 2026-11-22 10:15:30.5Z ", "2026-11-22T10:15:30.500Z"),
        ] {
            assert_eq!(input.parse::<Time>().unwrap().to_string(), expected, "{input}");
        }
        for bad in ["", "yesterday", "2026-11-22", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(bad.parse::<Time>(), Err(TimeError), "{bad}");
        }
        assert_eq!(Time::from_unix_s(i64::MAX), Err(TimeError));
    }

    #[test]
    fn every_time_can_be_written_and_read_again() {
        for ms in [0, 1, 999, LAST_MS - 1, LAST_MS] {
            let time = Time::from_unix_ms(ms).unwrap();
            assert_eq!(time.to_string().parse(), Ok(time));
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{time}\""));
        }
        // 9999-12-31T23:59:59Z was accepted once, and writing it then failed.
        assert_eq!(Time::from_unix_s(253_402_300_799), Err(TimeError));
        assert_eq!(Time::from_unix_ms(LAST_MS + 1), Err(TimeError));
        assert_eq!("9999-12-30T00:00:00Z".parse::<Time>(), Err(TimeError));
    }
}
