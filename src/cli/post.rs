//! HTTP requests of the commands.

use anyhow::Context;
use reqwest::{Client, Url};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// A connection that takes longer is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for `url`. Loopback is reached directly, whatever proxy the environment names. Redirects are answers to be
/// shown, not followed: they could carry a token or a webhook elsewhere.
pub(super) fn client(url: &Url) -> anyhow::Result<Client> {
    let builder =
        Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let loopback = url.host_str().is_some_and(|host| {
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    });
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder.build().context("the HTTP client could not be started")
}

/// The URL at which a listener can be reached from this machine: an address that stands for all is no destination.
pub(super) fn url_of(listener: SocketAddr) -> String {
    let ip = if listener.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listener.ip() };
    format!("http://{}", SocketAddr::new(ip, listener.port()))
}

/// An `http` or `https` URL.
pub(super) fn a_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}; e.g. http://127.0.0.1:8080"))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("it begins with neither http:// nor https://".into())
    }
}

/// `url` with more path segments, each escaped.
pub(super) fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
