use super::*;
use crate::http::pages::{fetched, reached};

#[tokio::test]
async fn the_page_loads_only_files_that_are_served_and_each_of_them() {
    for routes in [routes(), routes_of_demo()] {
        let served = PAGE.len() + FILES.len() + SHARED.len() + MODULES.len() + ASKS.len();
        assert_eq!(reached(routes, PATH).await.len(), served, "served, but loaded by nobody");
    }
}

#[tokio::test]
async fn only_the_demo_hands_out_tokens_to_its_page() {
    assert!(!fetched(routes(), ISSUER).await.2.contains("fetch("));
    assert!(fetched(routes_of_demo(), ISSUER).await.2.contains("/demo/dashboard-token"));
}
