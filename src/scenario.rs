//! Lives of payments as their providers would tell them: what `trigger`, `demo` and tests post.
//!
//! A life is a script of moments, the same for every provider; `stripe` and `generic` turn a moment into the payload that
//! the provider would send. Nothing here signs, sends or waits: a [`Step`] is a body and when to send it. This room knows
//! no preset, so that a test which plays a life through one has two sides that were written apart.

mod generic;
mod life;
mod stripe;

pub(crate) use generic::major;
pub use life::{Life, UnknownLife};

use crate::payment::{Currency, Time};
use life::{Moment, Part};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// One webhook of a life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// How long to wait after the step before it.
    pub delay: Duration,
    /// The provider's word for the event.
    pub event_type: String,
    /// The provider's id for the event. A repetition has the same.
    pub event_id: String,
    /// The payload.
    pub body: Vec<u8>,
}

/// What cannot be told.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsupported {
    /// No payloads are known for the provider.
    #[error("there are no scenarios for provider {0:?}; there are some for: {known}", known = PROVIDERS.join(", "))]
    Provider(String),
    /// The provider has no words for this life.
    #[error("provider {provider:?} cannot tell the scenario {life}; it can tell: {can}")]
    Life {
        /// The provider.
        provider: String,
        /// The life.
        life: Life,
        /// What it can tell.
        can: String,
    },
    /// Neither a scenario nor an event type.
    #[error(
        "{name:?} is neither a scenario nor an event type of provider {provider:?}; scenarios: {lives}; event types: {types}"
    )]
    Event {
        /// The provider.
        provider: String,
        /// What was asked for.
        name: String,
        /// What it can tell.
        lives: String,
        /// The events that it has.
        types: String,
    },
}

/// The presets that have scenarios.
pub const PROVIDERS: [&str; 3] = ["stripe", "generic", "generic-timestamped"];

/// What a payload is about.
struct Subject<'a> {
    payment: &'a str,
    amount: i64,
    currency: Currency,
    at: Time,
    event_id: &'a str,
}

impl Subject<'_> {
    /// The id of something that belongs to the payment, the same whenever it is told of: `re_5f0c…`.
    fn related(&self, prefix: &str) -> String {
        let hash = hex::encode(Sha256::digest(self.payment));
        format!("{prefix}_{}", hash.get(..24).unwrap_or(&hash))
    }
}

impl Life {
    /// The lives that a provider has words for.
    #[must_use]
    pub fn of_provider(provider: &str) -> Vec<Self> {
        let can = |life: &Self| life.script().iter().all(|beat| event_type(provider, beat.moment).is_some());
        Self::ALL.into_iter().filter(can).collect()
    }
}

/// The webhooks of a whole life. `start` is when the first one is sent; what happens later is stamped later by the delays.
pub fn steps(
    provider: &str,
    life: Life,
    payment: &str,
    amount: i64,
    currency: Currency,
    start: Time,
) -> Result<Vec<Step>, Unsupported> {
    if !PROVIDERS.contains(&provider) {
        return Err(Unsupported::Provider(provider.to_owned()));
    }
    let mut steps = Vec::new();
    let mut sent = start;
    for beat in life.script() {
        sent = later(sent, i64::from(beat.after_ms));
        let at = later(sent, -i64::from(beat.late_by_ms));
        let step =
            step(provider, beat.moment, payment, amount, currency, at).ok_or_else(|| Unsupported::Life {
                provider: provider.to_owned(),
                life,
                can: names(&Life::of_provider(provider)),
            })?;
        /// Between two deliveries of one event: a retry that comes at once.
        const REPEATED_AFTER: Duration = Duration::from_millis(300);
        let first = Step { delay: Duration::from_millis(beat.after_ms.into()), ..step };
        let again = Step { delay: REPEATED_AFTER, ..first.clone() };
        steps.push(first);
        steps.extend(std::iter::repeat_n(again, beat.times - 1));
    }
    Ok(steps)
}

/// One webhook of the given type, as the provider writes it: `payment_intent.succeeded`, `payment.confirmed`.
pub fn event(
    provider: &str,
    name: &str,
    payment: &str,
    amount: i64,
    currency: Currency,
    at: Time,
) -> Result<Step, Unsupported> {
    if !PROVIDERS.contains(&provider) {
        return Err(Unsupported::Provider(provider.to_owned()));
    }
    let moment = MOMENTS.into_iter().find(|moment| event_type(provider, *moment) == Some(name));
    moment.and_then(|moment| step(provider, moment, payment, amount, currency, at)).ok_or_else(|| {
        Unsupported::Event {
            provider: provider.to_owned(),
            name: name.to_owned(),
            lives: names(&Life::of_provider(provider)),
            types: event_types(provider).join(", "),
        }
    })
}

/// The event types that [`event`] knows of a provider.
#[must_use]
pub fn event_types(provider: &str) -> Vec<&'static str> {
    let mut types: Vec<&str> =
        MOMENTS.into_iter().filter_map(|moment| event_type(provider, moment)).collect();
    types.dedup();
    types
}

const MOMENTS: [Moment; 13] = [
    Moment::Created,
    Moment::RequiresAction,
    Moment::Processing,
    Moment::Failed,
    Moment::Authorized,
    Moment::Captured,
    Moment::Canceled,
    Moment::RefundPending(Part::All),
    Moment::RefundDone(Part::All),
    Moment::RefundTotal(Part::All),
    Moment::DisputeOpened,
    Moment::DisputeReviewed,
    Moment::DisputeLost,
];

fn event_type(provider: &str, moment: Moment) -> Option<&'static str> {
    match provider {
        "stripe" => Some(stripe::event_type(moment)),
        _ => generic::event_type(moment),
    }
}

fn step(
    provider: &str,
    moment: Moment,
    payment: &str,
    amount: i64,
    currency: Currency,
    at: Time,
) -> Option<Step> {
    let event_type = event_type(provider, moment)?.to_owned();
    let event_id = format!("evt_{}", hex::encode(rand::random::<[u8; 12]>()));
    let subject = Subject { payment, amount, currency, at, event_id: &event_id };
    let body = match provider {
        "stripe" => stripe::body(moment, &subject),
        _ => generic::body(moment, &subject)?,
    };
    Some(Step { delay: Duration::ZERO, event_type, event_id, body: body.to_string().into_bytes() })
}

fn names(lives: &[Life]) -> String {
    lives.iter().map(|life| life.name()).collect::<Vec<_>>().join(", ")
}

fn later(time: Time, ms: i64) -> Time {
    Time::from_unix_ms(time.unix_ms().saturating_add(ms)).unwrap_or(time)
}

#[cfg(test)]
mod tests;
