//! The kinds of faults, and what each of them may cost.

use super::cell::Shape;
use std::time::{Duration, Instant};

/// What happens to the network, the server or a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Delay,
    Throttle,
    Refuse,
    Drop,
    BlackHole,
    Cut,
    LostNotices,
    DeafSubscriptions,
    KillSubscriptions,
    StopServer,
    BusyServer,
    FlushScripts,
    FullMemory,
    KillServer,
    WipeServer,
    FlushAll,
    Promote,
    LostLastNotice,
    DeafToLastNotice,
    KillNode,
    RollingRestart,
}

impl Kind {
    pub(super) const ALL: [Self; 21] = [
        Self::Delay,
        Self::Throttle,
        Self::Refuse,
        Self::Drop,
        Self::BlackHole,
        Self::Cut,
        Self::LostNotices,
        Self::DeafSubscriptions,
        Self::KillSubscriptions,
        Self::StopServer,
        Self::BusyServer,
        Self::FlushScripts,
        Self::FullMemory,
        Self::KillServer,
        Self::WipeServer,
        Self::FlushAll,
        Self::Promote,
        Self::LostLastNotice,
        Self::DeafToLastNotice,
        Self::KillNode,
        Self::RollingRestart,
    ];

    /// Whether it can be done to such a cell.
    pub(super) fn suits(self, shape: Shape) -> bool {
        self != Self::Promote || shape != Shape::Single
    }

    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Delay => "network: every piece delayed by 20 to 220 ms",
            Self::Throttle => "network: 4 to 24 KB/s",
            Self::Refuse => "network: connections reset, new ones refused",
            Self::Drop => "network: connections reset, new ones closed at once",
            Self::BlackHole => "network: a black hole; what was sent arrives late",
            Self::Cut => "network: connections reset once",
            Self::LostNotices => "network: notices disappear under load",
            Self::DeafSubscriptions => "network: a black hole for subscriptions only",
            Self::KillSubscriptions => "`CLIENT KILL TYPE pubsub`",
            Self::StopServer => "Redis stopped by `SIGSTOP`, then continued",
            Self::BusyServer => "Redis busy: `DEBUG SLEEP`",
            Self::FlushScripts => "`SCRIPT FLUSH`",
            Self::FullMemory => "`maxmemory` reached",
            Self::KillServer => "Redis `kill -9`, restarted with its append-only file",
            Self::WipeServer => "Redis `kill -9`, restarted without its data",
            Self::FlushAll => "`FLUSHALL`",
            Self::Promote => "a replica promoted whose tail is missing",
            Self::LostLastNotice => "the last notice of a quiet payment lost",
            Self::DeafToLastNotice => "the last notice of a quiet payment in a black hole",
            Self::KillNode => "a node killed, its clients resume on the other",
            Self::RollingRestart => "rolling restart of the nodes by `SIGTERM`",
        }
    }
}

/// What a fault may have cost, by the durability that is configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Toll {
    /// When it was over.
    pub(super) end: Instant,
    /// Logs may have gone back, so that streams may be told by a snapshot.
    pub(super) rolls_back: bool,
    /// Acknowledged events may be gone if their acknowledgement came after this, asked for before the end.
    pub(super) lost_after: Option<Instant>,
    /// The nodes whose streams had to connect again.
    pub(super) moved: [bool; 2],
    /// How long healing took, where it is not to be counted from the end.
    pub(super) healed: Option<Duration>,
}

impl Toll {
    /// Nothing at all.
    pub(super) fn nothing() -> Self {
        Self { end: Instant::now(), rolls_back: false, lost_after: None, moved: [false; 2], healed: None }
    }

    /// Logs went back, but no acknowledged event is lost.
    pub(super) fn rolled_back() -> Self {
        Self { rolls_back: true, ..Self::nothing() }
    }

    /// What was acknowledged after `since` may be lost.
    pub(super) fn lost_after(since: Instant) -> Self {
        Self { lost_after: Some(since), ..Self::rolled_back() }
    }
}
