//! The parts of a configuration that single commands need. The whole file is read and checked, but only the secrets that the command
//! uses are resolved.

use super::{
    document::Document,
    environment::Environment,
    listen::{Listen, ListenerKind},
    load,
    mistake::ConfigMistakes,
    read::{self, Parts},
    scope::{SecretScope, TokenSigner},
};
use crate::{access::Access, limits::Limits, source::Source};
use secrecy::SecretString;
use std::{path::Path, time::Duration};

/// What a command needs to sign tokens.
#[derive(Debug)]
pub struct Signing {
    /// Access with only the key that was selected. It has no key if none fits.
    pub access: Access,
    /// The names of all configured keys.
    pub kids: Vec<String>,
    /// The longest silence of a stream, after which the gateway sends a heartbeat.
    pub heartbeat: Duration,
}

/// What a command needs to post webhooks to a source.
#[derive(Debug)]
pub struct Posting {
    /// The addresses of the gateway.
    pub listen: Listen,
    /// Whether the ingest listener speaks TLS.
    pub has_tls: bool,
    /// The source, if one of that name is configured.
    pub source: Option<Source>,
    /// The names of all configured sources.
    pub names: Vec<String>,
    /// The limits of the gateway.
    pub limits: Limits,
}

/// What a command needs to use the operators' routes of the admin listener.
#[derive(Clone, Debug)]
pub struct Operating {
    /// The addresses of the gateway.
    pub listen: Listen,
    /// Whether the admin listener speaks TLS.
    pub has_tls: bool,
    /// The token of an operator, if one is configured: of one who may change things, if there is one.
    pub token: Option<SecretString>,
}

impl Signing {
    /// Reads a configuration file, of whose secrets only those of the signing key have to exist.
    pub fn load(
        file: &Path,
        environment: &Environment,
        signer: TokenSigner<'_>,
    ) -> Result<Self, ConfigMistakes> {
        load(file, environment, |document| {
            let Parts { access, kids, stream, .. } = read::parts(document, &SecretScope::SigningKey(signer));
            Some(Self { access: access?, kids, heartbeat: stream.heartbeat })
        })
    }
}

impl Posting {
    /// Reads a configuration file, of whose secrets only those of the source `name` have to exist.
    pub fn load(file: &Path, environment: &Environment, name: &str) -> Result<Self, ConfigMistakes> {
        let Parts { listen, tls, sources, source_names: names, limits, .. } =
            parts(file, environment, &SecretScope::Source(name))?;
        let source = sources.into_iter().find(|source| source.name() == name);
        Ok(Self { listen, has_tls: tls.is_on(ListenerKind::Ingest), source, names, limits })
    }
}

impl Operating {
    /// Reads a configuration file, of whose secrets only that token has to exist.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, ConfigMistakes> {
        let Parts { listen, tls, admin, .. } = parts(file, environment, &SecretScope::AdminToken)?;
        Ok(Self { listen, has_tls: tls.is_on(ListenerKind::Admin), token: admin.token })
    }
}

fn parts(file: &Path, environment: &Environment, wanted: &SecretScope<'_>) -> Result<Parts, ConfigMistakes> {
    load(file, environment, |document: &Document<'_>| Some(read::parts(document, wanted)))
}
