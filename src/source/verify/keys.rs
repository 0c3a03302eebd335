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
mod plaid;
mod shelf;

pub(super) use certificates::Certificates;
pub(super) use plaid::PlaidKeys;

use super::{adapter::Unproven, signature::Rejection};
use crate::{
    outbound::{Outbound, OutboundError},
    payment::Time,
    redact,
};
use aws_lc_rs::signature::ParsedPublicKey;
use rustls_pki_types::CertificateDer;
use shelf::{Ageing, Look, Shelf, Told};
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

/// Where keys come from.
#[derive(PartialEq)]
pub(super) enum Origin {
    /// A certificate, at an address that the request names.
    Certificates(Certificates),
    /// Plaid's API.
    Plaid(PlaidKeys),
}

/// A key that was fetched.
pub(super) struct Key {
    /// What signatures are verified with.
    pub(super) public: ParsedPublicKey,
    /// The certificates that vouch for it, its own first; none where the provider handed out the bare key.
    chain: Vec<CertificateDer<'static>>,
    /// When the provider took it out of use.
    expired_at: Option<Time>,
}

/// Why there is no key to verify with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoKey {
    /// It is not the provider's, or not any more.
    Refused(Rejection),
    /// It could not be fetched, or not in time.
    Unavailable,
    /// Too many keys were asked for that are not known.
    TooMany,
}

/// Why a fetch brought no key.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    /// The provider says so.
    #[error("the provider knows no such key")]
    Unknown,
    /// It is there, and not to be trusted.
    #[error("the key can't be trusted: {0}")]
    Untrusted(String),
    /// The provider answered with something else.
    #[error("the answer has status {0}{1}")]
    Status(u16, String),
    /// It did not answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// The keys of one source. Cloning shares them.
#[derive(Clone)]
pub(super) struct KeyRing {
    source: Arc<str>,
    origin: Arc<Origin>,
    outbound: Outbound,
    shelf: Arc<Mutex<Shelf>>,
    waiting: Arc<Semaphore>,
}

impl Origin {
    /// What the request calls its key, if a key of the provider's may be called that. Nothing is fetched for another name.
    fn name_of(&self, request: Unproven<'_>) -> Result<String, Rejection> {
        match self {
            Self::Certificates(certificates) => certificates.name_of(request.around),
            Self::Plaid(_) => super::adapter::plaid::key_id(request.around),
        }
    }

    async fn fetch(&self, outbound: &Outbound, name: &str, at: Time) -> Result<Key, FetchError> {
        match self {
            Self::Certificates(certificates) => certificates.fetch(outbound, name, at).await,
            Self::Plaid(keys) => keys.fetch(outbound, name).await,
        }
    }

    /// Whether a key that was good once still is.
    fn vouches(&self, name: &str, key: &Key, at: Time) -> bool {
        let is_chained = match self {
            Self::Certificates(certificates) => certificates.check(name, &key.chain, at).is_ok(),
            Self::Plaid(_) => true,
        };
        is_chained && key.expired_at.is_none_or(|expired_at| at < expired_at)
    }

    /// How its keys age. What a certificate says never changes.
    const fn ageing(&self) -> Option<Ageing> {
        match self {
            Self::Certificates(_) => None,
            Self::Plaid(_) => Some(plaid::AGEING),
        }
    }
}

impl KeyRing {
    /// An empty ring.
    pub(super) fn new(source: Arc<str>, origin: Origin, outbound: Outbound) -> Self {
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        Self { source, origin: Arc::new(origin), outbound, shelf: Arc::default(), waiting }
    }

    /// Goes on with the keys of an earlier ring, and with what it is fetching, if they come from the same place. What asks for
    /// more is this ring's own: its TLS trusts what the machine trusts by now.
    pub(super) fn inherit(&mut self, earlier: &Self) {
        if self.origin == earlier.origin {
            (self.shelf, self.waiting) = (Arc::clone(&earlier.shelf), Arc::clone(&earlier.waiting));
        }
    }

    /// The key that a request of `peer` names.
    pub(super) async fn key(&self, request: Unproven<'_>, peer: Option<IpAddr>) -> Result<Arc<Key>, NoKey> {
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
    fn fetch(&self, name: String, at: Time, told: Option<watch::Sender<Told>>) {
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

    async fn wait(&self, mut tells: watch::Receiver<Told>) -> Result<Arc<Key>, NoKey> {
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

impl From<&FetchError> for NoKey {
    fn from(error: &FetchError) -> Self {
        match error {
            FetchError::Unknown | FetchError::Untrusted(_) => Self::Refused(Rejection::UntrustedKey),
            FetchError::Status(..) | FetchError::Outbound(_) => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
