//! Which secrets of a configuration are resolved. Every command reads and checks the whole file, but resolves only the secrets that
//! it uses, so that a token can be signed on a machine that has no provider's secret.

use crate::payment::Name;

/// Selects the secrets that are resolved. Of all others, only the form of the reference is checked.
pub(super) enum SecretScope<'a> {
    /// All secrets, for running the gateway.
    All,
    /// Those of the access key that signs a token.
    SigningKey(TokenSigner<'a>),
    /// Those of the source with this name.
    Source(&'a str),
    /// The token with which a command opens the admin listener.
    AdminToken,
}

/// Describes the access key that signs a token: the key named `kid` or, without a `kid`, the first key that may sign.
#[derive(Clone, Copy, Debug)]
pub struct TokenSigner<'a> {
    /// The name of the key, if the caller asks for a certain one.
    pub kid: Option<&'a str>,
    /// The realm of the token. The key must be allowed to sign for it.
    pub realm: &'a Name,
    /// Whether the token is for all payments of the realm, which only an operator's key may sign.
    pub all: bool,
}
