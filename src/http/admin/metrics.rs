//! `/metrics`: what Prometheus reads.

use crate::metrics::Metrics;
use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use std::sync::Arc;

/// The media type of OpenMetrics 1.0.0.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route.
pub(super) fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(render)).with_state(metrics)
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render())
}
