//! Backfill: the events that a provider lists are taken as if webhooks had brought them, so that those which got lost on their way are found.
//!
//! They have the identity that their webhooks have, so what came before is a duplicate, and a backfill may be repeated, broken off and gone on
//! with. The connection to the provider vouches for them in place of a signature.

use super::{
    Ingest,
    delivery::Delivery,
    outcome::{Dealt, Taken},
    read,
};
use crate::{
    clock,
    outbound::{Outbound, OutboundError, ProviderAnswer},
    payment::Time,
    source::{PageError, Past, PastCursor, PastPage, Source},
    store::OutcomeKind,
};
use futures_util::future::join_all;
use http::HeaderMap;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest page, in bytes: some hundred events.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// Events that are taken at once, so that they wait for one sync of the disk.
const AT_ONCE: usize = 16;

/// What vouches for events that the provider was asked for, in the place of a secret's name.
const BY_API: &str = "[source.api]";

/// What came of one page of a provider's events.
#[derive(Clone, Debug, Default)]
pub struct Backfilled {
    /// The number of events that happened since the time that was asked for.
    pub events: u64,
    /// How many of them had each outcome, by its word.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// When the oldest event of the page happened.
    pub oldest: Option<Time>,
    /// Where the next page begins; none after the last one.
    pub next: Option<PastCursor>,
}

/// Why a page was not taken. What was taken before stays.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The preset does not say how events are listed, or the source has no API key.
    #[error(
        "the source's provider cannot be asked for its events: it needs [source.api] and a preset with [backfill]"
    )]
    NotListed,
    /// The provider cannot be reached, or answers with an error.
    #[error("the provider cannot be asked: {0}")]
    Unavailable(String),
    /// The provider's rate limit is exceeded.
    #[error("the provider's rate limit is exceeded")]
    Throttled {
        /// How long the provider asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider refuses the credentials, with this HTTP status.
    #[error("the provider refuses the source's api.key (status {0})")]
    Denied(u16),
    /// The answer is no page of events.
    #[error(transparent)]
    Page(#[from] PageError),
    /// Our own store failed, or too much is in work.
    #[error("an event could not be stored; ask again")]
    Deferred,
}

impl From<OutboundError> for BackfillError {
    fn from(error: OutboundError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Ingest {
    /// Asks the provider of a source for a page of its events since a time, and takes them. Waits as long as the provider wants to be left alone
    /// between two requests.
    pub async fn backfill(
        &self,
        source: &Source,
        since: Time,
        cursor: Option<&PastCursor>,
    ) -> Result<Backfilled, BackfillError> {
        let past = source.past().ok_or(BackfillError::NotListed)?;
        let PastPage { events, oldest, next } = self.past_page(past, since, cursor).await?;
        let _permit = self.deliveries.try_acquire().map_err(|_| BackfillError::Deferred)?;
        let mut done = Backfilled { events: events.len() as u64, oldest, next, ..Backfilled::default() };
        for some in events.chunks(AT_ONCE) {
            let taken = join_all(some.iter().map(|event| self.take_past(source, event))).await;
            for Taken { outcome, .. } in taken.into_iter().flatten() {
                if outcome.kind() == OutcomeKind::Deferred {
                    return Err(BackfillError::Deferred);
                }
                *done.outcomes.entry(outcome.word()).or_default() += 1;
            }
        }
        Ok(done)
    }

    async fn past_page(
        &self,
        past: &Past,
        since: Time,
        cursor: Option<&PastCursor>,
    ) -> Result<PastPage, BackfillError> {
        let request = past.request(since, cursor);
        let request =
            request.ok_or_else(|| BackfillError::Unavailable("its address cannot be built".to_owned()))?;
        {
            // Whoever else asks waits for its turn.
            let mut next_at = past.next_at.lock().await;
            if let Some(at) = *next_at {
                tokio::time::sleep_until(at.into()).await;
            }
            *next_at = Some(Instant::now() + past.spacing());
        }
        let ProviderAnswer { status, retry_after, body } =
            self.outbound()?.ask_for(request, MAX_PAGE_BYTES).await?;
        match status {
            200..=299 => Ok(past.page(&body, since, self.limits.get().json_depth)?),
            401 | 403 => Err(BackfillError::Denied(status)),
            429 => Err(BackfillError::Throttled { retry_after }),
            _ => Err(BackfillError::Unavailable(format!("it answers with status {status}"))),
        }
    }

    /// The client for requests of our own, which is built by the first one.
    fn outbound(&self) -> Result<&Outbound, OutboundError> {
        match self.outbound.get() {
            Some(outbound) => Ok(outbound),
            None => {
                let built = Outbound::new()?;
                Ok(self.outbound.get_or_init(|| built))
            }
        }
    }

    /// Takes one event as if a webhook had brought it alone.
    async fn take_past(&self, source: &Source, event: &serde_json::Value) -> Vec<Taken> {
        let started = Instant::now();
        let body = source.as_delivery(event).to_string();
        let headers = &HeaderMap::new();
        let delivery =
            Delivery { headers, query: "", body: body.as_bytes(), received_at: clock::now(), peer: None };
        let read = read::unsigned(source, &delivery, Arc::from(BY_API), self.limits.get().json_depth);
        let Dealt { secret, taken } = self.take_read(source, &delivery, read).await;
        self.account.note_past(source, &delivery, secret, &taken, started);
        taken
    }
}
