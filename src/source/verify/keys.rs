//! Keys that a provider publishes and a request only names: a ring of them, each fetched when it is first named.
//!
//! A stranger can name keys without end and prove nothing. So everything here has a bound: one fetch for a key, however many
//! deliveries wait for it; a few fetches a minute for each host and for all; a shelf of fixed size, which also remembers what
//! there is not; few who wait, and not for long. Who waits no longer is deferred, and when the provider sends the delivery
//! again, the key is there. What strangers can do all the same, `budget` says.
//!
//! A ring belongs to one source, so that junk sent to one never costs another its keys. It outlasts a reload, unless it is
//! another place that the source asks from then on, or as another client. It knows how keys are had and for how long they are
//! good; what they verify, the gate knows.

mod budget;
mod certificates;
mod key;
mod origin;
mod plaid;
mod shelf;

pub(crate) use certificates::Certificates;
pub(crate) use plaid::PlaidKeys;

use super::{rejection::Rejection, request::UnverifiedRequest};
use crate::{outbound::Outbound, payment::Time, redact};
pub(crate) use key::{FetchedKey, NoKey};
pub(crate) use origin::Origin;
use shelf::{Fetched, Look, Shelf};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

/// How long a delivery waits for its key. Both providers that publish keys give us ten seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Deliveries of one source that may wait at once. With a body of 1 MiB each they hold a quarter of what all bodies together
/// may, by default.
const MAX_WAITING: usize = 64;

/// The keys of one source. Cloning shares them.
#[derive(Clone)]
pub(crate) struct KeyRing {
    source: Arc<str>,
    origin: Arc<Origin>,
    outbound: Outbound,
    shelf: Arc<Mutex<Shelf>>,
    waiting: Arc<Semaphore>,
}

impl KeyRing {
    /// An empty ring.
    pub(crate) fn new(source: Arc<str>, origin: Origin, outbound: Outbound) -> Self {
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        Self { source, origin: Arc::new(origin), outbound, shelf: Arc::default(), waiting }
    }

    /// Goes on with the keys of an earlier ring, and with what it is fetching, if they come from the same place. What asks for
    /// more is this ring's own: its TLS trusts what the machine trusts by now.
    pub(crate) fn inherit(&mut self, earlier: &Self) {
        if self.origin == earlier.origin {
            (self.shelf, self.waiting) = (Arc::clone(&earlier.shelf), Arc::clone(&earlier.waiting));
        }
    }

    /// The key that a request of `peer` names.
    pub(crate) async fn key(
        &self,
        request: UnverifiedRequest<'_>,
        peer: Option<IpAddr>,
    ) -> Result<Arc<FetchedKey>, NoKey> {
        let (name, at) = (self.origin.name_of(request).map_err(NoKey::Refused)?, request.received_at);
        let look = self.shelf().look(&name, peer, Instant::now());
        let key = match look {
            Look::Held(key) => key,
            Look::Stale(key) => {
                self.fetch(name.clone(), at, None);
                key
            }
            Look::Missing(told, tells) => {
                self.fetch(name.clone(), at, Some(told));
                self.wait(tells).await?
            }
            Look::Asked(tells) => self.wait(tells).await?,
            Look::No(why) => return Err(why),
        };
        // At every delivery: a certificate may have run out since. It costs two verifications more, some 50 µs.
        if self.origin.vouches(&name, &key, at) {
            Ok(key)
        } else {
            Err(NoKey::Refused(Rejection::UntrustedKey))
        }
    }

    /// Fetches a key in the background, so that it gets here even if nobody waits any more.
    fn fetch(&self, name: String, at: Time, told: Option<watch::Sender<Fetched>>) {
        let ring = self.clone();
        tokio::spawn(async move {
            let fetched = ring.origin.fetch(&ring.outbound, &name, at).await.map(Arc::new);
            let fetched = fetched.map_err(|why| {
                let key = redact::text(&name, 256);
                tracing::warn!(source = %ring.source, key, %why, "a key to verify with was not to be had");
                NoKey::from(&why)
            });
            ring.shelf().put(&name, &fetched, Instant::now(), ring.origin.ageing());
            if let Some(told) = told {
                told.send_replace(Some(fetched));
            }
        });
    }

    async fn wait(&self, mut tells: watch::Receiver<Fetched>) -> Result<Arc<FetchedKey>, NoKey> {
        let _place = self.waiting.try_acquire().map_err(|_| NoKey::TooMany)?;
        match timeout(PATIENCE, tells.wait_for(Option::is_some)).await {
            Ok(Ok(told)) => told.clone().unwrap_or(Err(NoKey::Unavailable)),
            Ok(Err(_)) | Err(_) => Err(NoKey::Unavailable),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
