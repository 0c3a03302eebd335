//! Tells requests of the console's own page from those that another page makes a browser send along with the console's cookie.
//!
//! The cookie is `SameSite=Strict`, but a site is a host with all its ports: what else listens on this host could send requests with the
//! cookie. Browsers say of each request where it comes from, and a header of one's own cannot be sent to another origin without asking.

use axum::http::{HeaderMap, Uri, header, uri::Authority};

/// The header that the console's page adds to its requests. Another origin cannot without a preflight request, which fails here.
const OWN_HEADER: &str = "x-paystream-console";

/// Whether a request that has the cookie may come from a page of this origin, as far as the browser says.
pub(super) fn may_be(uri: &Uri, headers: &HeaderMap) -> bool {
    // Sent wherever the connection can be trusted. `none`: a person typed the address.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let host = host(uri, headers);
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, origin)| host.is_some_and(|host| origin.eq_ignore_ascii_case(host)))
    })
}

/// The port that the browser asked, with a `_` before it, or nothing if it is the usual one: browsers keep cookies for a host with all its
/// ports, so those of several gateways on one host, or behind several tunnels, need names of their own.
pub(super) fn port(uri: &Uri, headers: &HeaderMap) -> String {
    let host = host(uri, headers).and_then(|host| host.rsplit_once(':'));
    let port = host.and_then(|(_, port)| port.parse::<u16>().ok());
    port.map(|port| format!("_{port}")).unwrap_or_default()
}

fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| uri.authority().map(Authority::as_str))
}

/// Whether a script of this origin has sent the request, so that it may change something.
pub(super) fn is_deliberate(headers: &HeaderMap) -> bool {
    headers.contains_key(OWN_HEADER)
}

/// Whether the browser reached this origin over TLS, be it that of a proxy.
pub(super) fn is_secure(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_requests_that_may_be_of_the_own_origin_pass() {
        for (pairs, passes) in [
            (&[("host", "127.0.0.1:9090")][..], true),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090")], true),
            (&[("host", "Pay.example"), ("origin", "https://pay.example")], true),
            (
                &[
                    ("host", "inner:9090"),
                    ("origin", "https://pay.example"),
                    ("sec-fetch-site", "same-origin"),
                ],
                true,
            ),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "none")], true),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:3000")], false),
            (&[("host", "127.0.0.1:9090"), ("origin", "null")], false),
            (&[("origin", "http://127.0.0.1:9090")], false),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "same-site")], false),
        ] {
            assert_eq!(may_be(&Uri::from_static("/admin/sources"), &headers(pairs)), passes, "{pairs:?}");
        }
        let http2 = Uri::from_static("https://pay.example/admin/sources");
        assert!(may_be(&http2, &headers(&[("origin", "https://pay.example")])));
        assert!(!may_be(&http2, &headers(&[("origin", "https://pay.example:3000")])));
    }

    #[test]
    fn each_port_of_a_host_has_a_name_of_its_own() {
        for (host, port) in [
            ("127.0.0.1:9090", "_9090"),
            ("[::1]:9090", "_9090"),
            ("[::1]", ""),
            ("pay.example", ""),
            ("pay.example:x", ""),
        ] {
            assert_eq!(super::port(&Uri::from_static("/"), &headers(&[("host", host)])), port, "{host}");
        }
        let http2 = Uri::from_static("https://pay.example:9443/admin/sources");
        assert_eq!(super::port(&http2, &HeaderMap::new()), "_9443");
    }
}
