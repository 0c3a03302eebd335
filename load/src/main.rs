//! First measurements of a running gateway: what an idle stream costs, and how fast a webhook reaches those who watch.

mod hold;
mod webhooks;

use clap::{Parser, Subcommand};

/// Measures a running gateway.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Opens idle streams and tells what each costs the gateway in memory.
    Hold(hold::Arguments),
    /// Posts signed webhooks and tells how many are accepted and how long they take to reach the streams.
    Webhooks(webhooks::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Hold(arguments) => hold::run(arguments).await,
        Command::Webhooks(arguments) => webhooks::run(arguments).await,
    }
}

/// The header that carries a token, if there is one.
fn bearer(token: Option<&str>) -> Vec<(String, String)> {
    token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))).into_iter().collect()
}
