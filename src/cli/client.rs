//! The HTTP client of the commands, and the URLs that they request.

use super::{argument, config_file::ConfigFile, exit::Usage};
use crate::{
    config::{Operating, environment, referred},
    loopback::is_loopback,
};
use anyhow::Context;
use clap::Args;
use reqwest::{Client, Identity, Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
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

/// The arguments of a command that talks to the admin listener.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    by: ByArgs,
    /// The URL of the gateway's admin listener [default: http://<listen.admin>]
    #[arg(long, value_parser = argument::url)]
    url: Option<Url>,
}

/// The argument that says which operator sends the command.
#[derive(Debug, Args)]
pub(super) struct ByArgs {
    /// Where your token as an operator is: env:NAME or file:PATH [default: a token of the configuration]
    #[arg(long, value_name = "REFERENCE")]
    token: Option<String>,
}

/// The argument of a command that changes something.
#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    /// Why; it is written into the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl ReasonArgs {
    /// Adds the reason to the query of a URL.
    pub(super) fn add_to(&self, url: &mut Url) {
        if let Some(reason) = &self.reason {
            url.query_pairs_mut().append_pair("reason", reason);
        }
    }
}

/// The admin listener of a gateway, and the token that opens it.
pub(super) struct AdminListener {
    base: Url,
    token: SecretString,
    client: Client,
}

impl AdminArgs {
    /// Finds the listener. The configuration is read only for what the arguments do not give.
    pub(super) fn listener(&self) -> anyhow::Result<AdminListener> {
        AdminListener::find(&self.config, self.url.as_ref(), &self.by)
    }
}

impl AdminListener {
    /// Finds the listener at `url` or, without it, at the configuration's address. Fails if there is no token.
    pub(super) fn find(config: &ConfigFile, url: Option<&Url>, by: &ByArgs) -> anyhow::Result<Self> {
        let given = by.token.as_deref().map(|reference| referred(reference, &environment()));
        let given = given.transpose().map_err(|why| Usage(format!("--token: {why}")))?;
        let (base, token) = match (url, given) {
            (Some(url), Some(token)) => (url.clone(), token),
            (url, given) => {
                let Operating { listen, has_tls, token } = config.read(Operating::load)?;
                let missing = "the configuration has no token under [admin]; add one, or name yours with --token, since the admin \
                               listener requires it";
                let token = given.or(token).ok_or_else(|| Usage(missing.to_owned()))?;
                let base = base_of(url, listen.admin, has_tls)?;
                (base, token)
            }
        };
        let client = for_url(&base)?;
        Ok(Self { base, token, client })
    }

    /// The URL of a route.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        below(&self.base, segments)
    }

    /// A request with the token.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url).bearer_auth(self.token.expose_secret())
    }

    /// Sends a request, and returns the JSON of its answer. A refusal is an error with the gateway's own words.
    pub(super) async fn answer_of(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        json_of(self.success_of(request).await?, &self.base).await
    }

    /// Sends a request, and returns its answer, whose body is yet to be read. A refusal is an error with the gateway's own words.
    pub(super) async fn success_of(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let base = &self.base;
        let unanswered = || format!("{base} does not answer; check that the gateway is running");
        let answer = request.send().await.with_context(unanswered)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let body = json_of(answer, base).await?;
        let said = |key| body.get(key).and_then(Value::as_str).unwrap_or_default();
        anyhow::bail!("{} ({})", said("detail"), said("reason"))
    }
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

/// The innermost cause, which is the most specific: `Connection refused`. It does not name the URL, whose query may hold a token.
pub(super) fn root(error: &reqwest::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // An error without a cause, such as one of time, would name the URL itself.
    cause.downcast_ref::<reqwest::Error>().map_or_else(|| cause.to_string(), without_url)
}

fn without_url(error: &reqwest::Error) -> String {
    let text = error.to_string();
    match error.url() {
        Some(url) => text.replace(url.as_str(), "the URL"),
        None => text,
    }
}

/// `url` with more path segments, each of them escaped.
pub(super) fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
