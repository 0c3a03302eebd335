//! Asks a server whether an append would succeed: at the start until it would, and later for readiness.

use super::{
    check::Checks,
    error::Unfit,
    link::{Connector, Pause},
    settings::ServerError,
};
use redis::AsyncConnectionConfig;
use std::time::Duration;
use tokio::time::Instant;

/// How long a start waits for a server that does not answer or is loading its data.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Returns once the server passes the checks. Fails at once if an operator has to change something, and after
/// [`START_PATIENCE`] with the last reason otherwise.
pub(super) async fn until_fit(
    connector: &Connector,
    checks: &Checks,
    address: &str,
) -> Result<(), ServerError> {
    let until = Instant::now() + START_PATIENCE;
    let mut pause = Pause::new();
    loop {
        let reason = match ready(connector, checks).await {
            Ok(()) => return Ok(()),
            Err(Unfit::NotYet(reason)) => reason,
            Err(unfit @ Unfit::Wrong(_)) => {
                return Err(ServerError::Unfit { address: address.to_owned(), reason: unfit.to_string() });
            }
        };
        if Instant::now() >= until {
            return Err(ServerError::Unreachable { address: address.to_owned(), reason });
        }
        pause.take().await;
    }
}

/// Checks whether an append would succeed now. It opens a connection of its own, because the other connections may be busy
/// or just broken.
pub(super) async fn ready(connector: &Connector, checks: &Checks) -> Result<(), Unfit> {
    let mut connection = connector.connect(AsyncConnectionConfig::new()).await?;
    checks.ready(&mut connection).await
}
