//! Lives as scripts of moments, in no provider's words.

use std::{fmt, str::FromStr};

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

/// No scenario of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no scenario of that name")]
pub struct UnknownLife;

/// What can happen to a payment, in no provider's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
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
pub(super) enum Part {
    Half,
    All,
}

impl Part {
    pub(super) const fn of(self, amount: i64) -> i64 {
        match self {
            Self::Half => amount / 2,
            Self::All => amount,
        }
    }
}

/// A moment in a script.
pub(super) struct Beat {
    /// Sent this long after the one before.
    pub(super) after_ms: u32,
    pub(super) moment: Moment,
    /// It happened this long before it is sent.
    pub(super) late_by_ms: u32,
    /// So many deliveries in all.
    pub(super) times: usize,
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

    /// The pace of the beats is that of a checkout which one watches: long enough to be read, short enough not to bore.
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
