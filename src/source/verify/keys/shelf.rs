//! What a ring remembers: keys that were fetched, keys that are being fetched, and names under which there is none. Pure: what
//! time it is, the caller says.

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

/// How many names are remembered. A provider has one or two keys in use; the others are what strangers made up.
const MAX_SLOTS: usize = 256;

// What is being fetched can't be dropped, and none of it takes a minute; so there is always something that can.
const _: () = assert!(MAX_FETCHES < MAX_SLOTS, "a full shelf may hold nothing but what is being fetched");

/// How long a name stays refused. A key that its provider names before it publishes it is good a minute later.
const REFUSED: Duration = Duration::from_secs(60);

/// How long a fetch that failed is not repeated: six a minute, which leaves some for other keys.
const FAILED: Duration = Duration::from_secs(10);

/// How long until a held key is fetched again after a fetch that may have failed. It is all the bound that this needs: a shelf's
/// worth of requests in ten minutes, and of one or two keys in truth, since only what the provider itself handed out is held.
/// So it takes nothing from the fetches of unknown keys, nor can these take anything from it.
const RETRY: Duration = Duration::from_secs(600);

/// How a key ages.
#[derive(Clone, Copy)]
pub(super) struct Ageing {
    /// After what time it is fetched again, while the old one serves on.
    pub(super) refresh: Duration,
    /// After what time without an answer it serves no more.
    pub(super) end: Duration,
}

/// What those who wait are told, in the end.
pub(super) type Fetched = Option<Result<Arc<FetchedKey>, NoKey>>;

#[derive(Default)]
pub(super) struct Shelf {
    slots: HashMap<Box<str>, Slot>,
    budget: Budget,
}

struct Slot {
    state: State,
    used: Instant,
}

enum State {
    Asked(watch::Receiver<Fetched>),
    Held(Arc<FetchedKey>, Option<Due>),
    Missed { why: NoKey, until: Instant },
}

/// What a key that ages is due for, and when.
struct Due {
    refresh: Instant,
    end: Instant,
}

/// What there is under a name.
pub(super) enum Look {
    /// A key.
    Held(Arc<FetchedKey>),
    /// A key that the caller should fetch anew, and may use.
    Stale(Arc<FetchedKey>),
    /// Nothing yet; who asked first will tell.
    Asked(watch::Receiver<Fetched>),
    /// Nothing: the caller should fetch it and tell the others.
    Missing(watch::Sender<Fetched>, watch::Receiver<Fetched>),
    /// No key.
    No(NoKey),
}

impl Shelf {
    /// Looks a name up that `peer` named. What is to be fetched counts as being fetched from now on.
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
                // A fetch that ended without a word, by a defect, is no fetch.
                State::Asked(tells) if tells.has_changed().is_ok() => return Look::Asked(tells.clone()),
                State::Missed { .. } | State::Asked(_) => {}
            }
        }
        if !self.budget.admit(peer, now) {
            return Look::No(NoKey::TooMany);
        }
        self.make_room();
        let (told, tells) = watch::channel(None);
        let state = State::Asked(tells.clone());
        self.slots.insert(name.into(), Slot { state, used: now });
        Look::Missing(told, tells)
    }

    /// Takes what a fetch brought.
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
            // Better a key of yesterday than none.
            (Err(NoKey::Unavailable | NoKey::TooMany), State::Held(..)) => return,
            (Err(why @ NoKey::Refused(_)), _) => State::Missed { why: *why, until: now + REFUSED },
            (Err(why), _) => State::Missed { why: *why, until: now + FAILED },
        };
    }

    /// Drops what matters least, if the shelf is full: names without a key before keys, and of these what was not used for
    /// longest. What is being fetched stays.
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
        let _told = shelf.look("a", None, start);
        shelf.put("a", &Ok(key()), start, AGEING);
        for tries in 1..=144 * 6 {
            let now = at(DAY_S + 600 * (tries - 1));
            assert_eq!(word(&shelf.look("a", None, now)), "stale", "{tries}");
            shelf.put("a", &Err(NoKey::Unavailable), now, AGEING);
        }
        assert_eq!(word(&shelf.look("a", None, at(7 * DAY_S - 1))), "held");
        let _told = shelf.look("a", None, at(7 * DAY_S));
        assert_eq!(word(&shelf.look("a", None, at(7 * DAY_S))), "asked");
        shelf.put("a", &Err(NoKey::Unavailable), at(7 * DAY_S), AGEING);
        assert_eq!(word(&shelf.look("a", None, at(7 * DAY_S + 1))), "unavailable");
        let _told = shelf.look("a", None, at(7 * DAY_S + 10));
        shelf.put("a", &Ok(key()), at(7 * DAY_S + 11), AGEING);
        assert_eq!(word(&shelf.look("a", None, at(8 * DAY_S))), "held");
    }

    #[test]
    fn strangers_cost_no_held_key_its_refresh() {
        let (mut shelf, start) = (Shelf::default(), Instant::now());
        let _told = shelf.look("good", None, start);
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
            let _told = shelf.look("a", None, start);
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
        let _told = shelf.look("good", None, start);
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
