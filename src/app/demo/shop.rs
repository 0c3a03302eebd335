//! The shop of the demo: accepts orders, signs tokens for their payments, and lets the simulated provider post their webhooks.

use super::stripe::StripeSimulator;
use crate::{
    access::Access,
    clock,
    http::demo::{DemoError, DemoShop, Order},
    payment::{ALL_PAYMENTS, Currency, Name},
    scenario::{self, Life, SimulatedPayment, Stage, Webhook},
    source::Source,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};

/// How long the token of a page is valid. The page requests another one before it expires.
const TOKEN_TTL: Duration = Duration::from_secs(15 * 60);

/// The number of orders that are kept. Beyond it the oldest is dropped, so that a page that stays open cannot fill the memory.
const ORDERS: usize = 1_000;

/// The number of lives that are played at the same time.
const LIVES: usize = 64;

/// The price of the first order, and how much more each further one costs, in cents.
const PRICES: (i64, i64) = (12_900, 350);

/// The shop behind the page's buttons.
pub(super) struct CheckoutShop {
    stripe: Arc<StripeSimulator>,
    access: Access,
    realm: Name,
    currency: Currency,
    orders: Mutex<Orders>,
    /// One permit for each life that is played.
    lives: Arc<Semaphore>,
    /// Notified when a visitor asks for a restart.
    restart: Notify,
    /// The address of the ingest listener, once the gateway has started.
    gateway: OnceLock<SocketAddr>,
}

/// The orders of all visitors, oldest first.
#[derive(Default)]
struct Orders {
    /// The number of orders so far, including those that were dropped.
    accepted: i64,
    kept: VecDeque<KnownOrder>,
}

/// What the shop remembers about an order.
#[derive(Clone)]
struct KnownOrder {
    payment: Name,
    number: String,
    amount: i64,
    /// Held while a life is played, so that the lives of one payment are played one after the other.
    playing: Arc<tokio::sync::Mutex<()>>,
}

impl CheckoutShop {
    /// A shop whose provider signs webhooks with the secret of `source`, and whose tokens `access` signs.
    pub(super) fn new(source: Source, access: Access) -> anyhow::Result<Self> {
        Ok(Self {
            realm: source.realm().clone(),
            stripe: Arc::new(StripeSimulator::new(source)?),
            access,
            currency: "EUR".parse()?,
            orders: Mutex::default(),
            lives: Arc::new(Semaphore::new(LIVES)),
            restart: Notify::new(),
            gateway: OnceLock::new(),
        })
    }

    /// Sets the address at which the gateway takes webhooks. It stays the same after a restart.
    pub(super) fn set_gateway(&self, gateway: SocketAddr) {
        self.gateway.get_or_init(|| gateway);
    }

    /// Returns when a visitor asks for a restart of the gateway.
    pub(super) async fn restart_requested(&self) {
        self.restart.notified().await;
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, payment: &Name) -> Result<KnownOrder, DemoError> {
        let known = self.orders().kept.iter().find(|known| known.payment == *payment).cloned();
        known.ok_or(DemoError::UnknownPayment)
    }

    fn token(&self, payment: &Name) -> Result<String, DemoError> {
        let payments = std::slice::from_ref(payment);
        let token = self.access.mint(None, &self.realm, payments, TOKEN_TTL, clock::now());
        token.map_err(|_| DemoError::Token)
    }

    fn with_token(&self, known: KnownOrder) -> Result<Order, DemoError> {
        let token = self.token(&known.payment)?;
        let KnownOrder { payment, number, amount, .. } = known;
        Ok(Order { payment, token, number, amount, currency: self.currency })
    }

    /// Lets the provider play a life, after the earlier lives of the same payment. Only the webhooks that `select` accepts are posted.
    fn play(&self, known: &KnownOrder, life: Life, select: fn(&Webhook) -> bool) -> Result<(), DemoError> {
        let permit = Arc::clone(&self.lives).try_acquire_owned().map_err(|_| DemoError::Busy)?;
        let gateway = *self.gateway.get().ok_or(DemoError::Busy)?;
        let (stripe, currency) = (Arc::clone(&self.stripe), self.currency);
        let KnownOrder { payment, amount, playing, .. } = known.clone();
        tokio::spawn(async move {
            let _playing = playing.lock().await;
            let payment = SimulatedPayment { id: payment.as_str(), amount, currency };
            let webhooks = scenario::webhooks(&stripe.provider, life, payment, clock::now());
            match webhooks {
                Ok(webhooks) => stripe.post_all(webhooks.into_iter().filter(select).collect(), gateway).await,
                Err(error) => tracing::error!(%error, "the scenario cannot be played"),
            }
            drop(permit);
        });
        Ok(())
    }
}

impl DemoShop for CheckoutShop {
    fn begin(&self, life: &str) -> Result<Order, DemoError> {
        let life: Life = life.parse().map_err(|_| DemoError::UnknownLife)?;
        let known = self.orders().accept().ok_or(DemoError::UnknownPayment)?;
        self.play(&known, life, |_| true)?;
        self.with_token(known)
    }

    fn go_on(&self, payment: &Name, life: &str) -> Result<Order, DemoError> {
        let life: Life = life.parse().map_err(|_| DemoError::UnknownLife)?;
        let known = self.known(payment)?;
        // The payment is paid already, so only the webhooks that follow the payment are posted.
        self.play(&known, life, |webhook| webhook.stage == Stage::Reversal)?;
        self.with_token(known)
    }

    fn order(&self, payment: &Name) -> Result<Order, DemoError> {
        self.with_token(self.known(payment)?)
    }

    fn all_payments(&self) -> Result<String, DemoError> {
        self.token(&ALL_PAYMENTS.parse().map_err(|_| DemoError::Token)?)
    }

    fn restart(&self) {
        self.restart.notify_one();
    }
}

impl Orders {
    /// Creates an order with the next number and price.
    fn accept(&mut self) -> Option<KnownOrder> {
        self.accepted += 1;
        let known = KnownOrder {
            payment: format!("pi_{}", hex::encode(rand::random::<[u8; 12]>())).parse().ok()?,
            number: format!("FK-{}", 4_100 + self.accepted),
            amount: PRICES.0 + (self.accepted - 1) % 20 * PRICES.1,
            playing: Arc::default(),
        };
        self.kept.push_back(known.clone());
        if self.kept.len() > ORDERS {
            self.kept.pop_front();
        }
        Some(known)
    }
}
