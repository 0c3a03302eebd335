//! The budget for fetches of unknown keys. It is pure: the caller says what time it is.
//!
//! Whoever names an unknown key makes us ask its provider, and proves nothing. A provider's server should not notice this, hence
//! the bound for all hosts together. One host should not use up that bound, since the provider's own webhooks would then wait
//! until the host stops, hence the bound for each host.
//!
//! What remains possible: a dozen hosts together can still use up the bound for all. This costs no key that is held. But while it
//! lasts, a source that holds no key, as after a restart, or whose provider begins to use a new key, defers most of its
//! webhooks, and fetches the key with the first that gets through. One host can do the same if a proxy stands in front of the
//! gateway: all requests then come from the proxy's address, so the proxy has to limit each host. Pinning the keys avoids both.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// The most fetches in [`SPAN`]: two a second, which is nothing to a provider's server.
pub(super) const MAX_FETCHES: usize = 120;

/// The most fetches in [`SPAN`] for one host. A provider has one or two keys in use, and sends from several hosts.
const MAX_FETCHES_OF_ONE: usize = 10;

/// The period over which fetches are counted.
const SPAN: Duration = Duration::from_secs(60);

/// The fetches of one source that count against its budget.
#[derive(Default)]
pub(super) struct Budget {
    /// When each fetch of the last [`SPAN`] began, and for which host.
    begun: VecDeque<(Instant, Option<IpAddr>)>,
}

impl Budget {
    /// Returns whether a fetch for this peer may begin. If so, the fetch counts.
    pub(super) fn admit(&mut self, peer: Option<IpAddr>, now: Instant) -> bool {
        let is_over = |(begun, _): &(Instant, _)| now.saturating_duration_since(*begun) >= SPAN;
        while self.begun.front().is_some_and(is_over) {
            self.begun.pop_front();
        }
        let host = peer.map(host);
        let has_room = self.begun.len() < MAX_FETCHES
            && self.begun.iter().filter(|(_, of)| *of == host).count() < MAX_FETCHES_OF_ONE;
        if has_room {
            self.begun.push_back((now, host));
        }
        has_room
    }
}

/// Returns what counts as one host: an IPv4 address, or the first 64 bits of an IPv6 address, since its owner may choose the
/// others. An owner of several such networks counts as several hosts.
fn host(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(budget: &mut Budget, peer: &str, tries: usize, at: Instant) -> usize {
        let peer = peer.parse().ok();
        (0..tries).filter(|_| budget.admit(peer, at)).count()
    }

    #[test]
    fn one_host_has_its_share_and_a_minute_brings_it_back() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        for (peer, s, expected) in [
            ("192.0.2.1", 0, 10),
            ("192.0.2.1", 59, 0),
            ("192.0.2.2", 59, 10),
            ("::ffff:192.0.2.2", 59, 0),
            ("2001:db8::1", 59, 10),
            ("2001:db8::ffff:0:0:2", 59, 0),
            ("2001:db8:0:1::1", 59, 10),
            ("unknown", 59, 10),
            ("unknown", 59, 0),
            ("192.0.2.1", 60, 10),
            ("192.0.2.2", 60, 0),
            ("192.0.2.2", 119, 10),
        ] {
            assert_eq!(admitted(&mut budget, peer, 20, at(s)), expected, "{peer} at {s} s");
        }
    }

    #[test]
    fn all_hosts_together_have_a_bound() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let all: usize =
            (0..=255).map(|host| admitted(&mut budget, &format!("192.0.2.{host}"), 20, start)).sum();
        assert_eq!((all, budget.begun.len()), (MAX_FETCHES, MAX_FETCHES));
        assert_eq!(admitted(&mut budget, "198.51.100.1", 1, start), 0);
        assert_eq!(admitted(&mut budget, "198.51.100.1", 1, start + SPAN), 1);
    }
}
