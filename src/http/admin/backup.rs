//! Backups: sends all that the embedded store holds, for `paystream store backup`, which builds a data folder of it.

use super::audit::{By, Why};
use crate::{
    http::problem::Problem,
    store::{AuditAction, Backup, Store},
};
use axum::{
    Extension, Router,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Sends backups, one at a time: each reads all of the disk.
#[derive(Clone)]
pub(super) struct Backups {
    store: Arc<dyn Store>,
    turn: Arc<Semaphore>,
}

/// A backup that is on its way.
struct Sending {
    backup: Backup,
    bytes: u64,
    _turn: OwnedSemaphorePermit,
}

impl Backups {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, turn: Arc::new(Semaphore::new(1)) }
    }

    /// The route.
    pub(super) fn routes(self) -> Router {
        Router::new().route("/store/backup", get(backup)).with_state(self)
    }
}

async fn backup(
    Extension(by): Extension<By>,
    State(backups): State<Backups>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Response, Problem> {
    let entry = by.entry(AuditAction::Backup, Why::read(why)?);
    by.copy(entry, begin(backups)).await
}

/// Begins to send a backup.
async fn begin(Backups { store, turn }: Backups) -> Result<Response, Problem> {
    let turn = turn.try_acquire_owned().map_err(|_| {
        let detail = "another backup is being made; wait for its end";
        Problem::new(StatusCode::CONFLICT, "backup_in_progress", detail)
    })?;
    let backup = store
        .backup()
        .await
        .map_err(|error| Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER))?;
    let backup = backup.ok_or_else(|| {
        let detail = "the store of this gateway is Redis; back that up by its own means";
        Problem::new(StatusCode::NOT_FOUND, "no_data_folder", detail)
    })?;
    tracing::info!("a backup begins");
    let sending = Sending { backup, bytes: 0, _turn: turn };
    let chunks = stream::unfold(sending, async |mut sending| {
        let Some(chunk) = sending.backup.recv().await else {
            tracing::info!(bytes = sending.bytes, "a backup was sent");
            return None;
        };
        match &chunk {
            Ok(bytes) => sending.bytes += bytes.len() as u64,
            Err(error) => tracing::warn!(%error, bytes = sending.bytes, "a backup was not sent"),
        }
        Some((chunk, sending))
    });
    let head = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(chunks)).into_response())
}
