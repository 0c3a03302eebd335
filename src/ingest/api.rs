//! `[source.api]`: how a source asks its provider, where a webhook alone does not say enough.

use secrecy::SecretString;

/// A source's access to its provider's API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Who asks, for providers that want to be told beside the key.
    pub client_id: Option<SecretString>,
    /// The API key or secret.
    pub key: SecretString,
    /// Scheme and host in place of the provider's own, without a slash at the end.
    pub url: Option<String>,
}
