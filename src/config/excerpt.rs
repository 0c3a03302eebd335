//! What single commands need of a configuration. The whole file is read and checked, but of its secrets only those that the
//! command uses are followed: a token is signed on machines that know no provider's secret.

use super::{
    Environment, Listen, Mistakes,
    document::Document,
    load,
    read::{self, Parts, Wanted},
};
use crate::{access::Access, ingest::Source, payment::Name};
use secrecy::SecretString;
use std::path::Path;

/// Which key signs a token: the named one, else the first that may.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// Its name.
    pub kid: Option<&'a str>,
    /// The realm that it has to sign for.
    pub realm: &'a Name,
    /// Whether it has to sign for all payments of that realm.
    pub all: bool,
}

/// What it takes to sign tokens.
#[derive(Debug)]
pub struct Signing {
    /// Signs by the key that was asked for alone, or by none where there is no such key.
    pub access: Access,
    /// The names of all keys.
    pub kids: Vec<String>,
}

/// What it takes to post webhooks of a source.
#[derive(Debug)]
pub struct Posting {
    /// Where the gateway listens.
    pub listen: Listen,
    /// The source, if there is one of that name.
    pub source: Option<Source>,
    /// The names of all sources.
    pub names: Vec<String>,
}

/// What it takes to use the operators' routes.
#[derive(Clone, Debug)]
pub struct Operating {
    /// Where the gateway listens.
    pub listen: Listen,
    /// The operators' token, if there is one.
    pub token: Option<SecretString>,
}

impl Signing {
    /// Reads the file, with the overrides of the environment over it. Needs the secrets of one key.
    pub fn load(file: &Path, environment: &Environment, signer: Signer<'_>) -> Result<Self, Mistakes> {
        load(file, environment, |document| {
            let Parts { access, kids, .. } = read::parts(document, &Wanted::Signer(signer));
            Some(Self { access: access?, kids })
        })
    }
}

impl Posting {
    /// Reads the file, with the overrides of the environment over it. Needs the secrets of the source `name`.
    pub fn load(file: &Path, environment: &Environment, name: &str) -> Result<Self, Mistakes> {
        let Parts { listen, sources, source_names: names, .. } =
            parts(file, environment, &Wanted::Source(name))?;
        let source = sources.into_iter().find(|source| source.name() == name);
        Ok(Self { listen, source, names })
    }
}

impl Operating {
    /// Reads the file, with the overrides of the environment over it. Needs the operators' token.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, Mistakes> {
        let Parts { listen, admin_token: token, .. } = parts(file, environment, &Wanted::AdminToken)?;
        Ok(Self { listen, token })
    }
}

fn parts(file: &Path, environment: &Environment, wanted: &Wanted<'_>) -> Result<Parts, Mistakes> {
    load(file, environment, |document: &Document<'_>| Some(read::parts(document, wanted)))
}
