//! Backends: the places where the stores of the suite are kept, one implementation for each store.

use crate::support::{RedisServer, fresh_prefix, shared_cluster, shared_group, store_at};
use paystream::{
    metrics::Metrics,
    store::{RECENT, Store, embedded, redis},
};
use std::{sync::Arc, time::Duration};

/// A place for one store, empty at first. A store that was opened there must be dropped before another is opened.
pub(crate) trait Backend: Send + Sized {
    /// A new place with nothing in it.
    fn fresh() -> impl Future<Output = Self> + Send;
    /// Opens the store that is kept there; logs live for `history` after their last event.
    fn open(&self, history: Duration) -> impl Future<Output = Arc<dyn Store>> + Send {
        self.open_with(history, RECENT)
    }
    /// The same with an index of `recent` payments for each realm.
    fn open_with(&self, history: Duration, recent: usize) -> impl Future<Output = Arc<dyn Store>> + Send;
}

/// The embedded store in a temporary folder.
pub(super) struct Embedded(tempfile::TempDir);

impl Backend for Embedded {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open_with(&self, history: Duration, recent: usize) -> Arc<dyn Store> {
        let settings = embedded::Settings { path: self.0.path().join("data"), history, recent };
        Arc::new(embedded::Embedded::open(&settings, Arc::new(Metrics::new())).unwrap())
    }
}

/// A Redis server of its own.
pub(super) struct Redis(RedisServer);

/// A Redis server of its own that is the only node of a cluster. There, all keys of one append have to be in one slot.
pub(super) struct RedisCluster(RedisServer);

impl Backend for Redis {
    async fn fresh() -> Self {
        Self(RedisServer::start().await)
    }

    async fn open_with(&self, history: Duration, recent: usize) -> Arc<dyn Store> {
        open_redis(&self.0, history, recent).await
    }
}

impl Backend for RedisCluster {
    async fn fresh() -> Self {
        Self(RedisServer::start_as_cluster().await)
    }

    async fn open_with(&self, history: Duration, recent: usize) -> Arc<dyn Store> {
        open_redis(&self.0, history, recent).await
    }
}

/// A prefix of its own on the cluster of the run: three primaries with a replica each.
pub(super) struct RedisShards(Shared);

/// A prefix of its own in the group of the run: a primary with two replicas, which sentinels watch.
pub(super) struct RedisGroup(Shared);

struct Shared {
    url: String,
    prefix: String,
}

impl Shared {
    async fn open(&self, history: Duration, recent: usize) -> Arc<dyn Store> {
        let prefix = self.prefix.clone();
        let settings = redis::Settings { prefix, history, recent, ..store_at(&self.url) };
        Arc::new(redis::Redis::open(settings, Arc::new(Metrics::new())).await.unwrap())
    }
}

impl Backend for RedisShards {
    async fn fresh() -> Self {
        Self(Shared { url: shared_cluster().await, prefix: fresh_prefix() })
    }

    async fn open_with(&self, history: Duration, recent: usize) -> Arc<dyn Store> {
        self.0.open(history, recent).await
    }
}

impl Backend for RedisGroup {
    async fn fresh() -> Self {
        Self(Shared { url: shared_group().await, prefix: fresh_prefix() })
    }

    async fn open_with(&self, history: Duration, recent: usize) -> Arc<dyn Store> {
        self.0.open(history, recent).await
    }
}

/// The settings of a store on a server, which indexes `recent` payments of a realm.
pub(crate) fn redis_settings(server: &RedisServer, history: Duration, recent: usize) -> redis::Settings {
    redis::Settings { history, recent, ..store_at(&server.url()) }
}

async fn open_redis(server: &RedisServer, history: Duration, recent: usize) -> Arc<dyn Store> {
    let settings = redis_settings(server, history, recent);
    Arc::new(redis::Redis::open(settings, Arc::new(Metrics::new())).await.unwrap())
}
