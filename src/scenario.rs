//! Lives of payments as their providers would tell them: what `trigger`, `demo` and tests post.
//!
//! A life is a script of moments, the same for every provider; `stripe` and `generic` turn a moment into the payload that
//! the provider would send. Nothing here signs, sends or waits: a [`Step`] is a body and when to send it. This room knows
//! no preset, so that a test which plays a life through one has two sides that were written apart.

mod generic;
mod stripe;

pub(crate) use generic::major;

use crate::payment::{Currency, Time};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr, time::Duration};

/// The life of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Created, processed, paid.
    Happy,
    /// Authorised first, captured later.
    AuthorizeCapture,
    /// The customer has to confirm with the bank.
    ThreeDSecure,
    /// The first attempt fails, the second pays.
    DeclinedThenPaid,
    /// Given up before it was paid.
    Canceled,
    /// Paid, then refunded in full.
    Refund,
    /// Paid, then half of it refunded.
    PartialRefund,
    /// Paid, then disputed and lost.
    Dispute,
    /// "Paid" arrives before what came before it.
    OutOfOrder,
    /// Every webhook arrives several times.
    Duplicates,
}

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

/// No scenario of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no scenario of that name")]
pub struct UnknownLife;

/// The presets that have scenarios.
pub const PROVIDERS: [&str; 3] = ["stripe", "generic", "generic-timestamped"];

/// What can happen to a payment, in no provider's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    Created,
    RequiresAction,
    Processing,
    Failed,
    Authorized,
    Captured,
    Canceled,
    RefundPending(Part),
    RefundDone(Part),
    /// The running total that the provider reports beside the refund itself.
    RefundTotal(Part),
    DisputeOpened,
    DisputeReviewed,
    DisputeLost,
}

/// How much of the payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Half,
    All,
}

impl Part {
    const fn of(self, amount: i64) -> i64 {
        match self {
            Self::Half => amount / 2,
            Self::All => amount,
        }
    }
}

/// A moment in a script.
struct Beat {
    /// Sent this long after the one before.
    after_ms: u32,
    moment: Moment,
    /// It happened this long before it is sent.
    late_by_ms: u32,
    /// So many deliveries in all.
    times: usize,
}

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
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Happy,
        Self::AuthorizeCapture,
        Self::ThreeDSecure,
        Self::DeclinedThenPaid,
        Self::Canceled,
        Self::Refund,
        Self::PartialRefund,
        Self::Dispute,
        Self::OutOfOrder,
        Self::Duplicates,
    ];

    /// The name to ask for it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Happy => "happy",
            Self::AuthorizeCapture => "authorize-capture",
            Self::ThreeDSecure => "three-d-secure",
            Self::DeclinedThenPaid => "declined-then-paid",
            Self::Canceled => "canceled",
            Self::Refund => "refund",
            Self::PartialRefund => "partial-refund",
            Self::Dispute => "dispute",
            Self::OutOfOrder => "out-of-order",
            Self::Duplicates => "duplicates",
        }
    }

    /// What happens, in a few words.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Happy => "created, processed, paid",
            Self::AuthorizeCapture => "authorised first, captured later",
            Self::ThreeDSecure => "the customer confirms with the bank, then it is paid",
            Self::DeclinedThenPaid => "the first attempt fails, the second pays",
            Self::Canceled => "given up before it was paid",
            Self::Refund => "paid, then refunded in full",
            Self::PartialRefund => "paid, then half of it refunded",
            Self::Dispute => "paid, then disputed and lost",
            Self::OutOfOrder => "\"paid\" arrives before what came before it",
            Self::Duplicates => "every webhook arrives several times",
        }
    }

    /// The lives that a provider has words for.
    #[must_use]
    pub fn of_provider(provider: &str) -> Vec<Self> {
        let can = |life: &Self| life.script().iter().all(|beat| event_type(provider, beat.moment).is_some());
        Self::ALL.into_iter().filter(can).collect()
    }

    /// The pace of the beats is that of a checkout which one watches: long enough to be read, short enough not to bore.
    fn script(self) -> Vec<Beat> {
        use Moment::{
            Authorized, Canceled, Captured, Created, DisputeLost, DisputeOpened, DisputeReviewed, Failed,
            Processing, RefundDone, RefundPending, RefundTotal, RequiresAction,
        };
        let beat = |after_ms, moment| Beat { after_ms, moment, late_by_ms: 0, times: 1 };
        let happy = || vec![beat(0, Created), beat(1_200, Processing), beat(1_800, Captured)];
        let and = |mut first: Vec<Beat>, rest: Vec<Beat>| {
            first.extend(rest);
            first
        };
        let refund = |part| {
            vec![
                beat(2_500, RefundPending(part)),
                beat(2_000, RefundDone(part)),
                beat(800, RefundTotal(part)),
            ]
        };
        match self {
            Self::Happy => happy(),
            Self::AuthorizeCapture => vec![beat(0, Created), beat(1_500, Authorized), beat(2_500, Captured)],
            Self::ThreeDSecure => {
                vec![
                    beat(0, Created),
                    beat(1_000, RequiresAction),
                    beat(2_500, Processing),
                    beat(1_500, Captured),
                ]
            }
            Self::DeclinedThenPaid => {
                vec![beat(0, Created), beat(1_500, Failed), beat(2_500, Processing), beat(1_500, Captured)]
            }
            Self::Canceled => vec![beat(0, Created), beat(2_500, Canceled)],
            Self::Refund => and(happy(), refund(Part::All)),
            Self::PartialRefund => and(happy(), refund(Part::Half)),
            Self::Dispute => and(
                happy(),
                vec![beat(2_500, DisputeOpened), beat(2_000, DisputeReviewed), beat(2_500, DisputeLost)],
            ),
            Self::OutOfOrder => vec![
                beat(0, Captured),
                Beat { late_by_ms: 4_000, ..beat(1_500, Processing) },
                Beat { late_by_ms: 8_000, ..beat(1_500, Created) },
            ],
            Self::Duplicates => happy().into_iter().map(|beat| Beat { times: 3, ..beat }).collect(),
        }
    }
}

impl FromStr for Life {
    type Err = UnknownLife;

    fn from_str(text: &str) -> Result<Self, UnknownLife> {
        Self::ALL.into_iter().find(|life| life.name() == text).ok_or(UnknownLife)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
