//! Which proxies stand in front of a gateway, as far as their answers tell.

use reqwest::header::HeaderMap;
use strum::{EnumIter, IntoStaticStr};

/// A kind of proxy for which remedies are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, EnumIter, IntoStaticStr)]
pub(super) enum Middlebox {
    #[strum(serialize = "nginx")]
    Nginx,
    #[strum(serialize = "HAProxy")]
    Haproxy,
    #[strum(serialize = "Apache")]
    Apache,
    #[strum(serialize = "Caddy")]
    Caddy,
    #[strum(serialize = "Envoy")]
    Envoy,
}

/// Words in `Server` and `Via` by which a proxy calls itself, in lower case.
const NAMES: [(&str, Middlebox); 6] = [
    ("nginx", Middlebox::Nginx),
    ("openresty", Middlebox::Nginx),
    ("haproxy", Middlebox::Haproxy),
    ("apache", Middlebox::Apache),
    ("caddy", Middlebox::Caddy),
    ("envoy", Middlebox::Envoy),
];

/// What stands in the pages that a proxy answers by itself. HAProxy names itself nowhere else.
const PAGES: [(&str, Middlebox); 5] = [
    ("<center>nginx", Middlebox::Nginx),
    ("Your browser sent an invalid request.", Middlebox::Haproxy),
    ("No server is available to handle this request.", Middlebox::Haproxy),
    ("The server didn't respond in time.", Middlebox::Haproxy),
    ("-//IETF//DTD HTML 2.0//EN", Middlebox::Apache),
];

/// The proxies that an answer names, in its headers or in the page that is its body.
pub(super) fn named(headers: &HeaderMap, body: &[u8]) -> Vec<Middlebox> {
    let values = ["server", "via"].into_iter().flat_map(|name| headers.get_all(name));
    let said: Vec<String> =
        values.filter_map(|value| value.to_str().ok()).map(str::to_ascii_lowercase).collect();
    let by_name = NAMES.iter().filter(|(name, _)| said.iter().any(|said| said.contains(name)));
    let body = String::from_utf8_lossy(body);
    let by_page = PAGES.iter().filter(|(words, _)| body.contains(words));
    let by_header = headers.contains_key("x-envoy-upstream-service-time").then_some(Middlebox::Envoy);
    let mut all: Vec<Middlebox> =
        by_name.chain(by_page).map(|(_, middlebox)| *middlebox).chain(by_header).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn proxies_are_known_by_their_headers_and_their_pages() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            pairs.iter().map(pair).collect()
        };
        for (pairs, body, expected) in [
            (&[("server", "nginx/1.22.1")][..], "", vec![Middlebox::Nginx]),
            (&[("server", "Apache"), ("via", "1.1 Caddy")], "", vec![Middlebox::Apache, Middlebox::Caddy]),
            (&[("x-envoy-upstream-service-time", "3")], "", vec![Middlebox::Envoy]),
            (
                &[],
                "<h1>400 Bad request</h1>\nYour browser sent an invalid request.",
                vec![Middlebox::Haproxy],
            ),
            (&[("server", "cloudflare")], "{}", vec![]),
        ] {
            assert_eq!(named(&headers(pairs), body.as_bytes()), expected, "{pairs:?} {body}");
        }
    }
}
