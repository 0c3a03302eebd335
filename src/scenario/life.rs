//! The lives of payments as scripts of moments, in terms that belong to no provider.

use super::{
    moment::{Moment, Share},
    treatment::Treatment,
};
use std::str::FromStr;
use strum::VariantArray as _;

/// A scenario: the life of a payment from its creation to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
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
    /// Nobody pays, and the payment runs out.
    Expired,
    /// The payment is paid and then refunded in full.
    Refund,
    /// The payment is paid and then half of it is refunded.
    PartialRefund,
    /// The payment is paid, then disputed, and the shop wins.
    DisputeWon,
    /// The payment is paid, then disputed, and the shop loses.
    DisputeLost,
    /// The webhook "paid" arrives before those of the earlier moments.
    OutOfOrder,
    /// All webhooks of a refund, or of a payment where there are no refunds, arrive in random order.
    Shuffled,
    /// Every webhook arrives three times.
    Duplicates,
    /// The webhook "paid" was signed so long ago that it is refused.
    Stale,
    /// The signature of the webhook "paid" is not the provider's, so that it is refused.
    Forged,
    /// The webhook "paid" is larger than the gateway takes, so that it is refused.
    Giant,
    /// A card number stands in the webhook "paid".
    CardNumber,
}

/// There is no scenario of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no scenario of that name")]
pub struct UnknownLife;

/// What a scenario cannot do without: an event for one of these moments.
pub(super) struct Need {
    pub(super) any_of: &'static [Moment],
    /// What such an event says, as the end of "the provider has no event that says that …".
    pub(super) says: &'static str,
}

const PAID: Need = Need { any_of: &[Moment::Captured, Moment::Authorized], says: "the payment is paid" };
const AUTHORIZED: Need =
    Need { any_of: &[Moment::Authorized], says: "the payment is authorised before it is captured" };
const CAPTURED: Need = Need { any_of: &[Moment::Captured], says: "the payment is captured" };
const ACTION: Need =
    Need { any_of: &[Moment::RequiresAction], says: "the customer has to confirm the payment" };
const FAILED: Need = Need { any_of: &[Moment::Failed], says: "an attempt failed" };
const CANCELED: Need = Need { any_of: &[Moment::Canceled], says: "the payment is canceled" };
const EXPIRED: Need = Need { any_of: &[Moment::Expired], says: "the payment has expired" };
const REFUNDED: Need = Need {
    any_of: &[Moment::Refunded, Moment::RefundTotal],
    says: "the payment is refunded, and by how much",
};
const WON: Need =
    Need { any_of: &[Moment::DisputeWon], says: "the shop has won a dispute about the payment" };
const LOST: Need =
    Need { any_of: &[Moment::DisputeLost], says: "the shop has lost a dispute about the payment" };
const EARLIER: Need = Need {
    any_of: &[Moment::Created, Moment::Processing, Moment::Authorized],
    says: "something happened before the payment was paid",
};

/// One step of a script: a moment, and how its webhook is delivered. A step for which the provider has no event is left out.
pub(super) struct Beat {
    /// The webhook is sent this long after the previous one.
    pub(super) after_ms: u32,
    pub(super) moment: Moment,
    pub(super) share: Share,
    /// The moment happened this long before its webhook is sent.
    pub(super) late_by_ms: u32,
    /// The number of deliveries of the same webhook, at least one.
    pub(super) times: usize,
}

impl Life {
    /// All lives.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The name of the scenario on the command line and in the demo.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
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
            Self::Expired => "nobody pays, and the payment runs out",
            Self::Refund => "the payment is paid and then refunded in full",
            Self::PartialRefund => "the payment is paid and then half of it is refunded",
            Self::DisputeWon => "the payment is paid, then disputed, and the shop wins",
            Self::DisputeLost => "the payment is paid, then disputed, and the shop loses",
            Self::OutOfOrder => "the webhook \"paid\" arrives before the earlier ones",
            Self::Shuffled => "all webhooks, those of a refund too, arrive in random order",
            Self::Duplicates => "every webhook arrives three times",
            Self::Stale => "the webhook \"paid\" was signed too long ago, and is refused",
            Self::Forged => "the webhook \"paid\" has a wrong signature, and is refused",
            Self::Giant => "the webhook \"paid\" is larger than allowed, and is refused",
            Self::CardNumber => "a card number stands in the webhook \"paid\", and goes nowhere",
        }
    }

    /// How the webhooks of the scenario are mistreated.
    #[must_use]
    pub const fn treatment(self) -> Treatment {
        match self {
            Self::Stale => Treatment::Stale,
            Self::Forged => Treatment::Forged,
            Self::Giant => Treatment::Giant,
            Self::CardNumber => Treatment::CardNumber,
            _ => Treatment::None,
        }
    }

    /// What the provider has to be able to say.
    pub(super) const fn needs(self) -> &'static [Need] {
        match self {
            Self::Happy
            | Self::Shuffled
            | Self::Duplicates
            | Self::Stale
            | Self::Forged
            | Self::Giant
            | Self::CardNumber => &[PAID],
            Self::AuthorizeCapture => &[AUTHORIZED, CAPTURED],
            Self::ThreeDSecure => &[ACTION, PAID],
            Self::DeclinedThenPaid => &[FAILED, PAID],
            Self::Canceled => &[CANCELED],
            Self::Expired => &[EXPIRED],
            Self::Refund | Self::PartialRefund => &[CAPTURED, REFUNDED],
            Self::DisputeWon => &[CAPTURED, WON],
            Self::DisputeLost => &[CAPTURED, LOST],
            Self::OutOfOrder => &[CAPTURED, EARLIER],
        }
    }

    /// The steps of the scenario. Their pace suits a person who watches a checkout page: slow enough to read each status, fast enough
    /// to stay interesting.
    pub(super) fn script(self) -> Vec<Beat> {
        use Moment::{
            Authorized, Canceled, Captured, Created, DisputeLost, DisputeOpened, DisputeReviewed, DisputeWon,
            Expired, Failed, Processing, RefundPending, RefundTotal, Refunded, RequiresAction,
        };
        let beats =
            |steps: &[(u32, Moment)]| -> Vec<Beat> { steps.iter().map(|step| Beat::new(*step)).collect() };
        let happy = [(0, Created), (1_200, Processing), (1_800, Captured)];
        let after_happy = |rest: &[(u32, Moment)]| beats(&[&happy, rest].concat());
        let refund = [(2_500, RefundPending), (2_000, Refunded), (800, RefundTotal)];
        let of = |share, beats: Vec<Beat>| beats.into_iter().map(|beat| Beat { share, ..beat }).collect();
        match self {
            Self::Happy => beats(&happy),
            Self::AuthorizeCapture => beats(&[(0, Created), (1_500, Authorized), (2_500, Captured)]),
            Self::ThreeDSecure => {
                beats(&[(0, Created), (1_000, RequiresAction), (2_500, Processing), (1_500, Captured)])
            }
            Self::DeclinedThenPaid => {
                beats(&[(0, Created), (1_500, Failed), (2_500, Processing), (1_500, Captured)])
            }
            Self::Canceled => beats(&[(0, Created), (2_500, Canceled)]),
            Self::Expired => beats(&[(0, Created), (2_500, Expired)]),
            Self::Refund | Self::Shuffled => after_happy(&refund),
            Self::PartialRefund => of(Share::Half, after_happy(&refund)),
            Self::DisputeWon => {
                after_happy(&[(2_500, DisputeOpened), (2_000, DisputeReviewed), (2_500, DisputeWon)])
            }
            Self::DisputeLost => {
                after_happy(&[(2_500, DisputeOpened), (2_000, DisputeReviewed), (2_500, DisputeLost)])
            }
            Self::OutOfOrder => [
                (0, Captured, 0),
                (1_500, Authorized, 3_000),
                (1_500, Processing, 6_000),
                (1_500, Created, 9_000),
            ]
            .map(|(after_ms, moment, late_by_ms)| Beat { late_by_ms, ..Beat::new((after_ms, moment)) })
            .into(),
            Self::Duplicates => beats(&happy).into_iter().map(|beat| Beat { times: 3, ..beat }).collect(),
            Self::Stale | Self::Forged | Self::Giant | Self::CardNumber => beats(&[(0, Captured)]),
        }
    }
}

impl Beat {
    const fn new((after_ms, moment): (u32, Moment)) -> Self {
        Self { after_ms, moment, share: Share::All, late_by_ms: 0, times: 1 }
    }
}

impl FromStr for Life {
    type Err = UnknownLife;

    fn from_str(text: &str) -> Result<Self, UnknownLife> {
        // The name of this scenario before there was one in which the shop wins.
        let text = if text == "dispute" { Self::DisputeLost.name() } else { text };
        Self::ALL.iter().copied().find(|life| life.name() == text).ok_or(UnknownLife)
    }
}
