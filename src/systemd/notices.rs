//! What the service manager is told: when the gateway is ready, when it reloads its configuration, when it stops, and, as long as it
//! works, that it does. Nothing is sent if no service manager asked for it (`NOTIFY_SOCKET`).

use sd_notify::NotifyState;
use std::{pin::pin, time::Duration};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the watchdog hears of the gateway within its timeout, so that one late notice does no harm.
const BEATS: u32 = 3;

/// The time for what follows the drain: deliveries that are in progress, and the store.
const AFTER_DRAIN: Duration = Duration::from_secs(15);

/// Says that all sockets accept connections.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Says that the configuration is being read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // The service manager would wait in vain for a reload whose beginning it cannot tell.
        Err(error) => tracing::warn!(%error, "the service manager is not told of the reload"),
    }
}

/// Says that the reload is over, and whether the new configuration is in use.
pub fn reloaded(is_done: bool) {
    let status =
        if is_done { "serving" } else { "serving; the last reload was refused, and the log says why" };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the gateway drains and ends, for which it needs up to `window`, whatever the service manager would grant.
pub fn stopping(window: Duration) {
    let granted = u32::try_from((window + AFTER_DRAIN).as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::Status("draining"), NotifyState::ExtendTimeoutUsec(granted)]);
}

/// How long the service manager waits for a sign of life before it ends the process. `None` if it does not ask for any.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero())
}

/// Tells the watchdog that the process works, each time that `works` has returned. It never returns.
///
/// If `works` does not return, the watchdog hears nothing more and ends the process after `patience`. So `works` must not depend on
/// anything that a restart does not mend, such as the store or the network.
pub async fn keep_watchdog<F: Future<Output = ()>>(patience: Duration, works: impl Fn() -> F) {
    beat(patience, works, || tell(&[NotifyState::Watchdog])).await;
}

async fn beat<F: Future<Output = ()>>(patience: Duration, works: impl Fn() -> F, tell: impl Fn()) {
    let period = patience / BEATS;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut answer = pin!(works());
        if timeout(period, answer.as_mut()).await.is_err() {
            tracing::error!(
                patience_s = patience.as_secs_f64(),
                "a thread does not answer; the service manager's watchdog is not told that the gateway works"
            );
            answer.await;
        }
        tell();
    }
}

/// Sends a notice. A service manager that cannot be reached is logged and nothing else, since it will act by itself.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told of the state of the gateway");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::{Cell, RefCell},
        future::pending,
        rc::Rc,
    };
    use tokio::time::{Instant, sleep};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// When the watchdog heard of a process within five minutes that answers like this, in seconds.
    async fn heard<F: Future<Output = ()>>(works: impl Fn() -> F) -> Vec<u64> {
        let (begun, heard) = (Instant::now(), Rc::new(RefCell::new(Vec::new())));
        let tell = {
            let heard = Rc::clone(&heard);
            move || heard.borrow_mut().push(begun.elapsed().as_secs())
        };
        let ended = timeout(Duration::from_secs(300), beat(PATIENCE, works, tell)).await;
        assert!(ended.is_err(), "it went on until the end");
        heard.take()
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_three_times_within_its_patience_while_the_gateway_works() {
        let all = heard(|| async {}).await;
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] <= 10), "{all:?}");
        assert!(all.len() >= 30, "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_nothing_of_a_gateway_whose_threads_do_not_answer() {
        assert!(heard(pending::<()>).await.is_empty());
        let answers = &Cell::new(3);
        let all = heard(|| async move {
            match answers.get() {
                0 => pending().await,
                left => answers.set(left - 1),
            }
        })
        .await;
        assert_eq!(all.len(), 3, "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_answers_late_is_heard_late() {
        let all = heard(|| sleep(Duration::from_secs(25))).await;
        assert!(all.len() >= 8 && all.iter().all(|at| at % 25 < 20), "{all:?}");
    }
}
