//! `[source.api]`: the access by which a source asks its provider for payments, or for the keys that it publishes.

use crate::{
    loopback::is_loopback,
    secret::{self, Weakness},
};
use http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

/// The least length of an API key in bytes. The shortest key of a provider has many more.
const MIN_KEY_BYTES: usize = 16;

/// `[source.api]`: what a source needs in order to ask its provider.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The client id, for providers that require one in addition to the key.
    pub client_id: Option<SecretString>,
    /// The API key, as the provider shows it.
    pub key: SecretString,
    /// The scheme and host to ask in place of the provider's own, e.g. those of its sandbox.
    pub url: Option<String>,
}

/// Why a source cannot ask its provider. The message never holds the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The preset of the source does not say how its provider is asked.
    #[error(
        "the preset `{0}` has neither [confirm] nor [backfill], so its provider is never asked; leave `api` out, or write a preset that has one"
    )]
    NoConfirm(Arc<str>),
    /// The source takes payment ids from places of its own, which the provider does not know.
    #[error("the provider knows its own ids only; leave out either `payment` or `api`")]
    OtherIds,
    /// The key is not an API key.
    #[error("key {0}; use the API key that the provider shows")]
    Key(#[from] Weakness),
    /// The preset needs the client's id in addition to the key.
    #[error("the preset `{0}` asks its provider with a client id too; add `client_id`")]
    NoClientId(Arc<str>),
    /// The provider has no host of its own, so the source has to name one.
    #[error("url: it is missing; give the scheme and host of your own server or account at the provider")]
    NoUrl,
    /// An option that is part of the API's address is not set, or cannot be part of it.
    #[error("option `{0}` is part of the API's address; set it under `options`")]
    Option(String),
    /// The key cannot be sent in a header.
    #[error("key has characters that no header can carry; use the API key that the provider shows")]
    Unsendable,
    /// The URL is not one to which a credential may be sent.
    #[error("url: allowed: https://HOST, or http:// on this machine's loopback, without a path")]
    Url,
}

impl ApiSettings {
    /// Returns the key. Fails if it is too weak to be an API key, or cannot be sent in a header.
    pub(crate) fn checked_key(&self) -> Result<&str, ApiError> {
        let key = self.key.expose_secret();
        secret::check(key, MIN_KEY_BYTES)?;
        if key.is_ascii() { Ok(key) } else { Err(ApiError::Unsendable) }
    }

    /// Returns the client's id, if there is one that can be sent in a header.
    pub(crate) fn client_id(&self) -> Option<&str> {
        let id = self.client_id.as_ref()?.expose_secret();
        (!id.is_empty() && id.is_ascii()).then_some(id)
    }

    /// Returns the scheme and host of `url`, if it is given. Fails unless they are `https`, or `http` on this machine's loopback:
    /// a key never leaves the machine unencrypted.
    pub(crate) fn origin(&self) -> Result<Option<String>, ApiError> {
        let Some(url) = &self.url else { return Ok(None) };
        let uri: Uri = url.parse().map_err(|_| ApiError::Url)?;
        let is_here = uri.host().is_some_and(is_loopback);
        let is_fine = uri.scheme() == Some(&Scheme::HTTPS) || uri.scheme() == Some(&Scheme::HTTP) && is_here;
        let is_bare = matches!(uri.path_and_query().map(PathAndQuery::as_str), None | Some("/" | ""));
        origin(&uri).filter(|_| is_fine && is_bare).ok_or(ApiError::Url).map(Some)
    }
}

/// Returns the scheme and host of a URI, unless something such as a user name stands before the host.
pub(crate) fn origin(uri: &Uri) -> Option<String> {
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    Some(format!("{}://{authority}", uri.scheme_str()?))
}
