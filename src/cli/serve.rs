//! `paystream serve`: runs the gateway until a signal ends it.

use super::{client, config_file::ConfigFile, exit::Usage, output, port, rotation::Rotation};
use crate::{
    app::{App, MisplacedSocket, Running},
    config::{
        Config, ConfigMistakes, ConfigText, DEV_SECRET, Listen, Role, SecretFiles, environment, fresh_secret,
    },
    metrics::{ReloadCause, ReloadOutcome},
    systemd::{self, PassedSockets},
    telemetry,
};
use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

/// Runs the gateway
///
/// On SIGHUP, the gateway reloads the configuration file without dropping a stream; changes of the sockets and the store need a
/// restart. On SIGTERM or SIGINT, it closes all streams within the drain window and stops; a second signal stops it at once.
///
/// As a service of systemd, it says when it is ready, reloads and stops (Type=notify), tells the watchdog that it works, and takes
/// sockets with the names public, ingest, admin and redirect.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream serve --config paystream.toml
  PAYSTREAM__LISTEN__PUBLIC=0.0.0.0:8080 paystream serve
  paystream serve --role ingest                        take webhooks only; needs no access key
  paystream serve --role stream                        serve streams only; needs no webhook secret
  paystream serve --dev                                open to this machine, for development
  paystream serve --dev --port 3001                    the same, if port 8080 is in use")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// What to run: ingest (takes webhooks), stream (serves streams), or all. A role other than all needs the Redis store
    #[arg(long, default_value_t = Role::All)]
    role: Role,
    /// For development: run without a configuration, open to everyone, on loopback only, with a temporary data folder
    #[arg(long, conflicts_with_all = ["config", "role"])]
    dev: bool,
    /// With --dev: the port for streams and webhooks; 0 chooses a free port
    /// [default: the port of PAYSTREAM__LISTEN__PUBLIC, or 8080]
    #[arg(long, requires = "dev")]
    port: Option<u16>,
}

impl ServeArgs {
    /// Takes the sockets that a service manager has opened for this process. To be called once, while it has no other threads.
    pub(super) fn sockets(&self) -> anyhow::Result<PassedSockets> {
        let sockets =
            PassedSockets::take().map_err(|error| Usage(format!("{:#}", anyhow::Error::from(error))))?;
        if self.dev && !sockets.is_empty() {
            let open = "--dev is open to everyone, and takes no sockets of a service manager";
            return Err(Usage(open.to_owned()).into());
        }
        Ok(sockets)
    }

    pub(super) async fn run(self, sockets: PassedSockets) -> anyhow::Result<()> {
        if self.dev {
            let folder = tempfile::tempdir().context("the temporary data folder cannot be created")?;
            let data = folder.path().to_owned();
            let mut environment = environment();
            let secret = environment.remove(DEV_SECRET).map_or_else(fresh_secret, Into::into);
            let mut config = Config::dev(data, &secret)?;
            config.listen = Listen::dev(self.port, &environment)?;
            let served =
                serve(config, Role::All, None, sockets, |running| warn_loudly(running, &secret)).await;
            return served.map_err(port::in_terms_of_arguments);
        }
        let loaded = Loaded::read(&self.config)?;
        let config = loaded.text.parse(&environment())?;
        config.check_role(self.role)?;
        let warnings = config.warnings(self.role);
        let warn = |_: &Running| warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        serve(config, self.role, Some(loaded), sockets, warn).await
    }
}

/// Runs until a signal ends it. Calls `started` once the sockets are open. A service manager is told of each step.
async fn serve(
    config: Config,
    role: Role,
    mut loaded: Option<Loaded<'_>>,
    sockets: PassedSockets,
    started: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    telemetry::start(config.log);
    let mut signals = Signals::new().context("the signal handlers cannot be installed")?;
    let mut rotation = Rotation::new(config.secret_files.clone());
    let mut running = App::start_on(config, role, sockets).await.map_err(misplaced_is_usage)?;
    started(&running);
    let _watched = systemd::watchdog().map(|patience| {
        let pulse = running.pulse();
        let works = move || {
            let pulse = pulse.clone();
            async move { pulse.beat().await }
        };
        AbortOnDropHandle::new(tokio::spawn(systemd::keep_watchdog(patience, works)))
    });
    systemd::ready();
    let failure = loop {
        tokio::select! {
            action = signals.next() => match action {
                SignalAction::Reload => {
                    systemd::reloading();
                    systemd::reloaded(reload(&running, loaded.as_mut(), &mut rotation));
                }
                SignalAction::Shutdown => break None,
            },
            files = rotation.changed() => reread(&running, loaded.as_ref(), &mut rotation, &files),
            failure = running.failed() => break Some(failure),
        }
    };
    systemd::stopping(running.drain_window());
    if failure.is_none() {
        tracing::info!("shutting down; a second signal stops the gateway at once");
    }
    tokio::select! {
        () = running.shutdown() => (),
        () = signals.shutdown() => tracing::warn!("stopped at once because of a second signal"),
    }
    failure.map_or(Ok(()), Err)
}

/// The configuration that is in use, as it was written.
struct Loaded<'a> {
    file: &'a ConfigFile,
    text: ConfigText,
}

impl<'a> Loaded<'a> {
    fn read(file: &'a ConfigFile) -> Result<Self, ConfigMistakes> {
        Ok(Self { file, text: ConfigText::load(&file.path)? })
    }
}

/// Reloads the configuration file. If it has a mistake, the running configuration stays in use, and the answer is `false`.
fn reload(running: &Running, loaded: Option<&mut Loaded<'_>>, rotation: &mut Rotation) -> bool {
    let Some(loaded) = loaded else {
        tracing::info!("there is no configuration file, so nothing is reloaded");
        return true;
    };
    let newer = Loaded::read(loaded.file);
    let config = newer.as_ref().map_err(Clone::clone).and_then(|newer| newer.text.parse(&environment()));
    let (Some(files), Ok(newer)) = (replace(running, config, ReloadCause::Signal), newer) else {
        return false;
    };
    *loaded = newer;
    rotation.accept(files);
    true
}

/// A socket for which there is no listener is a mistake of whoever set up the service, and a restart does not mend it.
fn misplaced_is_usage(error: anyhow::Error) -> anyhow::Error {
    if error.is::<MisplacedSocket>() { Usage(format!("{error:#}")).into() } else { error }
}

/// Reads the secrets again because `files` changed. The rest of the configuration stays as it was read last, because the file may be
/// in the middle of an edit. If one of the secrets is refused, all stay in use as they are.
fn reread(running: &Running, loaded: Option<&Loaded<'_>>, rotation: &mut Rotation, files: &[PathBuf]) {
    let Some(loaded) = loaded else { return };
    let names: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    tracing::info!(files = names.join(", "), "files with secrets have changed; reading them again");
    match replace(running, loaded.text.parse(&environment()), ReloadCause::SecretFile) {
        Some(files) => rotation.accept(files),
        None => rotation.refuse(),
    }
}

/// Puts a configuration in use, and returns the files of its secrets. After a mistake, the running one stays in use.
fn replace(
    running: &Running,
    config: Result<Config, ConfigMistakes>,
    cause: ReloadCause,
) -> Option<SecretFiles> {
    let mistakes = match config {
        Ok(config) => {
            let files = config.secret_files.clone();
            match running.reload(config) {
                Ok(()) => {
                    running.note_reload(cause, ReloadOutcome::Done);
                    return Some(files);
                }
                Err(error) => vec![format!("{error:#}")],
            }
        }
        Err(mistakes) => mistakes.iter().map(|mistake| mistake.text.clone()).collect(),
    };
    for mistake in mistakes {
        tracing::error!("configuration not reloaded, the old one stays in use: {mistake}");
    }
    running.note_reload(cause, ReloadOutcome::Refused);
    None
}

/// What a signal asks the gateway to do.
#[derive(PartialEq, Eq)]
enum SignalAction {
    Reload,
    Shutdown,
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

    async fn next(&mut self) -> SignalAction {
        tokio::select! {
            _ = self.hangup.recv() => SignalAction::Reload,
            _ = self.terminate.recv() => SignalAction::Shutdown,
            _ = self.interrupt.recv() => SignalAction::Shutdown,
        }
    }

    /// Returns at the next signal that asks for the shutdown.
    async fn shutdown(&mut self) {
        while self.next().await != SignalAction::Shutdown {}
    }
}

/// Warns that the gateway is open to everyone on this machine, and shows how to use it.
fn warn_loudly(running: &Running, secret: &SecretString) {
    let public = client::url_of(running.listen.public);
    let secret = secret.expose_secret();
    output::complain(&format!(
        "
  ********************************************************************
  **  DEVELOPMENT MODE: OPEN. Everyone who can reach the loopback   **
  **  of this machine can watch every payment without a token.      **
  **  The data folder is deleted when this process ends.            **
  ********************************************************************

  Watch a payment:  paystream watch --url {public} --payment pay_1
  or in a browser:  {public}/v1/payments/pay_1/events
  All payments:     {public}/dashboard
  Post webhooks:    {DEV_SECRET}={secret} paystream trigger --dev --source stripe --payment pay_1 --url {ingest}
  or with a client: POST {ingest}/webhooks/dev (generic), POST {ingest}/webhooks/stripe, signed with that secret
  Look inside:      {admin}/metrics

  In a page on this machine, such as http://localhost:3000 (any port of localhost, 127.0.0.1 or [::1]; other origins cannot read):

    const events = new EventSource(\"{public}/v1/payments/pay_1/events\");
    events.onmessage = ({{ data }}) => console.log(JSON.parse(data));
",
        ingest = client::url_of(running.listen.ingest),
        admin = client::url_of(running.listen.admin),
    ));
}
