//! `paystream health`: asks a gateway for its health, for container engines that run a command for that. The image has no other
//! program.

use super::{argument, client, config_file::ConfigFile, output};
use crate::config::Operating;
use anyhow::Context;
use clap::{Args, ValueEnum};
use reqwest::Url;
use std::time::Duration;

/// How long the gateway may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the gateway on this machine for its health
///
/// Requests a health route of the admin listener, whose address is that of the configuration. The exit code is 0 if the answer is good,
/// and 1 if it is not, or if none comes within two seconds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream health --config paystream.toml             does the gateway run?
  paystream health --of ready --config paystream.toml  is it ready for streams?
  paystream health --url http://10.0.0.7:9090          the same of another machine")]
pub(super) struct HealthArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The URL of the gateway's admin listener [default: http://<listen.admin>]
    #[arg(long, value_parser = argument::url)]
    url: Option<Url>,
    /// What is asked
    #[arg(long, value_enum, default_value_t = Question::Live)]
    of: Question,
}

/// What is asked of the gateway.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Question {
    /// Whether the process runs
    Live,
    /// Whether it is ready for streams
    Ready,
    /// Whether it would take a webhook
    Ingest,
}

impl HealthArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let base = match self.url {
            Some(url) => url,
            None => {
                let Operating { listen, has_tls, .. } = self.config.read(Operating::load)?;
                client::base_of(None, listen.admin, has_tls)?
            }
        };
        let route: &[&str] = match self.of {
            Question::Live => &["livez"],
            Question::Ready => &["readyz"],
            Question::Ingest => &["readyz", "ingest"],
        };
        let request = client::for_url(&base)?.get(client::below(&base, route)).timeout(TIMEOUT);
        let answer = request.send().await.with_context(|| format!("{base} does not answer"))?;
        let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
        anyhow::ensure!(status.is_success(), "{base} answers {status}: {}", said.trim_end());
        Ok(output::say(said.trim_end())?)
    }
}
