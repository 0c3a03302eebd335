//! `paystream demo`: a checkout page that shows a payment live, without any configuration.

use super::{exit::Usage, port};
use crate::{app::demo, store::redis};
use clap::Args;

/// Shows a checkout page that follows a payment live
///
/// Starts a gateway on loopback with a temporary data folder, and signs and posts the webhooks of a payment as its provider would.
/// It needs no configuration and leaves nothing behind. Press Ctrl-C to end it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream demo
  paystream demo --port 3000
  paystream demo --redis redis://127.0.0.1:6379")]
pub(super) struct DemoArgs {
    /// The port of the page [default: 8080, or a free port if 8080 is in use]
    #[arg(long)]
    port: Option<u16>,
    /// Store the payments on this Redis server, under a key prefix of their own, and delete these keys at the end. The demo runs
    /// with durability "none", so the server needs no settings
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

impl DemoArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let redis = self.redis.map(|url| demo::on_redis(url.into()));
        if let Some(Err(why)) = redis.as_ref().map(redis::Settings::check) {
            return Err(Usage(format!(
                "--redis: the value {why}; allowed: redis://[user:password@]host[:port]"
            ))
            .into());
        }
        demo::run(self.port, redis).await.map_err(port::in_terms_of_arguments)
    }
}
