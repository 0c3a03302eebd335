//! Which webhooks are posted, for which payment, and what is expected of them.

use super::super::exit::Usage;
use crate::{
    clock,
    payment::{Currency, Time},
    scenario::{self, Life, ProviderError, SimulatedPayment, SimulatedProvider, Treatment, Webhook},
    source::Source,
};
use std::{path::Path, time::Duration};

/// How much older a stale webhook is than the source allows.
const TOO_OLD_BY: Duration = Duration::from_secs(600);

/// What the user asks for.
pub(super) enum WhatToPlay {
    /// Every scenario that the provider has.
    All,
    /// One scenario.
    Life(Life),
    /// One event, by its name.
    Event(String),
}

/// What the scenes of one command have in common.
pub(super) struct Play<'a> {
    pub(super) provider: &'a SimulatedProvider,
    pub(super) source: &'a Source,
    /// The amount in the currency's minor unit.
    pub(super) amount: i64,
    pub(super) currency: Currency,
    /// Whether the webhooks are posted without pauses.
    pub(super) is_fast: bool,
    /// The longest body that the gateway takes.
    pub(super) body_bytes: usize,
}

/// The webhooks of one scenario, or a single one.
pub(super) struct Scene {
    /// A line about the scenario, if there are several.
    pub(super) heading: Option<String>,
    /// The scenario. `None` for a single event.
    pub(super) life: Option<Life>,
    pub(super) payment: String,
    pub(super) webhooks: Vec<Webhook>,
    /// How much earlier than they are posted the webhooks are signed.
    pub(super) signed_before: Duration,
}

impl WhatToPlay {
    pub(super) fn read(text: &str) -> Self {
        match text.parse() {
            _ if text == "all" => Self::All,
            Ok(life) => Self::Life(life),
            Err(_) => Self::Event(text.to_owned()),
        }
    }
}

/// Returns the provider whose webhooks a source takes: as a file describes it, or else the one of the source's preset, or of a preset
/// that it extends.
pub(super) fn simulated(source: &Source, file: Option<&Path>) -> Result<SimulatedProvider, ProviderError> {
    if let Some(file) = file {
        return SimulatedProvider::from_file(source.provider(), file);
    }
    let names = std::iter::once(source.provider()).chain(source.extends().iter().map(String::as_str));
    let known =
        names.map(SimulatedProvider::named).find(|found| !matches!(found, Err(ProviderError::Unknown(_))));
    known.unwrap_or_else(|| Err(ProviderError::Unknown(source.provider().to_owned())))
}

impl Play<'_> {
    /// Returns what is to be posted. Fails if the provider or the source does not allow it.
    pub(super) fn scenes(&self, asked: &WhatToPlay, payment: &str) -> Result<Vec<Scene>, Usage> {
        let now = clock::now();
        match asked {
            WhatToPlay::Event(name) => {
                let webhook = scenario::event(self.provider, name, self.payment(payment), now);
                let webhooks = vec![webhook.map_err(|why| Usage(why.to_string()))?];
                let (payment, signed_before) = (payment.to_owned(), Duration::ZERO);
                Ok(vec![Scene { heading: None, life: None, payment, webhooks, signed_before }])
            }
            WhatToPlay::Life(life) => Ok(vec![self.scene(*life, payment, now)?]),
            WhatToPlay::All => {
                let lives = self.provider.lives().into_iter();
                let possible = lives.filter(|life| *life != Life::Stale || self.source.max_age().is_some());
                let scene = |life: Life| {
                    let payment = format!("{payment}-{life}");
                    let status = self.provider.status_after(life);
                    let heading = Some(format!("{life}: {payment} ends as {status}"));
                    Ok(Scene { heading, ..self.scene(life, &payment, now)? })
                };
                possible.map(scene).collect()
            }
        }
    }

    /// If the webhooks are posted without pauses, the life starts in the past, so that no event has a time in the future.
    fn scene(&self, life: Life, payment: &str, now: Time) -> Result<Scene, Usage> {
        let signed_before = match (life.treatment(), self.source.max_age()) {
            (Treatment::Stale, Some(max_age)) => max_age + TOO_OLD_BY,
            (Treatment::Stale, None) => return Err(self.takes_any_age()),
            _ => Duration::ZERO,
        };
        let play = |start| {
            let webhooks = scenario::webhooks(self.provider, life, self.payment(payment), start);
            webhooks.map_err(|why| Usage(why.to_string()))
        };
        let start = earlier(now, signed_before);
        let mut webhooks = play(start)?;
        if self.is_fast {
            webhooks = play(earlier(start, webhooks.iter().map(|webhook| webhook.delay).sum()))?;
        }
        if life.treatment() == Treatment::Giant {
            webhooks.iter_mut().for_each(|webhook| webhook.outgrow(self.body_bytes));
        }
        Ok(Scene { heading: None, life: Some(life), payment: payment.to_owned(), webhooks, signed_before })
    }

    fn payment<'a>(&self, id: &'a str) -> SimulatedPayment<'a> {
        SimulatedPayment { id, amount: self.amount, currency: self.currency }
    }

    fn takes_any_age(&self) -> Usage {
        let (source, provider) = (self.source.name(), self.provider);
        Usage(format!(
            "source {source:?} takes a webhook of any age, because {provider} signs no time or sets no limit; where a time is signed, \
             give the source a `max_age`"
        ))
    }
}

fn earlier(time: Time, by: Duration) -> Time {
    let by_ms = i64::try_from(by.as_millis()).unwrap_or_default();
    Time::from_unix_ms(time.unix_ms().saturating_sub(by_ms)).unwrap_or(time)
}
