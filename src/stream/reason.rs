//! The reasons that a stream or an answer states: why it is refused, why the server closes it, why it starts over with a
//! snapshot.

use crate::metrics::{CloseReason, RefusalReason, ResumeKind};

/// Why the server closes a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The node shuts down, or is about to.
    Drain,
    /// The stream has reached its maximum age; clients reconnect now and then, so that nodes stay balanced.
    MaxAge,
    /// The token has expired, or the key that signed it was removed.
    TokenExpired,
    /// The node has as many streams as it may have, or its store does not answer.
    Overload,
    /// The reader took nothing for too long.
    Stalled,
    /// All payments of the stream are finished, and the client asked for the stream to end then.
    Finished,
    /// An operator ended it.
    Operator,
}

/// How a stream ends after its last event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// The body ends properly. A clean end stops one popular client for good, so only finished streams end so.
    Clean,
    /// The body ends without its last chunk (HTTP/2: by a reset), so that every client comes back.
    Cut,
}

/// Why a request for a stream or a snapshot is refused, although waiting would help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The node drains.
    Drain,
    /// The node has as many streams as it may have.
    Overload,
    /// The store does not answer.
    Store,
}

/// Why a client's cursor cannot be honoured: it gets a snapshot with this reason instead of the events that it missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reset {
    /// The log is empty: its history has expired, it was erased before the client came, or it never existed.
    Evicted,
    /// The text is not a cursor, or no entry of the log has its tag.
    UnknownCursor,
    /// The log no longer has an entry that the client, or this stream, has seen.
    RolledBack,
    /// The payment was erased while the stream was open.
    Erased,
    /// The id that was asked for is a label, and this is the payment that it points at now.
    Label,
}

impl Closing {
    /// The reason as JSON spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::MaxAge => "max_age",
            Self::TokenExpired => "token_expired",
            Self::Overload => "overload",
            Self::Stalled => "stalled",
            Self::Finished => "finished",
            Self::Operator => "operator",
        }
    }

    /// The reason as metrics count it.
    pub(super) const fn counted(self) -> CloseReason {
        match self {
            Self::Drain => CloseReason::Drain,
            Self::MaxAge => CloseReason::MaxAge,
            Self::TokenExpired => CloseReason::TokenExpired,
            Self::Overload => CloseReason::Overload,
            Self::Stalled => CloseReason::Stalled,
            Self::Finished => CloseReason::Finished,
            Self::Operator => CloseReason::Operator,
        }
    }

    /// How the stream ends for this reason.
    pub(super) const fn ending(self) -> Ending {
        match self {
            Self::Finished => Ending::Clean,
            Self::Drain
            | Self::MaxAge
            | Self::TokenExpired
            | Self::Overload
            | Self::Stalled
            | Self::Operator => Ending::Cut,
        }
    }
}

impl Refusal {
    /// The reason as metrics count it.
    pub(super) const fn counted(self) -> RefusalReason {
        match self {
            Self::Drain => RefusalReason::Drain,
            Self::Overload => RefusalReason::Overload,
            Self::Store => RefusalReason::Store,
        }
    }

    /// The reason that a refused stream states.
    pub(super) const fn closing(self) -> Closing {
        match self {
            Self::Drain => Closing::Drain,
            Self::Overload | Self::Store => Closing::Overload,
        }
    }
}

impl Reset {
    /// The reason as metrics count it.
    pub(super) const fn counted(self) -> ResumeKind {
        match self {
            Self::Evicted => ResumeKind::Evicted,
            Self::UnknownCursor => ResumeKind::UnknownCursor,
            Self::RolledBack => ResumeKind::RolledBack,
            Self::Erased => ResumeKind::Erased,
            Self::Label => ResumeKind::Label,
        }
    }

    /// The reason as JSON spells it.
    pub(super) fn as_str(self) -> &'static str {
        self.counted().word()
    }
}
