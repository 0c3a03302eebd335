//! `paystream doctor`: follows a payment through the proxies that its readers have, and says what they do to the stream.
//!
//! It uses what the gateway has for everybody, the snapshot and the stream of one payment, so it needs no route of its own that
//! strangers could use, and finds what a browser would find. It is given a token like any client, and sends it to nobody whose
//! certificate is not in order. All that it waits for has a bound.
//!
//! | file | noun |
//! |---|---|
//! | `endpoint`  | where the gateway is asked, and how an answer is read |
//! | `handshake` | the certificate and the versions of TLS; `old_tls` asks for the versions that our library cannot speak |
//! | `snapshots` | tokens, caches, entity tags, long heads |
//! | `cors`      | what the page of another origin may read |
//! | `streams`   | the heads of streams, compression, cursors |
//! | `timing`    | one stream by the clock |
//! | `finding`   | what can be wrong |
//! | `remedy`    | what mends it, for each `middlebox` |
//! | `report`    | the result, for people and for programs |

mod cors;
mod endpoint;
mod finding;
mod handshake;
mod middlebox;
mod old_tls;
mod remedy;
mod report;
mod snapshots;
mod streams;
mod timing;

use super::{argument, exit::Usage, output};
use crate::{
    clock,
    config::{DEFAULT_REALM, Signing, TokenSigner, environment},
    payment::Name,
};
use clap::Args;
use endpoint::Endpoint;
use finding::{Diagnosis, Halt};
use report::Report;
use reqwest::{Url, header::HeaderValue};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Tries a stream through the proxies in front of the gateway, and says what they break
///
/// Asks for a payment and its stream as browsers do, watches one stream by the clock, and says in plain sentences what holds
/// events back, cuts idle connections, compresses, caches, or loses tokens, cursors and the headers of CORS, and how to mend it. The
/// exit code is 0 if all is in order, 1 if something was found, and 2 if something could not be tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream doctor --url https://pay.shop.example --config paystream.toml --origin https://shop.example
  paystream doctor --url https://pay.shop.example --payment pay_abc --token \"$(paystream token --payment pay_abc)\"
  paystream doctor --url https://pay.shop.example --config paystream.toml --seconds 300 --json")]
pub(super) struct DoctorArgs {
    /// The URL under which browsers reach the gateway, with all proxies in between
    #[arg(long, value_parser = argument::bare_url)]
    url: Url,
    /// The id of a payment, which need not exist [default with --config: one that nobody has]
    #[arg(long, short, value_name = "ID", value_parser = argument::payment, required_unless_present = "config")]
    payment: Option<Name>,
    /// The token, which has to name the payment; it needs --payment
    #[arg(long, env = "PAYSTREAM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The gateway's configuration file, to sign a token if none is given, and for the heartbeat interval
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The realm of a token that is signed
    #[arg(long, default_value = DEFAULT_REALM, value_parser = argument::name)]
    realm: Name,
    /// The origin of the page that reads the stream, as in the address bar, such as `https://shop.example`
    #[arg(long, value_name = "ORIGIN", value_parser = argument::origin)]
    origin: Option<HeaderValue>,
    /// The heartbeat interval of the gateway [default: that of --config, or 15s]
    #[arg(long, value_name = "DURATION", value_parser = argument::duration)]
    heartbeat: Option<Duration>,
    /// How long the stream is watched, up to 600 [default: two heartbeats and 5 s]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// The longest time that a stream is watched.
const MAX_SECONDS: u64 = 600;

/// The heartbeat interval of a gateway that is not configured otherwise.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The longest heartbeat interval that can be configured.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(3600);

/// How much longer than the stream a signed token is valid: for all that is tried before.
const TOKEN_MARGIN: Duration = Duration::from_secs(300);

impl DoctorArgs {
    /// Returns the exit code, or an error if the arguments are wrong.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (payment, token, configured) = self.admission()?;
        let heartbeat = self.heartbeat.or(configured).unwrap_or(HEARTBEAT);
        if heartbeat > LONGEST_HEARTBEAT {
            return Err(Usage("--heartbeat is at most 1h, as in the configuration".to_owned()).into());
        }
        let length = self.length(heartbeat);
        let endpoint = Endpoint::new(self.url.clone(), payment, token, self.origin.clone())?;
        let mut report = Report::new(&endpoint, heartbeat);
        let mut diagnosis = Diagnosis::default();
        if let Err(Halt::Unreached(why)) = examine(&endpoint, length, &mut report, &mut diagnosis).await {
            diagnosis.untried.push(why);
        }
        output::say(&if self.json {
            report.as_json(&diagnosis).to_string()
        } else {
            report.as_text(&diagnosis)
        })?;
        Ok(ExitCode::from(match (diagnosis.findings.as_slice(), diagnosis.untried.as_slice()) {
            ([], []) => 0,
            ([], _) => 2,
            _ => 1,
        }))
    }

    fn length(&self, heartbeat: Duration) -> Duration {
        let longest = Duration::from_secs(MAX_SECONDS);
        let usual = heartbeat.saturating_mul(2).saturating_add(Duration::from_secs(5));
        self.seconds.map_or(usual, Duration::from_secs).min(longest)
    }

    /// The payment, a token for it, and the configured heartbeat. A token is signed if none is given, or if the payment is one that no
    /// given token can name.
    fn admission(&self) -> anyhow::Result<(Name, Option<String>, Option<Duration>)> {
        let Some(file) = &self.config else {
            let missing =
                || Usage("name a payment with --payment, or a configuration with --config".to_owned());
            return Ok((self.payment.clone().ok_or_else(missing)?, self.token.clone(), None));
        };
        let signer = TokenSigner { kid: None, realm: &self.realm, all: false };
        let Signing { access, heartbeat, .. } = Signing::load(file, &environment(), signer)?;
        if let (Some(payment), Some(token)) = (&self.payment, &self.token) {
            return Ok((payment.clone(), Some(token.clone()), Some(heartbeat)));
        }
        let payment = match &self.payment {
            Some(payment) => payment.clone(),
            None => format!("doctor-{}", hex::encode(rand::random::<[u8; 8]>())).parse()?,
        };
        let ttl = self.length(self.heartbeat.unwrap_or(heartbeat)) + TOKEN_MARGIN;
        let minted = access.mint(None, &self.realm, std::slice::from_ref(&payment), ttl, clock::now());
        let token = minted.map_err(|error| Usage(error.to_string()))?;
        Ok((payment, Some(token), Some(heartbeat)))
    }
}

/// Tries everything in turn. What is found and what could not be tried is noted; `Halt` says that nothing more makes sense.
async fn examine(
    endpoint: &Endpoint,
    length: Duration,
    report: &mut Report<'_>,
    diagnosis: &mut Diagnosis,
) -> Result<(), Halt> {
    report.tls = handshake::examine(endpoint, diagnosis).await?;
    let reached = snapshots::examine(endpoint, diagnosis).await?;
    report.http = Some(reached.version);
    cors::examine(endpoint, diagnosis).await;
    streams::examine(endpoint, reached.carrier, diagnosis).await;
    report.watched = Some(length);
    match timing::watch(endpoint, reached.carrier, length).await {
        Ok(timeline) => {
            let findings = timing::judge(&timeline, report.heartbeat, reached.took);
            diagnosis.note(findings, "the stream by the clock");
            if let Some(why) = timing::unseen(&timeline, report.heartbeat) {
                diagnosis.untried.push(why);
            }
        }
        Err(why) => diagnosis.untried.push(format!("a stream by the clock: {why}")),
    }
    Ok(())
}
