//! The ids of held records, which tell when each of them ends.

use crate::payment::Time;
use rand::random;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// How long a body is held, and how long it is remembered what became of a record that was settled. It is longer than any provider
/// retries, and as long as the shortest history, in which a replayed event is recognised.
pub const HELD_FOR: Duration = Duration::from_secs(45 * 86_400);

/// The id of a held record: when it was made, in milliseconds since 1970, and random bits. Of its source's records no other has it. As text
/// it is 32 hexadecimal digits, and ids of later times are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HeldId {
    /// Milliseconds since 1970.
    ms: u64,
    /// Random bits.
    random: u64,
}

/// The text is no id of a held record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the id of a held record: expected 32 hexadecimal digits")]
pub struct HeldIdError;

impl HeldId {
    /// A new id.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self { ms: u64::try_from(now.unix_ms()).unwrap_or_default(), random: random() }
    }

    /// The id as bytes, in the order of the ids.
    pub(in crate::store) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.random)).to_be_bytes()
    }

    /// When the time of the record is over, in milliseconds since 1970.
    pub(in crate::store) fn ends_ms(self) -> u64 {
        self.ms.saturating_add(HELD_FOR.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for HeldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.ms, self.random)
    }
}

impl FromStr for HeldId {
    type Err = HeldIdError;

    fn from_str(text: &str) -> Result<Self, HeldIdError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(HeldIdError);
        }
        let number = |digits| u64::from_str_radix(digits, 16).map_err(|_| HeldIdError);
        let (ms, random) = text.split_at_checked(16).ok_or(HeldIdError)?;
        Ok(Self { ms: number(ms)?, random: number(random)? })
    }
}

impl TryFrom<String> for HeldId {
    type Error = HeldIdError;

    fn try_from(text: String) -> Result<Self, HeldIdError> {
        text.parse()
    }
}

impl From<HeldId> for String {
    fn from(id: HeldId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_ordered_by_time() {
        let at = |ms| HeldId::new(Time::from_unix_ms(ms).unwrap());
        let (one, other) = (at(1_790_000_000_000), at(1_790_000_000_001));
        assert_eq!(one.to_string().parse(), Ok(one));
        assert!(one < other && one.to_bytes() < other.to_bytes() && one.to_string() < other.to_string());
        for bad in ["", "1", &"g".repeat(32), &"F".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            assert_eq!(bad.parse::<HeldId>(), Err(HeldIdError), "{bad}");
        }
    }
}
