//! `paystream demo`: a page to watch, without any configuration.

use super::{Usage, port};
use crate::{app::demo, store::redis};
use clap::Args;

/// Shows a checkout page that follows a payment, live
///
/// Needs no configuration and keeps nothing: a gateway on loopback with a temporary data folder and a payment whose
/// webhooks are signed and posted as a provider would. Ends with Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream demo
  paystream demo --port 3000
  paystream demo --redis redis://127.0.0.1:6379")]
pub(super) struct Demo {
    /// The port of the page [default: 8080, or a free one if that is taken]
    #[arg(long)]
    port: Option<u16>,
    /// Keep the payments on this Redis server instead, under a prefix of the demo's own; all of its keys are removed at
    /// the end. Whatever the server keeps or forgets is fine: durability is "none"
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let redis = self.redis.map(|url| demo::on_redis(url.into()));
        if let Some(Err(why)) = redis.as_ref().map(redis::Settings::check) {
            return Err(
                Usage(format!("--redis: it {why}; allowed: redis://[user:password@]host[:port]")).into()
            );
        }
        demo::run(self.port, redis).await.map_err(port::in_terms_of_arguments)
    }
}
