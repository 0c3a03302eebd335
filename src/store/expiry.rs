//! How long what operators look at is kept.

use crate::payment::Time;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// How long a record of a delivery is kept: as long as the shortest history of a payment.
pub(super) const DELIVERIES_KEPT: Duration = DAY.saturating_mul(45);

/// How long an entry of the audit trail is kept: a year, and what it takes to look at it.
const AUDIT_KEPT: Duration = DAY.saturating_mul(400);

/// What is too old to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// Records of deliveries of before this time.
    pub deliveries: Time,
    /// Entries of the audit trail of before this time.
    pub audit: Time,
}

impl Expiry {
    /// What is too old at a time.
    #[must_use]
    pub fn at(now: Time) -> Self {
        let before = |kept: Duration| {
            let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            Time::from_unix_ms(now.unix_ms().saturating_sub(kept)).unwrap_or_default()
        };
        Self { deliveries: before(DELIVERIES_KEPT), audit: before(AUDIT_KEPT) }
    }
}
