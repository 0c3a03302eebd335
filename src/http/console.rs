//! The console: the page for operators, on the admin listener.
//!
//! The page and its scripts hold nothing secret and are served to everyone who may name the listener. What they show, they get from the
//! routes below `/admin`, by the session of the operator who has signed in.

use super::{
    browser_client::MODULES,
    pages::{self, CSS, HTML, JAVASCRIPT, Page, SVG},
    payment_view::{VIEW, files, payment_view},
};
use axum::Router;

/// The path of the page.
const PATH: &str = "/console";

static PAGE: [Page; 1] = [Page::new(PATH, HTML, include_str!("../../web-demo/console.html"))];

static FILES: [Page; 17] = files![
    "/console/";
    "console.css": CSS,
    "console.js": JAVASCRIPT,
    "console/api.js": JAVASCRIPT,
    "console/chart.js": JAVASCRIPT,
    "console/confirm.js": JAVASCRIPT,
    "console/deliveries.js": JAVASCRIPT,
    "console/delivery.js": JAVASCRIPT,
    "console/metrics.js": JAVASCRIPT,
    "console/overview.js": JAVASCRIPT,
    "console/payment.js": JAVASCRIPT,
    "console/place.js": JAVASCRIPT,
    "console/quarantine.js": JAVASCRIPT,
    "console/receipt.js": JAVASCRIPT,
    "console/session.js": JAVASCRIPT,
    "console/streams.js": JAVASCRIPT,
    "console/table.js": JAVASCRIPT,
    "console/words.js": JAVASCRIPT,
];

static SHARED: [Page; VIEW] = payment_view!("/console/");

/// The page and the files that it loads.
pub(super) fn routes() -> Router {
    [&PAGE[..], &FILES, &SHARED, &MODULES].map(pages::routes).into_iter().fold(Router::new(), Router::merge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pages::reached;

    #[tokio::test]
    async fn the_page_loads_only_files_that_are_served_and_each_of_them() {
        let served = PAGE.len() + FILES.len() + SHARED.len() + MODULES.len();
        assert_eq!(reached(routes(), PATH).await.len(), served, "served, but loaded by nobody");
    }
}
