//! How often each token may do something that is not limited otherwise.

use crate::tally::Holder;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time over which it is counted.
const WINDOW: Duration = Duration::from_secs(10);

/// How often each holder may within that time.
const TIMES: u32 = 20;

/// The most holders that are counted at once: some 3 MB. Further ones have to wait.
const HOLDERS: usize = 100_000;

/// Counts what each holder does.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// When it began.
    began: Option<Instant>,
    /// How often each holder has done it since.
    times: HashMap<Holder, u32>,
}

/// The holder does it too often. It may again after this time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooOften(pub(super) Duration);

impl Pace {
    /// Lets `holder` do it once at the time `now`. Without a holder, nothing is counted.
    pub(super) fn admit(&self, holder: Option<Holder>, now: Instant) -> Result<(), TooOften> {
        let Some(holder) = holder else { return Ok(()) };
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = window.began.map(|began| now.saturating_duration_since(began)).filter(|age| *age < WINDOW);
        if age.is_none() {
            *window = Window { began: Some(now), times: HashMap::new() };
        }
        let too_often = TooOften(WINDOW.saturating_sub(age.unwrap_or_default()).max(Duration::from_secs(1)));
        if window.times.len() >= HOLDERS && !window.times.contains_key(&holder) {
            return Err(too_often);
        }
        let times = window.times.entry(holder).or_default();
        *times += 1;
        if *times > TIMES { Err(too_often) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_its_own_pace_and_a_bounded_number_is_counted() {
        let (pace, start) = (Pace::default(), Instant::now());
        let admitted = |holder: u64, times: u32, at_s| {
            let now = start + Duration::from_secs(at_s);
            (0..times).filter(|_| pace.admit(Some(Holder::new(holder)), now).is_ok()).count()
        };
        assert_eq!(admitted(1, 50, 0), 20);
        assert_eq!(admitted(2, 3, 1), 3, "another one is not held up");
        assert_eq!(pace.admit(Some(Holder::new(1)), start), Err(TooOften(WINDOW)));
        assert_eq!(admitted(1, 50, 10), 20, "after the window it may again");
        let many = (0..HOLDERS as u64 + 9).filter(|holder| admitted(*holder + 100, 1, 30) == 1).count();
        assert_eq!(many, HOLDERS);
        assert!(pace.admit(None, start).is_ok());
    }
}
