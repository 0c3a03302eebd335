//! `load hold`: opens idle streams, waits until each has its first event, and compares the gateway's memory before and
//! after.

use anyhow::{Context, Result, ensure};
use load::stream::Stream;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

/// Connections that are being opened at once; more would overflow a default listen backlog.
const OPENING: usize = 128;

/// How long a stream may take until its first event.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The gateway's public address.
    #[arg(long, default_value = "127.0.0.1:8080")]
    public: SocketAddr,
    /// How many streams to open.
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Watch this one payment; otherwise each stream watches one of its own.
    #[arg(long)]
    payment: Option<String>,
    /// A token that may watch them.
    #[arg(long, env = "PAYSTREAM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The gateway's process.
    #[arg(long)]
    pid: u32,
    /// How long the streams are held before memory is read again.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let before = anonymous_bytes(arguments.pid)?;
    let headers = Arc::new(super::bearer(arguments.token.as_deref()));
    let permits = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for index in 0..arguments.streams {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let headers = Arc::clone(&headers);
        let payment = arguments.payment.clone().unwrap_or_else(|| format!("hold-{index}"));
        let public = arguments.public;
        opening.spawn(async move {
            let mut stream =
                Stream::open(public, &format!("/v1/payments/{payment}/events"), &headers).await?;
            ensure!(stream.head.status == 200, "stream {index} was refused: status {}", stream.head.status);
            stream.event(PATIENCE).await.with_context(|| format!("stream {index} has no first event"))?;
            drop(permit);
            Ok(stream)
        });
    }
    let streams = opening.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    sleep(Duration::from_secs(arguments.seconds)).await;
    let after = anonymous_bytes(arguments.pid)?;
    let each = after.saturating_sub(before).checked_div(streams.len() as u64).unwrap_or_default();
    #[expect(clippy::print_stdout, reason = "the result is what the command is for")]
    {
        println!("streams           {}", streams.len());
        println!("memory before     {before} bytes");
        println!("memory after      {after} bytes");
        println!("memory per stream {each} bytes");
    }
    Ok(())
}

/// Resident memory of a process that is not backed by files.
fn anonymous_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("no RssAnon there")?
        .parse()?;
    Ok(kib * 1024)
}
