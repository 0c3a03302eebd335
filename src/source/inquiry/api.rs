//! `[source.api]`: how a source asks its provider, for payments or for the keys that it publishes.

use crate::secret::{self, Weakness};
use http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};
use secrecy::{ExposeSecret as _, SecretString};
use std::{net::IpAddr, sync::Arc};

/// The shortest API key of a provider has many more.
const MIN_KEY_BYTES: usize = 16;

/// `[source.api]`: what a source needs to ask its provider.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Who asks, for providers that want to be told beside the key.
    pub client_id: Option<SecretString>,
    /// The credential, as the provider shows it.
    pub key: SecretString,
    /// In place of the provider's own scheme and host, e.g. those of its sandbox.
    pub url: Option<String>,
}

/// Why a source cannot ask its provider. Never holds the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Its preset does not say how.
    #[error(
        "the preset `{0}` has no [confirm], so its provider is never asked; leave it out, or write a preset that has one"
    )]
    NoConfirm(Arc<str>),
    /// The log's ids are not the provider's.
    #[error("the provider knows its own ids only; leave out either `payment` or `api`")]
    OtherIds,
    /// The credential is none.
    #[error("key {0}; use the API key that the provider shows")]
    Key(#[from] Weakness),
    /// It could not be sent.
    #[error("key has characters that no header can carry; use the API key that the provider shows")]
    Unsendable,
    /// Not where a credential may be sent to.
    #[error("url: allowed: https://HOST, or http:// on this machine's loopback, without a path")]
    Url,
}

impl ApiSettings {
    /// The key, if it can be one.
    pub(crate) fn checked_key(&self) -> Result<&str, ApiError> {
        let key = self.key.expose_secret();
        secret::check(key, MIN_KEY_BYTES)?;
        if key.is_ascii() { Ok(key) } else { Err(ApiError::Unsendable) }
    }

    /// The scheme and host that it names, if any. A key goes nowhere unencrypted, but to this machine itself.
    pub(crate) fn origin(&self) -> Result<Option<String>, ApiError> {
        let Some(url) = &self.url else { return Ok(None) };
        let uri: Uri = url.parse().map_err(|_| ApiError::Url)?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let is_fine = uri.scheme() == Some(&Scheme::HTTPS) || uri.scheme() == Some(&Scheme::HTTP) && is_here;
        let is_bare = matches!(uri.path_and_query().map(PathAndQuery::as_str), None | Some("/" | ""));
        origin(&uri).filter(|_| is_fine && is_bare).ok_or(ApiError::Url).map(Some)
    }
}

/// Scheme and host, if there is nothing before the host.
pub(super) fn origin(uri: &Uri) -> Option<String> {
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    Some(format!("{}://{authority}", uri.scheme_str()?))
}
