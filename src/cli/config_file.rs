//! The configuration file that a command works with.

use crate::config::{Config, ConfigMistakes, Environment, environment};
use clap::Args;
use std::path::{Path, PathBuf};

/// The argument that names the configuration file.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The path of the configuration file
    #[arg(
        id = "config",
        long = "config",
        short,
        value_name = "FILE",
        default_value = "paystream.toml",
        env = "PAYSTREAM_CONFIG"
    )]
    pub(super) path: PathBuf,
}

impl ConfigFile {
    /// Reads the whole configuration, with all secrets.
    pub(super) fn load(&self) -> Result<Config, ConfigMistakes> {
        self.read(Config::load)
    }

    /// Reads what `read` needs of the file, in the environment of this process.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Path, &Environment) -> Result<T, ConfigMistakes>,
    ) -> Result<T, ConfigMistakes> {
        read(&self.path, &environment())
    }
}
