//! `paystream serve`: the gateway.

use super::{ConfigFile, output, port, post};
use crate::{
    app::{App, Running},
    config::{Config, DEV_SECRET, Listen, Role, environment, fresh_secret},
    telemetry,
};
use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the gateway
///
/// Signals: SIGHUP takes over the file anew, but for sockets and store, without dropping a stream; SIGTERM or SIGINT sends all
/// streams away over the drain window, then stops; a second one stops at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream serve --config paystream.toml
  PAYSTREAM__LISTEN__PUBLIC=0.0.0.0:8080 paystream serve
  paystream serve --role ingest                        webhooks only; needs no access key
  paystream serve --role stream                        streams only; needs no webhook secret
  paystream serve --dev                                to develop against: open to everyone on this machine
  paystream serve --dev --port 3001                    the same, where port 8080 is taken")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    /// Which half to run: ingest (webhooks), stream, or all. Halves need the Redis store
    #[arg(long, default_value_t = Role::All)]
    role: Role,
    /// No configuration: open to everyone, on loopback only, with a temporary data folder. For development
    #[arg(long, conflicts_with_all = ["config", "role"])]
    dev: bool,
    /// With --dev: the port for streams and webhooks; 0 takes one that is free
    /// [default: that of PAYSTREAM__LISTEN__PUBLIC, else 8080]
    #[arg(long, requires = "dev")]
    port: Option<u16>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.dev {
            let folder = tempfile::tempdir().context("no temporary data folder")?;
            let data = folder.path().to_owned();
            let mut environment = environment();
            let secret = environment.remove(DEV_SECRET).map_or_else(fresh_secret, Into::into);
            let mut config = Config::dev(data, &secret)?;
            config.listen = Listen::dev(self.port, &environment)?;
            let served = serve(config, Role::All, None, |running| warn_loudly(running, &secret)).await;
            return served.map_err(port::in_terms_of_arguments);
        }
        let config = self.config.load()?;
        config.check_role(self.role)?;
        // What is hardly meant is told again at the start, unless the other half is another node's.
        let warnings = if self.role == Role::All { config.warnings() } else { Vec::new() };
        let warn = |_: &Running| warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        serve(config, self.role, Some(&self.config), warn).await
    }
}

/// Runs until a signal ends it. `started` is told once the sockets are open.
async fn serve(
    config: Config,
    role: Role,
    file: Option<&ConfigFile>,
    started: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    telemetry::start(config.log);
    let mut signals = Signals::new().context("signals cannot be received")?;
    let mut running = App::start(config, role).await?;
    started(&running);
    let failure = loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Reload => reload(&running, file),
                Asked::End => break None,
            },
            failure = running.failed() => break Some(failure),
        }
    };
    if failure.is_none() {
        tracing::info!("stopping; a second signal stops at once");
    }
    tokio::select! {
        () = running.shutdown() => (),
        () = signals.end() => tracing::warn!("stopped at once, by a second signal"),
    }
    failure.map_or(Ok(()), Err)
}

/// Takes over the file anew. With a mistake in it, everything stays as it is.
fn reload(running: &Running, file: Option<&ConfigFile>) {
    let Some(file) = file else {
        tracing::info!("nothing to reload: there is no configuration file");
        return;
    };
    match file.load() {
        Ok(config) => {
            if let Err(error) = running.reload(config) {
                tracing::error!("configuration not reloaded, the old one stays: {error:#}");
            }
        }
        Err(mistakes) => {
            for mistake in mistakes.iter() {
                tracing::error!("configuration not reloaded, the old one stays: {}", mistake.text);
            }
        }
    }
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Asked {
    Reload,
    End,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
        }
    }

    /// The next signal that asks for the end.
    async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}

/// What everyone must know who starts an open gateway, and how to try it.
fn warn_loudly(running: &Running, secret: &SecretString) {
    let public = post::url_of(running.listen.public);
    let secret = secret.expose_secret();
    output::complain(&format!(
        "
  ********************************************************************
  **  DEVELOPMENT MODE: OPEN. Whoever can reach this machine's      **
  **  loopback may watch every payment, without a token.            **
  **  Nothing is kept: the data folder goes with this process.      **
  ********************************************************************

  Watch a payment:  paystream watch --url {public} --payment pay_1
  or in a browser:  {public}/v1/payments/pay_1/events
  Post webhooks:    {DEV_SECRET}={secret} paystream trigger --dev --source stripe --payment pay_1 --url {ingest}
  by yourself:      POST {ingest}/webhooks/dev (generic), POST {ingest}/webhooks/stripe, signed with that secret
  Look inside:      {admin}/metrics

  In a page of this machine, such as http://localhost:3000 (any port of localhost, 127.0.0.1 or [::1]; no other origin may read):

    const events = new EventSource(\"{public}/v1/payments/pay_1/events\");
    events.onmessage = ({{ data }}) => console.log(JSON.parse(data));
",
        ingest = post::url_of(running.listen.ingest),
        admin = post::url_of(running.listen.admin),
    ));
}
