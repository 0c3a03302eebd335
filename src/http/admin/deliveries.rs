//! The deliveries of all sources, or of some: the newest first and a page at a time, or live as server-sent events.
//!
//! | file | noun |
//! |---|---|
//! | `wanted` | what a request asks for |
//! | `place`  | the place of a record among those of all sources |
//! | `list`   | one page |
//! | `follow` | what is new, again and again |

mod follow;
mod list;
mod place;
mod wanted;

use super::{answer::answer, audit::By};
use crate::{
    http::{
        asked::Asked,
        problem::{self, Problem},
        public::event_stream,
    },
    limits::LimitHit,
    metrics::Metrics,
    shutdown::Shutdown,
    source::Sources,
    store::Store,
};
use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use follow::Follower;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wanted::Wanted;

/// When to ask again after too many follow.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The most requests that follow the deliveries at once. Each of them reads the newest records of its sources twice a second.
const FOLLOWERS: usize = 16;

/// Shows deliveries.
#[derive(Clone)]
pub(super) struct Deliveries {
    /// Knows the sources. `None` if the node takes no webhooks.
    sources: Option<Arc<Sources>>,
    /// Holds the records.
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    /// Bounds those who follow.
    followers: Arc<Semaphore>,
}

impl Deliveries {
    pub(super) fn new(
        sources: Option<Arc<Sources>>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
    ) -> Self {
        Self { sources, store, metrics, shutdown, followers: Arc::new(Semaphore::new(FOLLOWERS)) }
    }

    /// The route.
    pub(super) fn routes(self) -> Router {
        Router::new().route("/deliveries", get(deliveries)).with_state(self)
    }
}

async fn deliveries(
    Extension(by): Extension<By>,
    State(deliveries): State<Deliveries>,
    request: Request,
) -> Result<Response, Problem> {
    let asked = Asked::from(request.into_parts().0);
    let Deliveries { sources, store, metrics, shutdown, followers } = deliveries;
    let sources = sources.ok_or_else(problem::other_role)?;
    let wanted = Wanted::read(&asked, &sources)?;
    if !asked.wants_events() {
        return Ok(answer(&list::page(&*store, &sources, &wanted).await?));
    }
    if wanted.before.is_some() {
        let detail = "`before` is the next page of a list; leave it out to follow";
        return Err(Problem::bad_request("bad_parameter", detail));
    }
    let permit = followers.try_acquire_owned().map_err(|_| {
        metrics.limit_hits.count(LimitHit::DeliveryFollowers);
        let detail = format!("{FOLLOWERS} others follow the deliveries on this node; end one of them");
        Problem::unavailable("too_many_followers", detail, RETRY_AFTER)
    })?;
    let after = asked.cursor().and_then(|id| id.parse().ok());
    let follower = Follower::new(by, store, sources, shutdown, wanted, after);
    let events = follower.events(permit);
    Ok(event_stream(Body::from_stream(events)))
}
