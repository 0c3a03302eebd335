//! The providers whose webhooks can be imitated, by the names of their presets.

use super::{
    details::Details,
    generic,
    life::{Life, Moment, Share},
    stripe,
};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// A provider whose webhooks this room can write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimulatedProvider {
    /// Stripe, with its snapshot events.
    Stripe,
    /// The `generic` preset.
    Generic,
    /// The `generic-timestamped` preset: the same payloads, signed in another way.
    GenericTimestamped,
}

/// No scenarios exist for the preset of this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "there are no scenarios for provider {0:?}; there are some for {known}",
    known = SimulatedProvider::ALL.map(SimulatedProvider::name).join(", ")
)]
pub struct UnknownProvider(String);

/// One moment for each event type, in the order in which they are listed.
const MOMENTS: [Moment; 13] = [
    Moment::Created,
    Moment::RequiresAction,
    Moment::Processing,
    Moment::Failed,
    Moment::Authorized,
    Moment::Captured,
    Moment::Canceled,
    Moment::RefundPending(Share::All),
    Moment::RefundDone(Share::All),
    Moment::RefundTotal(Share::All),
    Moment::DisputeOpened,
    Moment::DisputeReviewed,
    Moment::DisputeLost,
];

impl SimulatedProvider {
    /// All providers.
    pub const ALL: [Self; 3] = [Self::Stripe, Self::Generic, Self::GenericTimestamped];

    /// The name of the provider's preset.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Generic => "generic",
            Self::GenericTimestamped => "generic-timestamped",
        }
    }

    /// The lives that the provider has event types for.
    #[must_use]
    pub fn lives(self) -> Vec<Life> {
        let can_play = |life: &Life| life.script().iter().all(|beat| self.event_type(beat.moment).is_some());
        Life::ALL.into_iter().filter(can_play).collect()
    }

    /// The event types that the provider has, without repetitions.
    #[must_use]
    pub fn event_types(self) -> Vec<&'static str> {
        let mut types: Vec<&str> = MOMENTS.into_iter().filter_map(|moment| self.event_type(moment)).collect();
        types.dedup();
        types
    }

    /// The first moment that the provider reports with this event type.
    pub(super) fn moment_of(self, event_type: &str) -> Option<Moment> {
        MOMENTS.into_iter().find(|moment| self.event_type(*moment) == Some(event_type))
    }

    /// The provider's event type for a moment, if it has one.
    pub(super) const fn event_type(self, moment: Moment) -> Option<&'static str> {
        match self {
            Self::Stripe => Some(stripe::event_type(moment)),
            Self::Generic | Self::GenericTimestamped => generic::event_type(moment),
        }
    }

    /// The payload of the provider's webhook for a moment, if the provider has an event type for it.
    pub(super) fn body(self, moment: Moment, details: &Details<'_>) -> Option<Value> {
        match self {
            Self::Stripe => Some(stripe::body(moment, details)),
            Self::Generic | Self::GenericTimestamped => generic::body(moment, details),
        }
    }
}

impl FromStr for SimulatedProvider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        let found = Self::ALL.into_iter().find(|provider| provider.name() == text);
        found.ok_or_else(|| UnknownProvider(text.to_owned()))
    }
}

impl fmt::Display for SimulatedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
