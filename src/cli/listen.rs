//! `paystream listen`: takes the webhooks of one source on a developer's machine, and passes those that are verified on to a local
//! program.

use super::{
    argument, client,
    exit::Usage,
    one_source::{OneSource, OneSourceArgs},
    output,
};
use crate::{
    app::relay::{ForwardTo, Receiver, RelayFate, Relayed},
    payment::Time,
    source::{Examined, Fate, NotVerified},
};
use anyhow::Context as _;
use clap::Args;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Takes a source's webhooks and passes those that are verified on to a local program
///
/// For developers of a shop. It needs no gateway: it verifies what comes to http://127.0.0.1:4242/webhooks/SOURCE with the secrets of
/// the source, as the gateway would, and posts the verified request to the local program, with body, headers and query unchanged. The
/// provider gets the program's answer. What is not verified is refused, and reported with the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream listen --source acme                                          report what comes
  paystream listen --source acme --forward-to http://localhost:3000/hook  and pass it on
  paystream trigger --source acme --payment pay_1 --url http://127.0.0.1:4242
                                                                          send something

A provider reaches this machine through a tunnel, such as that of cloudflared or ngrok, to the address that is listened on.")]
pub(super) struct ListenArgs {
    #[command(flatten)]
    from: OneSourceArgs,
    /// The source whose webhooks are taken
    #[arg(long, short, value_name = "NAME")]
    source: String,
    /// The URL of the local program that gets the verified webhooks
    #[arg(long, value_name = "URL", value_parser = argument::url)]
    forward_to: Option<Url>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4242")]
    bind: SocketAddr,
    /// Print one JSON object per delivery
    #[arg(long)]
    json: bool,
}

impl ListenArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let OneSource { source, limits, .. } = self.from.find(&self.source)?;
        let forward_to = self.forward_to.map(|url| -> anyhow::Result<ForwardTo> {
            let client = client::for_url(&url)?;
            Ok(ForwardTo { url, client })
        });
        let forward_to = forward_to.transpose()?;
        let mut terminate =
            signal(SignalKind::terminate()).context("the signal handlers cannot be installed")?;
        let receiver = Receiver::bind(self.bind, limits).map_err(|why| {
            Usage(format!("cannot listen on {}: {why}; choose another address with --bind", self.bind))
        })?;
        let address = format!("http://{}/webhooks/{}", receiver.address, self.source);
        let target = forward_to.as_ref().map(|forward_to| forward_to.url.to_string());
        let line = if self.json {
            json!({ "listening": address, "forward_to": target }).to_string()
        } else {
            let goes = target.map(|url| format!(" Verified deliveries go to {url}.")).unwrap_or_default();
            format!("Listening on {address}.{goes} Press Ctrl-C to end.")
        };
        output::say(&line)?;
        let json = self.json;
        let report = move |relayed: Relayed| {
            let line = if json { in_json(&relayed).to_string() } else { in_words(&relayed) };
            // Without a reader of the output, the deliveries still go on to the local program.
            let _unheard = output::say(&line);
        };
        let ended = async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        receiver.run(source, forward_to, report, ended).await;
        Ok(())
    }
}

/// One line about a delivery, for people.
fn in_words(Relayed { at, fate }: &Relayed) -> String {
    let time = time_of_day(*at);
    match fate {
        RelayFate::Refused(refused, unreported) => {
            let more = match unreported {
                0 => String::new(),
                more => format!(" ({more} more were refused before)"),
            };
            format!("{time}  refused with {}: {}{more}", refused.status, why(refused))
        }
        RelayFate::Taken(events) => format!("{time}  {}", all(events)),
        RelayFate::Forwarded(events, status, took) => {
            format!("{time}  {}  → {} in {} ms", all(events), status.as_u16(), took.as_millis())
        }
        RelayFate::Unanswered(events, why) => format!("{time}  {}  → no answer: {why}", all(events)),
        RelayFate::Busy => format!("{time}  refused with 503: too many deliveries are being passed on"),
    }
}

/// Says why a delivery is refused, and what explains it.
fn why(refused: &NotVerified) -> String {
    let diagnosis = refused.diagnosis.as_ref();
    let cause = diagnosis.map(|found| format!(" ({}) {}", found.cause, found.change)).unwrap_or_default();
    format!("{} {}{cause}", refused.reason, refused.detail)
}

fn all(events: &[Examined]) -> String {
    if events.is_empty() {
        return "no event".to_owned();
    }
    events.iter().map(event).collect::<Vec<_>>().join("; ")
}

fn event(Examined { kind, payment, fate, .. }: &Examined) -> String {
    let kind = if kind.is_empty() { "an event without a type" } else { kind };
    let payment = payment.as_deref().map(|payment| format!(" {payment}")).unwrap_or_default();
    let fate = match fate {
        Fate::Appended => String::new(),
        Fate::Ignored => " (about no payment; the gateway ignores it)".to_owned(),
        Fate::Quarantined(code, at) => format!(" (the gateway puts it into quarantine: {code} at {at})"),
    };
    format!("{kind}{payment}{fate}")
}

/// One object about a delivery, for programs.
fn in_json(Relayed { at, fate }: &Relayed) -> Value {
    let forwarded =
        |status: StatusCode, took: Duration| json!({ "status": status.as_u16(), "ms": took.as_millis() });
    let (events, forwarded, refused) = match fate {
        RelayFate::Refused(NotVerified { reason, detail, status, diagnosis }, unreported) => {
            let cause = diagnosis
                .as_ref()
                .map(|found| json!({ "cause": found.cause, "change": found.change, "sure": found.sure }));
            let refused = json!({ "status": status, "reason": reason, "detail": detail, "diagnosis": cause, "unreported": unreported });
            (Value::Null, Value::Null, refused)
        }
        RelayFate::Taken(events) => (listed(events), Value::Null, Value::Null),
        RelayFate::Forwarded(events, status, took) => {
            (listed(events), forwarded(*status, *took), Value::Null)
        }
        RelayFate::Unanswered(events, why) => (listed(events), json!({ "error": why }), Value::Null),
        RelayFate::Busy => (Value::Null, Value::Null, json!({ "status": 503, "reason": "overload" })),
    };
    json!({ "at": at, "events": events, "forwarded": forwarded, "refused": refused })
}

fn listed(events: &[Examined]) -> Value {
    let events = events.iter().map(|Examined { kind, id, payment, fate }| {
        let (outcome, reason) = match fate {
            Fate::Appended => ("accepted", None),
            Fate::Ignored => ("ignored", None),
            Fate::Quarantined(code, _) => ("quarantined", Some(*code)),
        };
        json!({ "type": kind, "id": id, "payment": payment, "outcome": outcome, "reason": reason })
    });
    events.collect()
}

/// The time of a day in UTC, such as `17:03:22Z`.
fn time_of_day(at: Time) -> String {
    let text = at.to_string();
    let time = text.get("2026-11-22T".len().."2026-11-22T10:00:00".len()).unwrap_or(&text);
    format!("{time}Z")
}
