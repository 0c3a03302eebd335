//! The source that `trigger` and `listen` work with: one of a configuration, or that of `serve --dev`.

use super::{config_file::ConfigFile, exit::Usage};
use crate::{
    config::{Config, DEV_SECRET, Environment, Listen, Posting, environment},
    limits::Limits,
    source::Source,
};
use clap::Args;

/// The arguments that say where the source is configured.
#[derive(Debug, Args)]
pub(super) struct OneSourceArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Use the configuration of `serve --dev`, whose secret has to be in PAYSTREAM_DEV_SECRET
    #[arg(long, conflicts_with = "config")]
    dev: bool,
}

/// A source, and what its gateway's configuration says around it.
pub(super) struct OneSource {
    /// The addresses of the gateway.
    pub(super) listen: Listen,
    /// Whether the ingest listener speaks TLS.
    pub(super) has_tls: bool,
    /// The source.
    pub(super) source: Source,
    /// The limits of the gateway.
    pub(super) limits: Limits,
}

impl OneSourceArgs {
    /// Finds the source `name`. Of the secrets, only those of this source are resolved.
    pub(super) fn find(&self, name: &str) -> anyhow::Result<OneSource> {
        let Posting { listen, has_tls, source, names, limits } = self.posting(name, &environment())?;
        let unknown = || {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Usage(format!("there is no source {name:?}; the configured sources are: {known}"))
        };
        Ok(OneSource { listen, has_tls, source: source.ok_or_else(unknown)?, limits })
    }

    fn posting(&self, name: &str, environment: &Environment) -> anyhow::Result<Posting> {
        if !self.dev {
            return Ok(Posting::load(&self.config.path, environment, name)?);
        }
        let secret = environment.get(DEV_SECRET).cloned();
        let secret = secret.ok_or_else(|| {
            Usage(format!(
                "{DEV_SECRET} is not set; set it to the secret that `paystream serve --dev` prints"
            ))
        })?;
        let Config { sources, limits, .. } = Config::dev("unused".into(), &secret.into())?;
        let names = sources.iter().map(|source| source.name().to_owned()).collect();
        let source = sources.into_iter().find(|source| source.name() == name);
        Ok(Posting { listen: Listen::dev(None, environment)?, has_tls: false, source, names, limits })
    }
}
