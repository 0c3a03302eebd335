//! The HTTP client of the commands, and the URLs that they request.

use super::{config_file::ConfigFile, exit::Usage};
use crate::{config::Operating, loopback::is_loopback};
use anyhow::Context;
use reqwest::{Client, Identity, RequestBuilder, Response, Url};
use secrecy::SecretString;
use serde_json::Value;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

/// How long a command waits for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The environment variable with the path of a file in PEM: the certificate of this client and its key, for mutual TLS.
const CLIENT_CERTIFICATE: &str = "PAYSTREAM_CLIENT_CERTIFICATE";

/// A client for `url`. It connects to loopback directly, even if the environment names a proxy. It does not follow redirects,
/// because they could send a token or a webhook to another server.
pub(super) fn for_url(url: &Url) -> anyhow::Result<Client> {
    let builder =
        Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let loopback = url.host_str().is_some_and(is_loopback);
    let builder = if loopback { builder.no_proxy() } else { builder };
    let builder = match std::env::var_os(CLIENT_CERTIFICATE) {
        Some(path) => builder.identity(identity(Path::new(&path))?),
        None => builder,
    };
    builder.build().context("the HTTP client cannot be created")
}

/// Reads the certificate of this client, with its key, for a listener that wants one.
fn identity(path: &Path) -> anyhow::Result<Identity> {
    let unreadable = || {
        format!(
            "{CLIENT_CERTIFICATE} names {}, which is no file in PEM with a certificate and its key",
            path.display()
        )
    };
    Identity::from_pem(&fs::read(path).with_context(unreadable)?).with_context(unreadable)
}

/// Returns the URL of the gateway's admin listener, which is `url` if it is given, and the token that opens it. Fails if the configuration
/// has no token.
pub(super) fn admin_listener(config: &ConfigFile, url: Option<&Url>) -> anyhow::Result<(Url, SecretString)> {
    let Operating { listen, has_tls, token } = config.read(Operating::load)?;
    let token = token.ok_or_else(|| {
        Usage(
            "the configuration has no token under [admin]; add one, since the admin listener requires it"
                .to_owned(),
        )
    })?;
    Ok((base_of(url, listen.admin, has_tls)?, token))
}

/// Returns the URL of a listener: the given one, or else its address on this machine. That is no host of a certificate, so with TLS the
/// URL has to be given.
pub(super) fn base_of(given: Option<&Url>, listener: SocketAddr, has_tls: bool) -> anyhow::Result<Url> {
    match given {
        Some(url) => Ok(url.clone()),
        None if has_tls => {
            let port = listener.port();
            let remedy = format!("give its URL with the host of its certificate: --url https://HOST:{port}");
            Err(Usage(format!("the listener speaks TLS; {remedy}")).into())
        }
        None => Ok(url_of(listener).parse()?),
    }
}

/// Sends a request to the admin listener at `base`, and returns the JSON of its answer. A refusal is an error with the gateway's own words.
pub(super) async fn answer_of(request: RequestBuilder, base: &Url) -> anyhow::Result<Value> {
    json_of(success_of(request, base).await?, base).await
}

/// Sends a request to the admin listener at `base`, and returns its answer, whose body is yet to be read. A refusal is an error with the
/// gateway's own words.
pub(super) async fn success_of(request: RequestBuilder, base: &Url) -> anyhow::Result<Response> {
    let unanswered = || format!("{base} does not answer; check that the gateway is running");
    let answer = request.send().await.with_context(unanswered)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let body = json_of(answer, base).await?;
    let said = |key| body.get(key).and_then(Value::as_str).unwrap_or_default();
    anyhow::bail!("{} ({})", said("detail"), said("reason"))
}

async fn json_of(answer: Response, base: &Url) -> anyhow::Result<Value> {
    answer.json().await.with_context(|| format!("the answer of {base} is not that of a gateway"))
}

/// The URL of a listener as seen from this machine. For a listener on all addresses (0.0.0.0) that is loopback, because a client
/// cannot connect to the unspecified address.
pub(super) fn url_of(listener: SocketAddr) -> String {
    let ip = if listener.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listener.ip() };
    format!("http://{}", SocketAddr::new(ip, listener.port()))
}

/// `url` with more path segments, each of them escaped.
pub(super) fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
