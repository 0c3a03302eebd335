//! The shop: takes orders, signs tokens for them, and has the provider tell their payments' lives.

use super::{
    provider::{self, Provider},
    realm,
};
use crate::{
    access::Access,
    clock,
    http::demo::{DemoError, DemoShop, Order},
    payment::{Currency, Name},
    scenario::{self, Life, Step},
    source::Source,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};

/// How long a page's token lasts; the page asks for another one when it needs it.
const TOKEN_TTL: Duration = Duration::from_secs(15 * 60);

/// The oldest orders are forgotten beyond this: a page left open must not fill the memory.
const ORDERS: usize = 1_000;

/// Lives being told at the same time.
const LIVES: usize = 64;

/// What the first order costs, and by how much each further one is dearer, in cents.
const PRICES: (i64, i64) = (12_900, 350);

pub(super) struct Shop {
    provider: Arc<Provider>,
    access: Access,
    realm: Name,
    currency: Currency,
    orders: Mutex<Orders>,
    lives: Arc<Semaphore>,
    restart: Notify,
    gateway: OnceLock<SocketAddr>,
}

#[derive(Default)]
struct Orders {
    taken: i64,
    known: VecDeque<Known>,
}

#[derive(Clone)]
struct Known {
    payment: Name,
    number: String,
    amount: i64,
    /// Held while a life is told: lives of one payment are told one after the other.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Shop {
    /// A shop whose provider signs as `source`, and whose tokens `access` signs.
    pub(super) fn new(source: Source, access: Access) -> anyhow::Result<Self> {
        Ok(Self {
            provider: Arc::new(Provider::new(source)?),
            access,
            realm: realm()?,
            currency: "EUR".parse()?,
            orders: Mutex::default(),
            lives: Arc::new(Semaphore::new(LIVES)),
            restart: Notify::new(),
            gateway: OnceLock::new(),
        })
    }

    /// The gateway takes webhooks at this address, now and after each restart.
    pub(super) fn opened(&self, gateway: SocketAddr) {
        self.gateway.get_or_init(|| gateway);
    }

    /// Returns when somebody wants the gateway restarted.
    pub(super) async fn restart_asked(&self) {
        self.restart.notified().await;
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, payment: &Name) -> Result<Known, DemoError> {
        let known = self.orders().known.iter().find(|known| known.payment == *payment).cloned();
        known.ok_or(DemoError::UnknownPayment)
    }

    fn with_token(&self, known: Known) -> Result<Order, DemoError> {
        let payments = std::slice::from_ref(&known.payment);
        let token = self
            .access
            .mint(None, &self.realm, payments, TOKEN_TTL, clock::now())
            .map_err(|_| DemoError::Token)?;
        let Known { payment, number, amount, .. } = known;
        Ok(Order { payment, token, number, amount, currency: self.currency })
    }

    /// Has the provider tell a life, once the payment's earlier ones are told. `part` picks what of it is told.
    fn tell(&self, known: &Known, life: Life, part: fn(&Step) -> bool) -> Result<(), DemoError> {
        let permit = Arc::clone(&self.lives).try_acquire_owned().map_err(|_| DemoError::Busy)?;
        let gateway = *self.gateway.get().ok_or(DemoError::Busy)?;
        let (provider, currency) = (Arc::clone(&self.provider), self.currency);
        let Known { payment, amount, turn, .. } = known.clone();
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            let steps =
                scenario::steps(provider::SOURCE, life, payment.as_str(), amount, currency, clock::now());
            match steps {
                Ok(steps) => provider.tell(steps.into_iter().filter(part).collect(), gateway).await,
                Err(error) => tracing::error!(%error, "the life cannot be told"),
            }
            drop(permit);
        });
        Ok(())
    }
}

impl DemoShop for Shop {
    fn begin(&self, life: &str) -> Result<Order, DemoError> {
        let life: Life = life.parse().map_err(|_| DemoError::UnknownLife)?;
        let known = self.orders().take().ok_or(DemoError::UnknownPayment)?;
        self.tell(&known, life, |_| true)?;
        self.with_token(known)
    }

    fn go_on(&self, payment: &Name, life: &str) -> Result<Order, DemoError> {
        let life: Life = life.parse().map_err(|_| DemoError::UnknownLife)?;
        let known = self.known(payment)?;
        // The payment has been paid for already: what is left of a refund or a dispute is what follows the payment.
        self.tell(&known, life, |step| !step.event_type.starts_with("payment_intent."))?;
        self.with_token(known)
    }

    fn order(&self, payment: &Name) -> Result<Order, DemoError> {
        self.with_token(self.known(payment)?)
    }

    fn restart(&self) {
        self.restart.notify_one();
    }
}

impl Orders {
    fn take(&mut self) -> Option<Known> {
        self.taken += 1;
        let known = Known {
            payment: format!("pi_{}", hex::encode(rand::random::<[u8; 12]>())).parse().ok()?,
            number: format!("FK-{}", 4_100 + self.taken),
            amount: PRICES.0 + (self.taken - 1) % 20 * PRICES.1,
            turn: Arc::default(),
        };
        self.known.push_back(known.clone());
        if self.known.len() > ORDERS {
            self.known.pop_front();
        }
        Some(known)
    }
}
