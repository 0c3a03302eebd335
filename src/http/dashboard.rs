//! The dashboard page: all payments of a realm, on the public listener.
//!
//! The page and its scripts hold nothing secret and are served to everyone. What they show, they get from the routes below
//! `/v1`, with the token of whoever looks.

use super::{
    browser_client::MODULES,
    pages::{self, CSS, HTML, JAVASCRIPT, Page, SVG},
    payment_view::{VIEW, files, payment_view},
};
use axum::Router;

/// The path of the page.
pub const PATH: &str = "/dashboard";

/// The path of the module that says where the page gets its token.
const ISSUER: &str = "/dashboard/issuer.js";

static PAGE: [Page; 1] = [Page::new(PATH, HTML, include_str!("../../web-demo/dashboard.html"))];

static FILES: [Page; 11] = files![
    "/dashboard/";
    "dashboard.css": CSS,
    "dashboard.js": JAVASCRIPT,
    "payments/book.js": JAVASCRIPT,
    "payments/filters.js": JAVASCRIPT,
    "payments/list.js": JAVASCRIPT,
    "payments/live.js": JAVASCRIPT,
    "payments/refusal.js": JAVASCRIPT,
    "payments/row.js": JAVASCRIPT,
    "payments/session.js": JAVASCRIPT,
    "payments/totals-view.js": JAVASCRIPT,
    "payments/totals.js": JAVASCRIPT,
];

static SHARED: [Page; VIEW] = payment_view!("/dashboard/");

/// The issuer of a gateway: none, so that the page asks whoever looks for a token.
static ASKS: [Page; 1] = [Page::new(ISSUER, JAVASCRIPT, include_str!("../../web-demo/issuer.js"))];

/// The issuer of the demo, which signs a token for everyone who reaches it.
static ISSUES: [Page; 1] = [Page::new(ISSUER, JAVASCRIPT, include_str!("../../web-demo/demo-issuer.js"))];

/// The page and the files that it loads.
pub fn routes() -> Router {
    with_issuer(&ASKS)
}

/// The same page for the demo, which opens without being given a token.
pub(super) fn routes_of_demo() -> Router {
    with_issuer(&ISSUES)
}

fn with_issuer(issuer: &'static [Page]) -> Router {
    let parts = [&PAGE[..], &FILES, &SHARED, &MODULES, issuer];
    parts.map(pages::routes).into_iter().fold(Router::new(), Router::merge)
}

#[cfg(test)]
mod tests;
