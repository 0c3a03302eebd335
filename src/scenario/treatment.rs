//! How a webhook can be mistreated, by an attacker, by a careless shop or on its way.

/// What is wrong with the webhooks of a scenario. Whoever signs them has to see to the first two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Treatment {
    /// Nothing is wrong.
    None,
    /// It was signed too long ago.
    Stale,
    /// Its signature is not the provider's.
    Forged,
    /// It is larger than the gateway takes.
    Giant,
    /// A card number stands in it.
    CardNumber,
}

impl Treatment {
    /// Whether the gateway has to refuse the webhook.
    #[must_use]
    pub const fn is_refused(self) -> bool {
        matches!(self, Self::Stale | Self::Forged | Self::Giant)
    }
}

/// The card number of tests that every provider knows, as a customer would write it, with its check value.
pub(super) const CARD: &str = "Card 4242 4242 4242 4242, cvc 123";
