//! The admin listener: health and metrics are open to whoever reaches the socket, the operators' tools need a token.
//!
//! This file puts the routes together; each tool is a file of its own and knows only the parts of the gateway that it uses.
//!
//! | file | noun |
//! |---|---|
//! | `health`    | `/livez`, `/readyz`, `/readyz/ingest` |
//! | `metrics`   | `/metrics` |
//! | `operators` | the bearer tokens that open `/admin`, and who may change things |
//! | `answer`    | answers in JSON |
//! | `audit`     | what operators changed |
//! | `guesses`   | who sent wrong tokens, and how long the answer waits |
//! | `deliveries` | the deliveries of all sources, filtered and followed |
//! | `streams`   | the open streams, and ending some |
//! | `like`      | what exists like a name that does not |
//! | `records`   | the delivery log and the quarantine of a source in their first form |
//! | `quarantine` | what was not understood: listed, shown, replayed, discarded |
//! | `waiting`   | the events that wait for their payment |
//! | `backup`    | a copy of all that the store holds |
//! | `erase`     | removal of all about one payment |
//! | `sources`   | the sources, and whether their deliveries fail |
//! | `backfill`  | the provider's events since a time |
//! | `reconcile` | one payment, compared with what its provider says |

mod answer;
mod audit;
mod backfill;
mod backup;
mod deliveries;
mod erase;
mod guesses;
mod health;
mod like;
mod metrics;
mod operators;
mod quarantine;
mod reconcile;
mod records;
mod sources;
mod streams;
mod waiting;

use super::{
    hosts::{HostNames, Hosts},
    problem,
};
use crate::{
    access::Operators,
    confirm::Confirmations,
    hub::Hub,
    ingest::Ingest,
    metrics::Metrics,
    shutdown::Shutdown,
    source::Sources,
    store::{Parts, Store},
    stream::Streams,
};
use audit::Audit;
use axum::Router;
use backup::Backups;
use deliveries::Deliveries;
use erase::Erasures;
use health::Health;
use operators::Entry;
use quarantine::Quarantine;
use records::Records;
use std::sync::{Arc, RwLock};

/// The parts of the gateway that the admin routes use.
pub struct Admin {
    /// Knows whether the store's notices reach this node. `None` if the node does not stream.
    pub hub: Option<Arc<Hub>>,
    /// The open streams. `None` if the node does not stream.
    pub streams: Option<Arc<Streams>>,
    /// Holds the operators' records, and knows whether an append would succeed.
    pub store: Arc<dyn Store>,
    /// Knows the sources. `None` if the node takes no webhooks.
    pub sources: Option<Arc<Sources>>,
    /// Asks the providers. `None` if the node takes no webhooks.
    pub confirmations: Option<Arc<Confirmations>>,
    /// Replays what the quarantine holds. `None` if the node takes no webhooks.
    pub ingest: Option<Arc<Ingest>>,
    /// Knows what waits for a payment, and erases payments with their labels and parts. `None` if the node takes no webhooks.
    pub parts: Option<Arc<Parts>>,
    /// Rendered by `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Knows whether the node is draining.
    pub shutdown: Shutdown,
    /// Those whose tokens open `/admin`. While there is none, nobody is let in.
    pub operators: Arc<RwLock<Operators>>,
    /// The names under which the listener may be addressed.
    pub hosts: HostNames,
}

impl Admin {
    /// The routes of the admin listener.
    pub fn routes(self) -> Router {
        let Self {
            hub,
            streams,
            store,
            sources,
            confirmations,
            ingest,
            parts,
            metrics,
            shutdown,
            operators,
            hosts,
        } = self;
        let audit = Audit::new(Arc::clone(&store));
        let takes_webhooks = sources.is_some();
        let asks = confirmations.zip(sources.clone());
        let erasures =
            Erasures { sources: sources.clone(), parts: parts.clone(), metrics: Arc::clone(&metrics) };
        let listed = sources::routes(sources.clone());
        let waiting = waiting::routes(sources.clone(), Arc::clone(&store), parts);
        let deliveries =
            Deliveries::new(sources.clone(), Arc::clone(&store), Arc::clone(&metrics), shutdown.clone());
        let backfills = backfill::routes(ingest.clone().zip(sources.clone()));
        let quarantine = Quarantine { sources: sources.clone(), store: Arc::clone(&store), ingest };
        let records = Records { sources, store: Arc::clone(&store) };
        let backups = Backups::new(Arc::clone(&store));
        let tools = records
            .routes()
            .merge(deliveries.routes())
            .merge(streams::routes(streams))
            .merge(quarantine.routes())
            .merge(reconcile::routes(asks))
            .merge(backfills)
            .merge(erasures.routes())
            .merge(waiting)
            .merge(listed)
            .merge(backups.routes())
            .merge(audit.clone().routes())
            .method_not_allowed_fallback(problem::method_not_allowed)
            .fallback(problem::not_found);
        let entry = Entry::new(operators, audit, Arc::clone(&metrics));
        let guarded = metrics::routes(Arc::clone(&metrics)).nest("/admin", entry.only(tools));
        // Health is not guarded: a probe may use any name, and learns no more than whether the node is well.
        Health { hub, store, takes_webhooks, shutdown }
            .routes()
            .merge(Hosts::of_admin(hosts, metrics).only(guarded))
            .method_not_allowed_fallback(problem::method_not_allowed)
    }
}
