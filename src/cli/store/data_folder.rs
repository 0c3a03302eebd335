//! The argument that names a data folder.

use crate::{
    cli::{config_file::ConfigFile, exit::Usage},
    store,
};
use clap::Args;
use std::path::PathBuf;

/// The arguments that name a data folder.
#[derive(Debug, Args)]
pub(super) struct DataFolder {
    #[command(flatten)]
    pub(super) config: ConfigFile,
    /// The data folder [default: [store] path of the configuration]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

impl DataFolder {
    /// The path that was named, or else that of the configuration.
    pub(super) fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.data {
            return Ok(folder.clone());
        }
        match self.config.load()?.store {
            store::Settings::Embedded(settings) => Ok(settings.path),
            store::Settings::Redis(_) => {
                let no_folder = "the store of this configuration is Redis, which has no data folder; name one with --data";
                Err(Usage(no_folder.to_owned()).into())
            }
        }
    }
}
