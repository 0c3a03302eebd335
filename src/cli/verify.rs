//! `paystream verify`: verifies a recorded webhook as a source would, and says what is wrong if it is rejected. Nothing is posted.

use super::{config_file::ConfigFile, exit::Usage, output};
use crate::{
    clock,
    config::{Config, Posting},
    limits::Limits,
    payment::Time,
    source::{
        Diagnosis, EventSummary, ProvenDelivery, Rejection, Sample, Source, Sources, UnverifiedRequest,
    },
};
use anyhow::Context as _;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// Verifies a recorded webhook, and says what is wrong if it is rejected
///
/// Reads the headers and the body from files and verifies them with the secrets of a source, as the gateway would. If the webhook is
/// rejected, known mistakes are tried: a secret that is written otherwise or belongs to another source, a body that something on the
/// way wrote again, another address, another preset. Nothing is posted anywhere. The exit code is 0 if the webhook is verified, 1 if it
/// is rejected, and 2 if it could not be tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream verify --source acme --headers headers.txt --body body.json
  paystream verify --source acme --headers headers.txt --body - --at 2026-11-30T12:00:00Z < body.json

The file of headers has a line `Name: value` for each, as `curl -v` and most proxies print them.")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The source whose secrets verify the webhook
    #[arg(long, short, value_name = "NAME")]
    source: String,
    /// The file with the headers of the request
    #[arg(long, value_name = "FILE")]
    headers: PathBuf,
    /// The file with the body, byte by byte as it came; `-` stands for standard input
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// The query of the request's address, without the question mark
    #[arg(long, default_value = "")]
    query: String,
    /// When the request came (RFC 3339), by which the age of its signature is checked [default: now]
    #[arg(long, value_name = "TIME", value_parser = |text: &str| text.parse::<Time>().map_err(|error| error.to_string()))]
    at: Option<Time>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What came of the trial.
enum Verdict {
    /// The webhook is verified, by the secret of that name, or by a fetched key; with what is known of its events.
    Valid { secret: Option<Arc<str>>, events: Vec<Value> },
    /// The webhook is rejected.
    Rejected { rejection: Rejection, diagnosis: Option<Diagnosis> },
}

impl VerifyArgs {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let source = self.source()?;
        let sample = Sample {
            headers: headers(&self.headers)?,
            query: self.query.clone(),
            body: body(&self.body)?,
            received_at: self.at.unwrap_or_else(clock::now),
        };
        let verdict = verdict(&source, &sample).await;
        let is_valid = matches!(verdict, Verdict::Valid { .. });
        output::say(&if self.json { as_json(&verdict).to_string() } else { as_text(&verdict) })?;
        Ok(if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The source, beside all others if their secrets can be read.
    fn source(&self) -> anyhow::Result<Arc<Source>> {
        let (sources, names) = match self.config.read(Config::load) {
            Ok(config) => {
                let names = config.sources.iter().map(|source| source.name().to_owned()).collect();
                (config.sources, names)
            }
            Err(_) => {
                let load = |path: &Path, environment: &_| Posting::load(path, environment, &self.source);
                let Posting { source, names, .. } = self.config.read(load)?;
                output::complain(
                    "The whole configuration cannot be read here, so the secrets of other sources are not tried.",
                );
                (source.into_iter().collect(), names)
            }
        };
        Sources::new(sources).get(&self.source).ok_or_else(|| {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Usage(format!("there is no source {:?}; the configured sources are: {known}", self.source)).into()
        })
    }
}

async fn verdict(source: &Source, sample: &Sample) -> Verdict {
    let parts = source.request_parts(&sample.headers, &sample.query);
    let request = UnverifiedRequest { parts, body: &sample.body, received_at: sample.received_at, key: None };
    let depth = Limits::default().json_depth;
    let mut opened = source.open(request, depth);
    if opened.as_ref().err() == Some(&Rejection::UntrustedKey)
        && let Some(Ok(key)) = source.fetched_key(request, None).await
    {
        opened = source.open(UnverifiedRequest { key: Some(&key.public), ..request }, depth);
    }
    match opened {
        Ok(ProvenDelivery { payload, secret }) => {
            let events = payload.as_ref().map_err(Clone::clone).and_then(|payload| source.events(payload));
            let events = match events {
                Ok(events) => events.iter().map(|event| event_json(source, sample, event)).collect(),
                Err(unclear) => vec![json!({ "reason": unclear.code, "where": unclear.at })],
            };
            Verdict::Valid { secret, events }
        }
        Err(rejection) => {
            let (examiner, beside) = source.examiners();
            let diagnosis = examiner.examine(sample, rejection, &beside);
            Verdict::Rejected { rejection, diagnosis }
        }
    }
}

/// What an event means to the source.
fn event_json(source: &Source, sample: &Sample, event: &Value) -> Value {
    let mut summary = EventSummary::default();
    let parts = source.request_parts(&sample.headers, &sample.query);
    let meaning = source.read(sample.received_at, parts, event, &mut summary);
    let mut told = json!({ "event": summary.id, "type": summary.kind, "payment": summary.payment });
    if let (Some(told), Err(unclear)) = (told.as_object_mut(), meaning) {
        told.insert("reason".to_owned(), unclear.code.into());
        told.insert("where".to_owned(), unclear.at.into());
    }
    told
}

fn as_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Valid { secret, events } => json!({ "valid": true, "secret": secret, "events": events }),
        Verdict::Rejected { rejection, diagnosis } => json!({
            "valid": false,
            "reason": rejection.code(),
            "detail": rejection.detail(),
            "diagnosis": diagnosis.as_ref().map(|Diagnosis { cause, change, sure }| {
                json!({ "cause": cause, "change": change, "sure": sure })
            }),
        }),
    }
}

fn as_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid { secret, events } => {
            let mut lines = vec![match secret {
                Some(secret) => format!("Verified, with the secret {secret}."),
                None => "Verified, with a key that the provider publishes.".to_owned(),
            }];
            let text =
                |event: &Value, key: &str| event.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
            lines.extend(events.iter().map(|event| {
                let (kind, payment) = (text(event, "type"), text(event, "payment"));
                let unclear = event.get("reason").map(|_| {
                    format!(", quarantined as {} at {}", text(event, "reason"), text(event, "where"))
                });
                format!("  event {kind} of payment {payment}{}", unclear.unwrap_or_default())
            }));
            lines.join("\n")
        }
        Verdict::Rejected { rejection, diagnosis } => {
            let head = format!("Rejected as {}: {}", rejection.code(), rejection.detail());
            match diagnosis {
                Some(Diagnosis { cause, change, sure: true }) => format!("{head}\nCause ({cause}): {change}"),
                Some(Diagnosis { cause, change, sure: false }) => {
                    format!("{head}\nProbable cause ({cause}): {change}")
                }
                None => format!(
                    "{head}\nNo known mistake explains it: it was signed with a secret that is not configured here, or it was changed on \
                     its way."
                ),
            }
        }
    }
}

/// Reads headers, a line each. A request line and empty lines are left out.
fn headers(path: &Path) -> anyhow::Result<HeaderMap> {
    let text = fs::read(path).with_context(|| format!("the file {} cannot be read", path.display()));
    let text = text.map_err(|error| Usage(format!("{error:#}")))?;
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.strip_prefix(b"> ").unwrap_or(line).trim_ascii();
        let is_request_line = number == 1 && line.windows(6).any(|part| part == b" HTTP/");
        if line.is_empty() || is_request_line {
            continue;
        }
        let place = line.iter().position(|byte| *byte == b':');
        let header = place.and_then(|place| {
            let (name, value) = line.split_at(place);
            let name = HeaderName::from_bytes(name.trim_ascii()).ok()?;
            Some((name, HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?))
        });
        let (name, value) = header.ok_or_else(|| {
            Usage(format!("line {number} of {} is no header; write `Name: value`", path.display()))
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn body(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body).map(|_| body)
    } else {
        fs::read(path)
    };
    read.map_err(|error| Usage(format!("the file {} cannot be read: {error}", path.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_tools_print_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            headers(&path)
        };
        let read_back =
            read("POST /webhooks/acme HTTP/1.1\r\nHost: a\r\nX-Sig:  t=1,v1=a:b \r\n\r\n").unwrap();
        assert_eq!((read_back.len(), read_back["x-sig"].as_bytes()), (2, &b"t=1,v1=a:b"[..]));
        assert_eq!(read("> Host: a\n> X-Sig: b\n").unwrap()["x-sig"], "b");
        let error = read("Host: a\nnonsense\n").unwrap_err().to_string();
        assert!(
            error.starts_with("line 2 of ") && error.ends_with("is no header; write `Name: value`"),
            "{error}"
        );
    }
}
