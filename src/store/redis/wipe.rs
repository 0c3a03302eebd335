//! Deletes all keys of one prefix, for the demo, which uses a prefix for a while only.

use super::{
    error::in_words,
    finder::Finder,
    link::Connector,
    login::Login,
    settings::{ServerError, Settings},
};
use crate::metrics::Metrics;
use redis::{AsyncConnectionConfig, RedisError, aio::MultiplexedConnection};
use std::sync::Arc;

/// Keys that the server looks at in one step of `SCAN`.
const STEP: usize = 1000;

/// Deletes every key under the prefix of `settings`, on all primaries. No gateway should write there any more.
pub async fn wipe(settings: &Settings) -> Result<(), ServerError> {
    let unreachable = |reason| ServerError::Unreachable { address: settings.address(), reason };
    let (login, metrics) = (Login::new(settings)?, Arc::new(Metrics::new()));
    let mut finder = Finder::new(settings, &login, &metrics).map_err(ServerError::Url)?;
    for node in finder.first().await.map_err(|unfit| unreachable(unfit.to_string()))?.nodes() {
        let connector = Connector::new(login.clone(), node.clone(), Arc::clone(&metrics));
        let mut connection = connector
            .connect(AsyncConnectionConfig::new())
            .await
            .map_err(|unfit| unreachable(unfit.to_string()))?;
        // A write that was on its way when one pass began is found by the next.
        while pass(&settings.prefix, &mut connection).await.map_err(|error| unreachable(in_words(&error)))?
            > 0
        {}
    }
    Ok(())
}

/// Scans all keys of the server once, and returns how many it deleted.
async fn pass(prefix: &str, connection: &mut MultiplexedConnection) -> Result<usize, RedisError> {
    // The configuration allows no characters in a prefix that have a meaning in a pattern.
    let pattern = format!("{prefix}:*");
    let (mut cursor, mut removed) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        let (next, keys): (u64, Vec<String>) = scan.query_async(connection).await?;
        let mut commands = redis::pipe();
        for key in &keys {
            commands.cmd("UNLINK").arg(key).ignore();
        }
        if !keys.is_empty() {
            commands.query_async::<()>(connection).await?;
        }
        removed += keys.len();
        cursor = next;
        if cursor == 0 {
            return Ok(removed);
        }
    }
}
