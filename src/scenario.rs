//! The lives of payments, as the webhooks that providers would send. `trigger`, `demo` and tests post them.
//!
//! A life is a script of moments that is the same for every provider; `stripe` and `generic` write the payload that the provider
//! would send at a moment. Nothing here signs, sends or waits: a [`Webhook`] is a body and the delay before it is sent. This room
//! does not know the presets, so a test that plays a life through a preset compares two independent descriptions of a provider.
//!
//! | file | noun |
//! |---|---|
//! | `life`     | the scripts, in terms that belong to no provider |
//! | `provider` | the providers that can be imitated |
//! | `stripe`, `generic` | their payloads |
//! | `details`  | what a payload reports besides what happened |
//! | `amount`   | amounts in major units |

mod amount;
mod details;
mod generic;
mod life;
mod provider;
mod stripe;

pub(crate) use amount::in_major_units;
pub use life::{Life, Stage, UnknownLife};
pub use provider::{SimulatedProvider, UnknownProvider};

use crate::payment::{Currency, Time};
use details::Details;
use life::Moment;
use std::time::Duration;

/// The time between two deliveries of the same event, as if the provider retried at once.
const REPEATED_AFTER: Duration = Duration::from_millis(300);

/// One webhook of a life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    /// How long to wait after the previous webhook.
    pub delay: Duration,
    /// The provider's name for the type of the event.
    pub event_type: String,
    /// The provider's id of the event. A repeated delivery has the same id.
    pub event_id: String,
    /// Whether the event is about the payment itself or about what follows it.
    pub stage: Stage,
    /// The payload.
    pub body: Vec<u8>,
}

/// The provider has no event for what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsupported {
    /// The life contains a moment for which the provider has no event type.
    #[error("provider {provider} has no scenario {life}; it has {lives}")]
    Life {
        /// The provider.
        provider: SimulatedProvider,
        /// The life that was asked for.
        life: Life,
        /// The lives that the provider has, separated by commas.
        lives: String,
    },
    /// The name is neither that of a scenario nor of an event type.
    #[error(
        "{name:?} is neither a scenario nor an event type of provider {provider}; the scenarios are {lives}; the event types are {types}"
    )]
    Event {
        /// The provider.
        provider: SimulatedProvider,
        /// The name that was asked for.
        name: String,
        /// The lives that the provider has, separated by commas.
        lives: String,
        /// The event types that the provider has, separated by commas.
        types: String,
    },
}

/// The webhooks of a whole life. `start` is when the first one is sent; the timestamps of the others follow from the delays.
pub fn webhooks(
    provider: SimulatedProvider,
    life: Life,
    payment: &str,
    amount: i64,
    currency: Currency,
    start: Time,
) -> Result<Vec<Webhook>, Unsupported> {
    let mut webhooks = Vec::new();
    let mut sent = start;
    for beat in life.script() {
        sent = later(sent, i64::from(beat.after_ms));
        let at = later(sent, -i64::from(beat.late_by_ms));
        let webhook = webhook(provider, beat.moment, payment, amount, currency, at)
            .ok_or_else(|| Unsupported::Life { provider, life, lives: names(&provider.lives()) })?;
        let first = Webhook { delay: Duration::from_millis(beat.after_ms.into()), ..webhook };
        let again = Webhook { delay: REPEATED_AFTER, ..first.clone() };
        webhooks.push(first);
        webhooks.extend(std::iter::repeat_n(again, beat.times - 1));
    }
    Ok(webhooks)
}

/// A single webhook of the given type, in the provider's spelling: `payment_intent.succeeded`, `payment.confirmed`.
pub fn event(
    provider: SimulatedProvider,
    name: &str,
    payment: &str,
    amount: i64,
    currency: Currency,
    at: Time,
) -> Result<Webhook, Unsupported> {
    let moment = provider.moment_of(name);
    moment.and_then(|moment| webhook(provider, moment, payment, amount, currency, at)).ok_or_else(|| {
        Unsupported::Event {
            provider,
            name: name.to_owned(),
            lives: names(&provider.lives()),
            types: provider.event_types().join(", "),
        }
    })
}

fn webhook(
    provider: SimulatedProvider,
    moment: Moment,
    payment: &str,
    amount: i64,
    currency: Currency,
    at: Time,
) -> Option<Webhook> {
    let event_type = provider.event_type(moment)?.to_owned();
    let event_id = format!("evt_{}", hex::encode(rand::random::<[u8; 12]>()));
    let details = Details { payment, amount, currency, at, event_id: &event_id };
    let body = provider.body(moment, &details)?.to_string().into_bytes();
    Some(Webhook { delay: Duration::ZERO, event_type, event_id, stage: moment.stage(), body })
}

fn names(lives: &[Life]) -> String {
    lives.iter().map(|life| life.name()).collect::<Vec<_>>().join(", ")
}

fn later(time: Time, ms: i64) -> Time {
    Time::from_unix_ms(time.unix_ms().saturating_add(ms)).unwrap_or(time)
}

#[cfg(test)]
mod tests;
