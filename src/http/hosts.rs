//! Refuses requests for hosts that are not this gateway's, on listeners that trust whoever reaches them.
//!
//! The attack is DNS rebinding: a stranger's page makes the name of its own site point to this machine, and its browser then takes
//! the gateway for that site, whatever CORS says. The browser still sends the stranger's name as `Host`, so the name tells. An IP
//! address as host is always accepted: a page that got it so has this gateway's own origin, and probes use the addresses of pods.

use super::problem::Problem;
use crate::metrics::{AdminRefusal, Metrics};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, PoisonError, RwLock},
};

/// The names under which this gateway may be addressed, besides `localhost` and all IP addresses. A reload may replace them.
pub type HostNames = Arc<RwLock<Vec<String>>>;

/// The check of one listener.
#[derive(Clone)]
pub(super) struct Hosts {
    names: HostNames,
    /// Where refusals are counted. `None` for a listener that is not the operators'.
    counted: Option<Arc<Metrics>>,
    /// What to do about a refusal, for people.
    remedy: &'static str,
}

impl Hosts {
    /// The check of the admin listener.
    pub(super) const fn of_admin(names: HostNames, metrics: Arc<Metrics>) -> Self {
        let remedy = "use an IP address or localhost, or add the name to `hosts` under [admin]";
        Self { names, counted: Some(metrics), remedy }
    }

    /// The check of a listener for this machine alone.
    pub(super) fn of_this_machine() -> Self {
        let remedy = "use an IP address or localhost; a tunnel or a proxy has to rewrite the header";
        Self { names: HostNames::default(), counted: None, remedy }
    }

    /// The same routes, for requests to one of the hosts.
    pub(super) fn only(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, check))
    }

    /// Whether every host that the request names is one of ours. HTTP/1.0 needs to name none; whoever names none is no browser.
    fn allows(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let of_header = headers.get_all(header::HOST).iter().map(|value| value.to_str().ok());
        // HTTP/2 names it in `:authority`, and a request to a proxy in its first line.
        let of_uri = uri.authority().map(|authority| Some(authority.as_str()));
        of_header.chain(of_uri).all(|host| host.is_some_and(|host| is_allowed(host, &names)))
    }
}

/// Whether `host`, with or without a port, is an IP address, `localhost` or one of `names`.
fn is_allowed(host: &str, names: &[String]) -> bool {
    let Some(name) = without_port(host) else { return false };
    if let Some(v6) = name.strip_prefix('[') {
        return v6.strip_suffix(']').is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<Ipv4Addr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|allowed| name.eq_ignore_ascii_case(allowed))
}

/// The host without its port. The library's parser is not used, because it takes `[::1].evil.example` for the host `[::1]`.
fn without_port(host: &str) -> Option<&str> {
    let end = if host.starts_with('[') { host.find(']')? + 1 } else { host.find(':').unwrap_or(host.len()) };
    let (name, port) = host.split_at_checked(end)?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(name)
}

async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if hosts.allows(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    if let Some(metrics) = &hosts.counted {
        metrics.admin_refusals.count(AdminRefusal::Host);
    }
    let detail = format!("the request is for a host that is not this gateway's; {}", hosts.remedy);
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_configured_names_are_ours() {
        let names = ["gateway-1".to_owned(), "metrics.shop.example".to_owned()];
        for host in [
            "localhost",
            "LocalHost:9090",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:9090",
            "10.42.0.7:9090",
            "[::1]",
            "[::1]:9090",
            "[fd00::7]:9090",
            "gateway-1",
            "Gateway-1:9090",
            "metrics.shop.example.:9090",
        ] {
            assert!(is_allowed(host, &names), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.localhost.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "xlocalhost",
            "gateway-1.evil.example",
            "gateway-11",
            "127.0.0.1/evil.example",
            "[::1].evil.example",
            "[::1]evil.example",
            "[::1]:80.evil.example",
            "[::1",
            "::1",
            "127.0.0.1:evil.example",
            "127.0.0.1:80@evil.example",
            "[evil.example]",
            "0x7f.1",
            "localhost..",
            " localhost",
            "local host",
        ] {
            assert!(!is_allowed(host, &names), "{host}");
        }
    }

    #[test]
    fn each_place_that_names_a_host_counts() {
        let hosts = Hosts::of_this_machine();
        let allows = |uri: &str, given: &[&str]| {
            let mut headers = HeaderMap::new();
            given.iter().for_each(|host| {
                headers.append(header::HOST, host.parse().unwrap());
            });
            hosts.allows(&uri.parse().unwrap(), &headers)
        };
        assert!(allows("/", &["localhost"]));
        assert!(allows("http://localhost/", &[]));
        assert!(allows("/", &[]), "HTTP/1.0");
        assert!(!allows("/", &["localhost", "evil.example"]));
        assert!(!allows("http://evil.example/", &["localhost"]));
        assert!(!allows("http://localhost/", &["evil.example"]));
        assert!(!allows("/", &["\u{ff}"]));
    }
}
