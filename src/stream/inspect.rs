//! What operators see of an open stream, and by what they find it. Pure.

use super::census::Holders;
use crate::payment::Name;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

/// The number of an open stream on its node. No other stream of the node's life has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamId {
    /// A stream whose socket has left HTTP: its thread, its slot there, and when it began, in milliseconds since the node did.
    Reactor {
        /// The thread.
        thread: usize,
        /// The slot.
        slot: u32,
        /// When it began.
        began: u64,
    },
    /// A stream that has stayed in HTTP.
    Http(u64),
}

/// The text is no number of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the id of a stream")]
pub struct StreamIdError;

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reactor { thread, slot, began } => write!(f, "r{thread}-{slot}-{began}"),
            Self::Http(number) => write!(f, "h{number}"),
        }
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, StreamIdError> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| StreamIdError);
        if let Some(text) = text.strip_prefix('h') {
            return number(text).map(Self::Http);
        }
        let parts: Vec<&str> = text.strip_prefix('r').ok_or(StreamIdError)?.split('-').collect();
        let [thread, slot, began] = parts[..] else { return Err(StreamIdError) };
        let thread = usize::try_from(number(thread)?).map_err(|_| StreamIdError)?;
        let slot = u32::try_from(number(slot)?).map_err(|_| StreamIdError)?;
        Ok(Self::Reactor { thread, slot, began: number(began)? })
    }
}

/// An open stream.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Its number.
    pub id: StreamId,
    /// The realm of its payments; every stream has one.
    pub realm: Option<Name>,
    /// Its payments; none for a stream of all payments of the realm.
    pub payments: Vec<Name>,
    /// The `sub` of its token.
    pub subject: Option<Arc<str>>,
    /// Whom it is counted for.
    pub holders: Holders,
    /// How long it has been open.
    pub age: Duration,
    /// How many events of its payments it has not written yet.
    pub lag: u64,
}

impl StreamInfo {
    /// The client: an IPv4 address, or the first one of an IPv6 /64. `None` for this machine itself.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        let number = self.holders.peer?.number();
        Some(match u32::try_from(number) {
            Ok(number) => Ipv4Addr::from_bits(number).into(),
            Err(_) => Ipv6Addr::from_bits(u128::from(number) << 64).into(),
        })
    }
}

/// Which streams are asked for: those that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub struct StreamFilter {
    /// This stream.
    pub id: Option<StreamId>,
    /// Those of this realm.
    pub realm: Option<Name>,
    /// Those of this payment.
    pub payment: Option<Name>,
    /// Those whose token has this `sub`.
    pub subject: Option<String>,
    /// Those of this client: its address, or any address of its IPv6 /64.
    pub client: Option<IpAddr>,
    /// Those that are at least as old.
    pub min_age: Option<Duration>,
    /// Those that are at least so many events behind.
    pub min_lag: Option<u64>,
}

impl StreamFilter {
    /// Whether a stream is asked for.
    #[must_use]
    pub fn has(&self, stream: &StreamInfo) -> bool {
        fn network(ip: IpAddr) -> IpAddr {
            match ip {
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
                ip @ IpAddr::V4(_) => ip,
            }
        }
        self.id.is_none_or(|id| id == stream.id)
            && self.realm.as_ref().is_none_or(|realm| stream.realm.as_ref() == Some(realm))
            && self.payment.as_ref().is_none_or(|payment| stream.payments.contains(payment))
            && self.subject.as_ref().is_none_or(|subject| stream.subject.as_deref() == Some(subject))
            && self.client.is_none_or(|client| stream.client() == Some(network(client)))
            && self.min_age.is_none_or(|age| stream.age >= age)
            && self.min_lag.is_none_or(|lag| stream.lag >= lag)
    }
}

/// Some of the streams that were asked for.
#[derive(Clone, Debug, Default)]
pub struct StreamList {
    /// How many there are.
    pub count: usize,
    /// The oldest of them, the oldest first.
    pub streams: Vec<StreamInfo>,
}

impl StreamList {
    /// Adds a stream, of which at most `limit` are listed.
    pub(super) fn add(&mut self, stream: StreamInfo, limit: usize) {
        self.count += 1;
        self.streams.push(stream);
        // Sorted now and then, so that each costs a constant time.
        if self.streams.len() >= 2 * limit + 64 {
            self.shorten(limit);
        }
    }

    /// Adds those of another list.
    pub(super) fn append(&mut self, mut other: Self) {
        self.count += other.count;
        self.streams.append(&mut other.streams);
    }

    /// Keeps the oldest.
    pub(super) fn shorten(&mut self, limit: usize) {
        self.streams.sort_by_key(|stream| std::cmp::Reverse(stream.age));
        self.streams.truncate(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;

    #[test]
    fn the_id_of_a_stream_is_read_back_and_nothing_else_is_one() {
        for id in [StreamId::Http(7), StreamId::Reactor { thread: 3, slot: 9, began: 1 << 40 }] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in ["", "h", "h-1", "r1-2", "r1-2-3-4", "r1-2-x", "x7", "r1-99999999999-3"] {
            assert_eq!(wrong.parse::<StreamId>(), Err(StreamIdError), "{wrong}");
        }
    }

    #[test]
    fn the_client_is_found_by_any_address_of_its_network() {
        for (address, shown, other) in [
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("2001:db8:1:2::9", "2001:db8:1:2::", "2001:db8:1:3::9"),
        ] {
            let peer = Peer::direct(address.parse().unwrap()).holder();
            let info = StreamInfo {
                id: StreamId::Http(1),
                realm: "default".parse().ok(),
                payments: Vec::new(),
                subject: None,
                holders: Holders { peer, token: None },
                age: Duration::ZERO,
                lag: 0,
            };
            assert_eq!(info.client().unwrap().to_string(), shown);
            let by = |client: &str| StreamFilter { client: client.parse().ok(), ..Default::default() };
            assert!(by(address).has(&info) && !by(other).has(&info));
        }
    }
}
