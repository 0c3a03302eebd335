//! The role of a process: which half of the gateway it runs.

use std::{fmt, str::FromStr};

/// Which half of the gateway a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// Takes webhooks only.
    Ingest,
    /// Serves streams only.
    Stream,
    /// Does both.
    #[default]
    All,
}

impl Role {
    /// Whether this role takes webhooks.
    #[must_use]
    pub const fn takes_webhooks(self) -> bool {
        matches!(self, Self::Ingest | Self::All)
    }

    /// Whether this role serves streams.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::All)
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ingest" => Ok(Self::Ingest),
            "stream" => Ok(Self::Stream),
            "all" => Ok(Self::All),
            _ => Err("allowed are all, ingest and stream"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Stream => "stream",
            Self::All => "all",
        })
    }
}
