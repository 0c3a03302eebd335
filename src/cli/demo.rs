//! `paystream demo`: a page to watch, without any configuration.

use clap::Args;

/// Shows a checkout page that follows a payment, live
///
/// Needs no configuration and keeps nothing: a gateway on loopback with a temporary data folder and a payment whose
/// webhooks are signed and posted as a provider would. Ends with Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream demo
  paystream demo --port 3000")]
pub(super) struct Demo {
    /// The port of the page [default: 8080, or a free one if that is taken]
    #[arg(long)]
    port: Option<u16>,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        crate::app::demo::run(self.port).await
    }
}
