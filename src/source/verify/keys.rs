//! Keys that a provider publishes and a request only names: a ring of them, each fetched when a request first names it.
//!
//! A stranger can name any number of keys and prove nothing. So everything here has a bound: one fetch for a key, however many
//! deliveries wait for it; a few fetches a minute for each host and for all; a shelf of fixed size, which also remembers names
//! without a key; a limited number of deliveries that wait, and not for long. A delivery that has waited too long is deferred,
//! and when the provider sends it again, the key is there. `budget` says what strangers can still do.
//!
//! A ring belongs to one source, so that junk sent to one never costs another its keys. It outlasts a reload, unless the source
//! then asks at another place or as another client. A ring knows how keys are fetched and for how long they are good; it does
//! not know what they verify.

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

/// How long a delivery waits for its key. Both providers that publish keys wait ten seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most deliveries of one source that wait at once. With a body of 1 MiB each they hold a quarter of what all bodies
/// together may hold by default.
const MAX_WAITING: usize = 64;

/// The keys of one source. Cloning shares them.
#[derive(Clone)]
pub(crate) struct KeyRing {
    /// The name of the source, for log lines.
    source: Arc<str>,
    /// Where the keys come from.
    origin: Arc<Origin>,
    /// The client that fetches keys.
    outbound: Outbound,
    /// What was fetched, and what is being fetched.
    shelf: Arc<Mutex<Shelf>>,
    /// Limits how many deliveries wait for a key.
    waiting: Arc<Semaphore>,
}

impl KeyRing {
    /// Builds an empty ring.
    pub(crate) fn new(source: Arc<str>, origin: Origin, outbound: Outbound) -> Self {
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        Self { source, origin: Arc::new(origin), outbound, shelf: Arc::default(), waiting }
    }

    /// Takes over the keys of an earlier ring, and the fetches that it has begun, if both rings fetch from the same place. The
    /// client for further fetches stays this ring's own, because its TLS trusts what the machine trusts by now.
    pub(crate) fn inherit(&mut self, earlier: &Self) {
        if self.origin == earlier.origin {
            (self.shelf, self.waiting) = (Arc::clone(&earlier.shelf), Arc::clone(&earlier.waiting));
        }
    }

    /// Returns the key that a request of `peer` names, and fetches it if it is not held. Fails if there is no such key, or if the
    /// key is not fetched in time.
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
            Look::Missing(sender, receiver) => {
                self.fetch(name.clone(), at, Some(sender));
                self.wait(receiver).await?
            }
            Look::Asked(receiver) => self.wait(receiver).await?,
            Look::No(why) => return Err(why),
        };
        // This is checked at every delivery, because a certificate may have expired since. It costs two more verifications, some 50 µs.
        if self.origin.vouches(&name, &key, at) {
            Ok(key)
        } else {
            Err(NoKey::Refused(Rejection::UntrustedKey))
        }
    }

    /// Fetches a key in the background, so that it arrives even if no delivery waits any more.
    fn fetch(&self, name: String, at: Time, sender: Option<watch::Sender<Fetched>>) {
        let ring = self.clone();
        tokio::spawn(async move {
            let fetched = ring.origin.fetch(&ring.outbound, &name, at).await.map(Arc::new);
            let fetched = fetched.map_err(|why| {
                let key = redact::text(&name, 256);
                tracing::warn!(source = %ring.source, key, %why, "a key for verification could not be fetched");
                NoKey::from(&why)
            });
            ring.shelf().put(&name, &fetched, Instant::now(), ring.origin.ageing());
            if let Some(sender) = sender {
                sender.send_replace(Some(fetched));
            }
        });
    }

    /// Waits for a fetch to end.
    async fn wait(&self, mut receiver: watch::Receiver<Fetched>) -> Result<Arc<FetchedKey>, NoKey> {
        let _place = self.waiting.try_acquire().map_err(|_| NoKey::TooMany)?;
        match timeout(PATIENCE, receiver.wait_for(Option::is_some)).await {
            Ok(Ok(fetched)) => fetched.clone().unwrap_or(Err(NoKey::Unavailable)),
            Ok(Err(_)) | Err(_) => Err(NoKey::Unavailable),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
