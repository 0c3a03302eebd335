//! Durations as they are written in the configuration: `250ms`, `15s`, `30m`, `24h`, `180d`.

use std::time::Duration;

/// Describes what is allowed, for messages.
pub const ALLOWED: &str = "a whole number and a unit (ms, s, m, h or d), e.g. \"15s\"";

/// One hour.
pub const HOUR: Duration = Duration::from_secs(60 * 60);

/// One day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The text is not a duration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is not a duration; allowed: {ALLOWED}")]
pub struct DurationError;

/// Parses a whole number and a unit.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at_checked(digits).ok_or(DurationError)?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError)?;
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    number.checked_mul(*unit_ms).map(Duration::from_millis).ok_or(DurationError)
}

/// Writes a duration with the largest unit that gives a whole number.
#[must_use]
pub fn show(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let (name, unit_ms) =
        UNITS.iter().rev().find(|(_, unit_ms)| ms > 0 && ms % unit_ms == 0).unwrap_or(&("s", 1000));
    format!("{}{name}", ms / unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, ms) in [
            ("250ms", 250),
            ("15s", 15_000),
            ("90s", 90_000),
            ("30m", 1_800_000),
            ("1d", 86_400_000),
            ("180d", 180 * 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
        for bad in [
            "",
            "15",
            "s",
            "1.5s",
            "-1s",
            " 1s",
            "1 s",
            "1w",
            "15S",
            "99999999999999999999s",
            "9999999999999999d",
            "½s",
        ] {
            assert_eq!(parse(bad), Err(DurationError), "{bad}");
        }
    }
}
