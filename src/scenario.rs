//! The lives of payments, as the webhooks that providers would send. `trigger`, `demo` and tests post them.
//!
//! A life is a script of moments that is the same for every provider; a file in `providers/` says what a provider sends at each
//! moment. Nothing here signs, sends or waits: a [`Webhook`] is what is to be signed, and the delay before it is sent. This room
//! does not know the presets, so a test that plays a life through a preset compares two independent descriptions of a provider.
//!
//! | file | noun |
//! |---|---|
//! | `life`      | the scripts, in terms that belong to no provider |
//! | `moment`    | what can happen to a payment |
//! | `treatment` | what can be wrong with a webhook |
//! | `provider`  | the providers that can be imitated |
//! | `template`, `notation` | how their payloads are written |
//! | `details`   | what a payload reports besides what happened |
//! | `amount`    | amounts in major units |

mod amount;
mod details;
mod life;
mod moment;
mod notation;
mod provider;
mod template;
mod treatment;

pub(crate) use amount::in_major_units;
pub use life::{Life, UnknownLife};
pub use moment::Stage;
pub use provider::{ProviderError, SimulatedProvider};
pub use treatment::Treatment;

use crate::payment::{Currency, Time};
use details::{Details, letters};
use moment::Share;
use notation::Notation;
use provider::{SentEvent, Written};
use rand::seq::SliceRandom as _;
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
    /// The headers besides those of the signature, by name and value.
    pub headers: Vec<(String, String)>,
    /// The parameters of the query besides those of the signature, by name and value.
    pub query: Vec<(String, String)>,
    /// The payload.
    pub body: Vec<u8>,
    form: Notation,
}

/// The payment that a life is about.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedPayment<'a> {
    /// The id of the payment.
    pub id: &'a str,
    /// Its amount, in the currency's minor unit.
    pub amount: i64,
    /// The currency of `amount`.
    pub currency: Currency,
}

/// The provider has no event for what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsupported {
    /// The life contains a moment for which the provider has no event type.
    #[error(
        "provider {provider} has no scenario {life}, because it has no event that says that {lacks}; it has {lives}"
    )]
    Life {
        /// The provider.
        provider: String,
        /// The life that was asked for.
        life: Life,
        /// What no event of the provider says.
        lacks: &'static str,
        /// The lives that the provider has, separated by commas.
        lives: String,
    },
    /// The name is neither that of a scenario nor of an event type.
    #[error(
        "{name:?} is neither a scenario nor an event type of provider {provider}; the scenarios are {lives}; the event types are {types}"
    )]
    Event {
        /// The provider.
        provider: String,
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
    provider: &SimulatedProvider,
    life: Life,
    payment: SimulatedPayment<'_>,
    start: Time,
) -> Result<Vec<Webhook>, Unsupported> {
    if let Some(lacks) = provider.lacks(life) {
        let lives = names(&provider.lives());
        return Err(Unsupported::Life { provider: provider.name().to_owned(), life, lacks, lives });
    }
    let mut webhooks: Vec<Webhook> = Vec::new();
    let mut sent = start;
    for beat in life.script() {
        let Some(kind) = provider.sent_at(beat.moment) else { continue };
        // A life whose first moments the provider does not report begins at once.
        let after_ms = if webhooks.is_empty() { 0 } else { beat.after_ms };
        sent = later(sent, i64::from(after_ms));
        let at = later(sent, -i64::from(beat.late_by_ms));
        let first = webhook(provider, kind, payment, beat.share, at);
        let first = Webhook { delay: Duration::from_millis(after_ms.into()), ..first };
        let again = Webhook { delay: REPEATED_AFTER, ..first.clone() };
        webhooks.push(first);
        webhooks.extend(std::iter::repeat_n(again, beat.times - 1));
    }
    match life.treatment() {
        Treatment::CardNumber => webhooks.iter_mut().for_each(|webhook| webhook.add("note", treatment::CARD)),
        _ if life == Life::Shuffled => webhooks.shuffle(&mut rand::rng()),
        _ => {}
    }
    Ok(webhooks)
}

/// A single webhook. Its name is the provider's type of the event (`payment_intent.succeeded`), with the status if several events have
/// the type (`payment.updated:PAID`), or the moment that it is about (`captured`).
pub fn event(
    provider: &SimulatedProvider,
    name: &str,
    payment: SimulatedPayment<'_>,
    at: Time,
) -> Result<Webhook, Unsupported> {
    let kind = provider.kind_named(name).ok_or_else(|| Unsupported::Event {
        provider: provider.name().to_owned(),
        name: name.to_owned(),
        lives: names(&provider.lives()),
        types: provider.event_types().join(", "),
    })?;
    Ok(webhook(provider, kind, payment, Share::All, at))
}

fn webhook(
    provider: &SimulatedProvider,
    kind: &SentEvent,
    payment: SimulatedPayment<'_>,
    share: Share,
    at: Time,
) -> Webhook {
    let event_id = format!("evt_{}", letters(&rand::random::<[u8; 12]>()));
    let SimulatedPayment { id: payment, amount, currency } = payment;
    let SentEvent { moment, event_type, status, .. } = kind;
    let part = share.of(amount);
    let details = Details { payment, amount, part, currency, at, event_id: &event_id, event_type, status };
    let Written { headers, query, body } = provider.write(kind, &details);
    Webhook {
        delay: Duration::ZERO,
        event_type: event_type.clone(),
        stage: moment.stage(),
        headers,
        query,
        body: body.into_bytes(),
        form: provider.form(),
        event_id,
    }
}

impl Webhook {
    /// The `Content-Type` of the payload, if there is one.
    #[must_use]
    pub fn content_type(&self) -> Option<&'static str> {
        let fallback = (!self.body.is_empty()).then_some("application/json");
        self.form.content_type().or(fallback)
    }

    /// Makes the payload longer than `bytes`, by a value that means nothing.
    pub fn outgrow(&mut self, bytes: usize) {
        self.add("padding", &"x".repeat(bytes));
    }

    /// Adds a value that no preset reads to the payload.
    fn add(&mut self, name: &str, value: &str) {
        self.body = self.form.with(&String::from_utf8_lossy(&self.body), name, value).into_bytes();
    }
}

fn names(lives: &[Life]) -> String {
    lives.iter().map(|life| life.name()).collect::<Vec<_>>().join(", ")
}

fn later(time: Time, ms: i64) -> Time {
    Time::from_unix_ms(time.unix_ms().saturating_add(ms)).unwrap_or(time)
}

#[cfg(test)]
mod tests;
