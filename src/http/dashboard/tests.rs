use super::{super::pages::POLICY, *};
use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use std::collections::BTreeSet;
use tower::ServiceExt as _;

async fn get(routes: Router, path: &str) -> (u16, String, String) {
    let answer = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, policy) = (answer.status().as_u16(), header("content-security-policy").unwrap_or_default());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, policy, String::from_utf8(body.to_vec()).unwrap())
}

/// The addresses that a file of the page loads at `path`, resolved as a browser does.
fn loaded(path: &str, text: &str) -> Vec<String> {
    let marks = [" from \"", "href=\"", "src=\"", "url(\""];
    let found = marks.iter().flat_map(|mark| text.split(mark).skip(1));
    let base = reqwest::Url::parse("http://gateway").unwrap().join(path).unwrap();
    found.filter_map(|rest| rest.split('"').next()).map(|link| base.join(link).unwrap().to_string()).collect()
}

#[tokio::test]
async fn the_page_loads_only_files_that_are_served_and_each_of_them() {
    for routes in [routes(), routes_of_demo()] {
        let (mut seen, mut next) = (BTreeSet::new(), vec![format!("http://gateway{PATH}")]);
        while let Some(address) = next.pop() {
            let path =
                address.strip_prefix("http://gateway").unwrap_or_else(|| panic!("another origin: {address}"));
            if seen.insert(path.to_owned()) {
                let (status, policy, text) = get(routes.clone(), path).await;
                assert_eq!((status, &*policy), (200, POLICY), "{path}");
                next.extend(loaded(path, &text));
            }
        }
        assert_eq!(
            seen.len(),
            PAGE.len() + FILES.len() + MODULES.len() + ASKS.len(),
            "served, but loaded by nobody: {seen:?}"
        );
    }
}

#[tokio::test]
async fn only_the_demo_hands_out_tokens_to_its_page() {
    assert!(!get(routes(), ISSUER).await.2.contains("fetch("));
    assert!(get(routes_of_demo(), ISSUER).await.2.contains("/demo/dashboard-token"));
}
