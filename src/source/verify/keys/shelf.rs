//! The memory of a ring: keys that were fetched, keys that are being fetched, and names without a key. It is pure: the caller says
//! what time it is.

use super::{
    budget::{Budget, MAX_FETCHES},
    key::{FetchedKey, NoKey},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The most names that are remembered. A provider has one or two keys in use; strangers made up the others.
const MAX_SLOTS: usize = 256;

// A key that is being fetched cannot be dropped. No fetch takes a minute, so there is always another slot that can be.
const _: () = assert!(MAX_FETCHES < MAX_SLOTS, "a full shelf may hold nothing but what is being fetched");

/// How long a name stays refused. So a key that its provider names before publishing it is accepted a minute later.
const REFUSED: Duration = Duration::from_secs(60);

/// How long a failed fetch is not repeated. This makes six fetches a minute, which leaves some of the budget for other keys.
const FAILED: Duration = Duration::from_secs(10);

/// How long until a held key is fetched again after a fetch that may have failed. No other bound is needed: these are at most
/// [`MAX_SLOTS`] requests in ten minutes, and in practice those of one or two keys, since only keys that the provider handed out are
/// held. So they do not count against the budget for unknown keys, and unknown keys cannot use up theirs.
const RETRY: Duration = Duration::from_secs(600);

/// How a key ages.
#[derive(Clone, Copy)]
pub(super) struct Ageing {
    /// The age at which a key is fetched again. The old key stays in use meanwhile.
    pub(super) refresh: Duration,
    /// The age at which a key that could not be fetched again is no longer used.
    pub(super) end: Duration,
}

/// The result of a fetch, for the deliveries that wait for it; `None` until the fetch ends.
pub(super) type Fetched = Option<Result<Arc<FetchedKey>, NoKey>>;

/// The memory of one ring, of at most [`MAX_SLOTS`] names.
#[derive(Default)]
pub(super) struct Shelf {
    /// What is known about each name.
    slots: HashMap<Box<str>, Slot>,
    /// The budget for fetches of unknown keys.
    budget: Budget,
}

/// What is known about one name.
struct Slot {
    /// The state of the name's key.
    state: State,
    /// When a request last named it.
    used: Instant,
}

/// The state of a name's key.
enum State {
    /// The key is being fetched.
    Asked(watch::Receiver<Fetched>),
    /// The key was fetched. If it ages, it is due again.
    Held(Arc<FetchedKey>, Option<Due>),
    /// The fetch failed, and is not repeated before this time.
    Missed { why: NoKey, until: Instant },
}

/// The times of a key that ages.
struct Due {
    /// When the key is fetched again.
    refresh: Instant,
    /// When the key is no longer used.
    end: Instant,
}

/// The result of looking a name up.
pub(super) enum Look {
    /// There is a key.
    Held(Arc<FetchedKey>),
    /// There is a key. The caller may use it, and has to fetch it again.
    Stale(Arc<FetchedKey>),
    /// The key is being fetched. The receiver gets the result.
    Asked(watch::Receiver<Fetched>),
    /// There is nothing yet. The caller has to fetch the key, and send the result to all that wait for it.
    Missing(watch::Sender<Fetched>, watch::Receiver<Fetched>),
    /// There is no key.
    No(NoKey),
}

impl Shelf {
    /// Looks up a name that a request of `peer` uses. A key that the caller has to fetch counts as being fetched from now on.
    pub(super) fn look(&mut self, name: &str, peer: Option<IpAddr>, now: Instant) -> Look {
        if let Some(slot) = self.slots.get_mut(name) {
            slot.used = now;
            match &mut slot.state {
                State::Held(_, Some(due)) if due.end <= now => {}
                State::Held(key, Some(due)) if due.refresh <= now => {
                    due.refresh = now + RETRY;
                    return Look::Stale(Arc::clone(key));
                }
                State::Held(key, _) => return Look::Held(Arc::clone(key)),
                State::Missed { why, until } if now < *until => return Look::No(*why),
                // If the sender is gone, a fetch ended without a result because of a defect, and does not count.
                State::Asked(receiver) if receiver.has_changed().is_ok() => {
                    return Look::Asked(receiver.clone());
                }
                State::Missed { .. } | State::Asked(_) => {}
            }
        }
        if !self.budget.admit(peer, now) {
            return Look::No(NoKey::TooMany);
        }
        self.make_room();
        let (sender, receiver) = watch::channel(None);
        let state = State::Asked(receiver.clone());
        self.slots.insert(name.into(), Slot { state, used: now });
        Look::Missing(sender, receiver)
    }

    /// Stores the result of a fetch.
    pub(super) fn put(
        &mut self,
        name: &str,
        fetched: &Result<Arc<FetchedKey>, NoKey>,
        now: Instant,
        ageing: Option<Ageing>,
    ) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        slot.state = match (fetched, &slot.state) {
            (Ok(key), _) => {
                let due =
                    ageing.map(|Ageing { refresh, end }| Due { refresh: now + refresh, end: now + end });
                State::Held(Arc::clone(key), due)
            }
            // A key of yesterday is better than none.
            (Err(NoKey::Unavailable | NoKey::TooMany), State::Held(..)) => return,
            (Err(why @ NoKey::Refused(_)), _) => State::Missed { why: *why, until: now + REFUSED },
            (Err(why), _) => State::Missed { why: *why, until: now + FAILED },
        };
    }

    /// Makes room for one name if the shelf is full. Drops a name without a key before one with a key, and among these the one that
    /// was used least recently. Keys that are being fetched stay.
    fn make_room(&mut self) {
        if self.slots.len() < MAX_SLOTS {
            return;
        }
        let idle = self.slots.iter().filter(|(_, slot)| !matches!(slot.state, State::Asked(_)));
        let least = idle.min_by_key(|(_, slot)| (matches!(slot.state, State::Held(..)), slot.used));
        if let Some(name) = least.map(|(name, _)| name.clone()) {
            self.slots.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::verify::{Rejection, keys::tests::key};

    const DAY_S: u64 = 86_400;
    const AGEING: Option<Ageing> =
        Some(Ageing { refresh: Duration::from_secs(DAY_S), end: Duration::from_secs(7 * DAY_S) });
    const NO: NoKey = NoKey::Refused(Rejection::UntrustedKey);

    fn word(look: &Look) -> &'static str {
        match look {
            Look::Held(_) => "held",
            Look::Stale(_) => "stale",
            Look::Asked(_) => "asked",
            Look::Missing(..) => "missing",
            Look::No(NoKey::Refused(_)) => "refused",
            Look::No(NoKey::Unavailable) => "unavailable",
            Look::No(NoKey::TooMany) => "too many",
        }
    }

    #[test]
    fn a_key_is_fetched_once_and_again_when_it_is_due() {
        let (mut shelf, start) = (Shelf::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        let first = shelf.look("a", None, at(0));
        assert_eq!((word(&first), word(&shelf.look("a", None, at(1)))), ("missing", "asked"));
        shelf.put("a", &Ok(key()), at(2), AGEING);
        for (s, expected) in
            [(3, "held"), (86_401, "held"), (86_402, "stale"), (86_403, "held"), (87_002, "stale")]
        {
            assert_eq!(word(&shelf.look("a", None, at(s))), expected, "at {s} s");
        }
        shelf.put("a", &Err(NoKey::Unavailable), at(87_003), AGEING);
        assert_eq!(word(&shelf.look("a", None, at(87_004))), "held", "a failed refresh takes nothing away");
        shelf.put("a", &Err(NO), at(87_005), AGEING);
        assert_eq!(word(&shelf.look("a", None, at(87_006))), "refused", "but the provider's word does");
        shelf.put("a", &Ok(key()), at(87_007), None);
        assert_eq!(
            word(&shelf.look("a", None, at(365 * DAY_S))),
            "held",
            "what never changes is never fetched anew"
        );
    }

    #[test]
    fn a_key_that_nobody_vouched_for_in_a_week_is_fetched_anew() {
        let (mut shelf, start) = (Shelf::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        let _sender = shelf.look("a", None, start);
        shelf.put("a", &Ok(key()), start, AGEING);
        for tries in 1..=144 * 6 {
            let now = at(DAY_S + 600 * (tries - 1));
            assert_eq!(word(&shelf.look("a", None, now)), "stale", "{tries}");
            shelf.put("a", &Err(NoKey::Unavailable), now, AGEING);
        }
        assert_eq!(word(&shelf.look("a", None, at(7 * DAY_S - 1))), "held");
        let _sender = shelf.look("a", None, at(7 * DAY_S));
        assert_eq!(word(&shelf.look("a", None, at(7 * DAY_S))), "asked");
        shelf.put("a", &Err(NoKey::Unavailable), at(7 * DAY_S), AGEING);
        assert_eq!(word(&shelf.look("a", None, at(7 * DAY_S + 1))), "unavailable");
        let _sender = shelf.look("a", None, at(7 * DAY_S + 10));
        shelf.put("a", &Ok(key()), at(7 * DAY_S + 11), AGEING);
        assert_eq!(word(&shelf.look("a", None, at(8 * DAY_S))), "held");
    }

    #[test]
    fn strangers_cost_no_held_key_its_refresh() {
        let (mut shelf, start) = (Shelf::default(), Instant::now());
        let _sender = shelf.look("good", None, start);
        shelf.put("good", &Ok(key()), start, AGEING);
        let day = start + Duration::from_secs(DAY_S);
        let all: Vec<_> = (0..100).map(|n| word(&shelf.look(&format!("bad{n}"), None, day))).collect();
        assert!(all.contains(&"too many"), "{all:?}");
        assert_eq!(word(&shelf.look("good", None, day)), "stale");
    }

    #[test]
    fn what_is_not_there_is_remembered_for_a_while() {
        for (why, lasts, expected) in [(NO, REFUSED, "refused"), (NoKey::Unavailable, FAILED, "unavailable")]
        {
            let (mut shelf, start) = (Shelf::default(), Instant::now());
            let _sender = shelf.look("a", None, start);
            shelf.put("a", &Err(why), start, None);
            assert_eq!(word(&shelf.look("a", None, start + lasts - Duration::from_millis(1))), expected);
            assert_eq!(word(&shelf.look("a", None, start + lasts)), "missing");
        }
        let (mut shelf, start) = (Shelf::default(), Instant::now());
        drop(shelf.look("a", None, start));
        assert_eq!(word(&shelf.look("a", None, start)), "missing", "nobody is left who would tell");
    }

    #[test]
    fn names_without_end_cost_a_few_fetches_and_no_key() {
        let (mut shelf, start) = (Shelf::default(), Instant::now());
        let _sender = shelf.look("good", None, start);
        shelf.put("good", &Ok(key()), start, None);
        let mut fetched = 0;
        for n in 0..10_000_u64 {
            let (name, now) = (format!("bad{n}"), start + Duration::from_millis(100 * n));
            let peer = IpAddr::from(u32::try_from(n % 1000).unwrap().to_be_bytes());
            if let Look::Missing(..) = shelf.look(&name, Some(peer), now) {
                fetched += 1;
                shelf.put(&name, &Err(NO), now, None);
            }
            assert!(shelf.slots.len() <= MAX_SLOTS);
        }
        assert_eq!(fetched, 119 + 120 * 16, "of a thousand seconds, each minute has two each second");
        assert_eq!(word(&shelf.look("good", None, start)), "held");
    }
}
