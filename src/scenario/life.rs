//! The lives of payments as scripts of moments, in terms that belong to no provider.

use std::{fmt, str::FromStr};

/// A scenario: the life of a payment from its creation to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// The payment is created, processed and paid.
    Happy,
    /// The payment is authorised first and captured later.
    AuthorizeCapture,
    /// The customer has to confirm the payment with the bank.
    ThreeDSecure,
    /// The first attempt fails and the second one succeeds.
    DeclinedThenPaid,
    /// The payment is canceled before it was paid.
    Canceled,
    /// The payment is paid and then refunded in full.
    Refund,
    /// The payment is paid and then half of it is refunded.
    PartialRefund,
    /// The payment is paid, then disputed, and the dispute is lost.
    Dispute,
    /// The webhook "paid" arrives before those of the earlier moments.
    OutOfOrder,
    /// Every webhook arrives three times.
    Duplicates,
}

/// There is no scenario of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no scenario of that name")]
pub struct UnknownLife;

/// Something that can happen to a payment, whatever providers call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    Created,
    RequiresAction,
    Processing,
    Failed,
    Authorized,
    Captured,
    Canceled,
    RefundPending(Share),
    RefundDone(Share),
    /// The provider reports the total of all refunds so far, besides the refund itself.
    RefundTotal(Share),
    DisputeOpened,
    DisputeReviewed,
    DisputeLost,
}

/// The share of the payment that is refunded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Share {
    Half,
    All,
}

/// Whether an event is about the payment itself or about what follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The payment is made: from its creation to its capture or its cancellation.
    Payment,
    /// The money goes back: a refund or a dispute.
    Reversal,
}

impl Moment {
    /// The stage that the moment belongs to.
    pub(super) const fn stage(self) -> Stage {
        match self {
            Self::Created
            | Self::RequiresAction
            | Self::Processing
            | Self::Failed
            | Self::Authorized
            | Self::Captured
            | Self::Canceled => Stage::Payment,
            Self::RefundPending(_)
            | Self::RefundDone(_)
            | Self::RefundTotal(_)
            | Self::DisputeOpened
            | Self::DisputeReviewed
            | Self::DisputeLost => Stage::Reversal,
        }
    }
}

impl Share {
    /// This share of an amount, rounded down.
    pub(super) const fn of(self, amount: i64) -> i64 {
        match self {
            Self::Half => amount / 2,
            Self::All => amount,
        }
    }
}

/// One step of a script: a moment, and how its webhook is delivered.
pub(super) struct Beat {
    /// The webhook is sent this long after the previous one.
    pub(super) after_ms: u32,
    pub(super) moment: Moment,
    /// The moment happened this long before its webhook is sent.
    pub(super) late_by_ms: u32,
    /// The number of deliveries of the same webhook, at least one.
    pub(super) times: usize,
}

impl Life {
    /// All lives.
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

    /// The name of the scenario on the command line and in the demo.
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

    /// What happens in the scenario, for lists.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Happy => "the payment is created, processed and paid",
            Self::AuthorizeCapture => "the payment is authorised first and captured later",
            Self::ThreeDSecure => "the customer confirms with the bank, then the payment is paid",
            Self::DeclinedThenPaid => "the first attempt fails and the second one succeeds",
            Self::Canceled => "the payment is canceled before it was paid",
            Self::Refund => "the payment is paid and then refunded in full",
            Self::PartialRefund => "the payment is paid and then half of it is refunded",
            Self::Dispute => "the payment is paid, then disputed, and the dispute is lost",
            Self::OutOfOrder => "the webhook \"paid\" arrives before the earlier ones",
            Self::Duplicates => "every webhook arrives three times",
        }
    }

    /// The steps of the scenario. Their pace suits a person who watches a checkout page: slow enough to read each status, fast enough
    /// to stay interesting.
    pub(super) fn script(self) -> Vec<Beat> {
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
            Self::Refund => and(happy(), refund(Share::All)),
            Self::PartialRefund => and(happy(), refund(Share::Half)),
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
