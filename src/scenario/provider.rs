//! The providers whose webhooks can be imitated: a file for each preset, which says what the provider sends at each moment.
//!
//! ```toml
//! hint = false                              # whether its webhooks only hint, so that no status follows from them
//! form = "json"                             # or "form", "xml", "none"
//! body = '''{"id":"$event","data":$data}''' # what the bodies of all objects have in common; without it, the body is `data`
//!
//! [headers]                                 # the headers and the query besides those of the signature
//! x-event-id = "$event"
//!
//! [[objects]]
//! data = '''{"id":"$payment","amount":$amount}'''
//!
//! [objects.events]                          # the type of the event for each moment, and the word in place of `$status`
//! captured = ["payment.updated", "PAID"]
//! canceled = "payment.canceled"
//! ```

use super::{
    details::Details,
    life::{Life, Need},
    moment::Moment,
    notation::Notation,
    template::{Template, UnknownField},
};
use crate::payment::Status;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, path::Path};

// `SCENARIOS` holds the name and the text of each file in `providers/`, sorted by name.
include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// A provider whose webhooks this room can write.
#[derive(Clone, Debug)]
pub struct SimulatedProvider {
    name: String,
    is_hint: bool,
    headers: Vec<(String, Template)>,
    query: Vec<(String, Template)>,
    /// What is sent at each moment, in the order of moments.
    kinds: Vec<SentEvent>,
    form: Notation,
}

/// What the provider sends at one moment.
#[derive(Clone, Debug)]
pub(super) struct SentEvent {
    pub(super) moment: Moment,
    /// The provider's name for the type of the event.
    pub(super) event_type: String,
    /// The provider's word for the state that the event reports. Without one of its own, that is the type.
    pub(super) status: String,
    body: Template,
    headers: Vec<(String, Template)>,
}

/// What a webhook consists of before it is signed.
pub(super) struct Written {
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: String,
}

/// The webhooks of a provider are not known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProviderError {
    /// There are no scenarios for the preset of this name.
    #[error(
        "there are no scenarios for provider {0:?}; there are some for {known}. If the preset is a file of your own, describe its \
         webhooks in a file too, and name it with --webhooks",
        known = SimulatedProvider::names().collect::<Vec<_>>().join(", ")
    )]
    Unknown(String),
    /// The file with the webhooks cannot be used.
    #[error("{file}: {why}")]
    Unusable {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    #[serde(default)]
    hint: bool,
    #[serde(default)]
    form: Notation,
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query: BTreeMap<String, String>,
    objects: Vec<RawObject>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObject {
    data: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    events: BTreeMap<Moment, RawKind>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawKind {
    Type(String),
    TypeAndStatus(String, String),
}

impl SimulatedProvider {
    /// The names of the presets whose provider can be imitated, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCENARIOS.iter().map(|(name, _)| *name)
    }

    /// The provider of a built-in preset.
    pub fn named(name: &str) -> Result<Self, ProviderError> {
        let found = SCENARIOS.iter().find(|(known, _)| *known == name);
        let (_, text) = found.ok_or_else(|| ProviderError::Unknown(name.to_owned()))?;
        Self::read(name, &format!("{name}.toml"), text)
    }

    /// The provider that a file of a user describes.
    pub fn from_file(name: &str, path: &Path) -> Result<Self, ProviderError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|why| ProviderError::Unusable {
            file: file.clone(),
            why: format!("it cannot be read: {why}"),
        })?;
        Self::read(name, &file, &text)
    }

    fn read(name: &str, file: &str, text: &str) -> Result<Self, ProviderError> {
        let unusable = |why: String| ProviderError::Unusable { file: file.to_owned(), why };
        let raw: RawProvider = toml::from_str(text).map_err(|why| unusable(why.to_string()))?;
        Self::of(name, raw).map_err(|why| unusable(why.to_string()))
    }

    fn of(name: &str, raw: RawProvider) -> Result<Self, UnknownField> {
        let body = raw.body.unwrap_or_else(|| "$data".to_owned());
        let mut kinds = Vec::new();
        for RawObject { data, headers, events } in raw.objects {
            let body: Template = body.replace("$data", &data).parse()?;
            let headers = templates(headers)?;
            kinds.extend(events.into_iter().map(|(moment, kind)| {
                let (event_type, status) = match kind {
                    RawKind::Type(kind) => (kind.clone(), kind),
                    RawKind::TypeAndStatus(kind, status) => (kind, status),
                };
                SentEvent { moment, event_type, status, body: body.clone(), headers: headers.clone() }
            }));
        }
        kinds.sort_by_key(|kind| kind.moment);
        let (headers, query) = (templates(raw.headers)?, templates(raw.query)?);
        Ok(Self { name: name.to_owned(), is_hint: raw.hint, form: raw.form, headers, query, kinds })
    }

    /// The name of the provider's preset.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the provider's webhooks only hint that something has happened, so that no status follows from them.
    #[must_use]
    pub const fn is_hint(&self) -> bool {
        self.is_hint
    }

    /// The form of the provider's bodies.
    pub(super) const fn form(&self) -> Notation {
        self.form
    }

    /// The lives that the provider has events for.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        Life::ALL.iter().copied().filter(|life| self.lacks(*life).is_none()).collect()
    }

    /// What the provider has no event for, so that it cannot live this life: the end of "no event says that …".
    #[must_use]
    pub fn lacks(&self, life: Life) -> Option<&'static str> {
        let is_met = |need: &Need| need.any_of.iter().any(|moment| self.kind(*moment).is_some());
        life.needs().iter().find(|need| !is_met(need)).map(|need| need.says)
    }

    /// The status in which this life leaves a payment that nothing else has happened to.
    #[must_use]
    pub fn status_after(&self, life: Life) -> Status {
        let paid = if self.kind(Moment::Captured).is_some() { Status::Captured } else { Status::Authorized };
        match life {
            _ if self.is_hint || life.treatment().is_refused() => Status::Unknown,
            Life::Canceled => Status::Canceled,
            Life::Expired => Status::Expired,
            Life::Refund => Status::Refunded,
            Life::Shuffled if self.lacks(Life::Refund).is_none() => Status::Refunded,
            Life::PartialRefund => Status::PartiallyRefunded,
            Life::DisputeLost => Status::ChargedBack,
            _ => paid,
        }
    }

    /// The event types that the provider has, without repetitions.
    #[must_use]
    pub fn event_types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = Vec::new();
        for kind in &self.kinds {
            if !types.contains(&kind.event_type.as_str()) {
                types.push(&kind.event_type);
            }
        }
        types
    }

    /// What the provider sends at a moment, if it sends anything. Who has no event for a capture tells the authorization instead.
    pub(super) fn sent_at(&self, moment: Moment) -> Option<&SentEvent> {
        let or_authorized = || self.kind(Moment::Authorized).filter(|_| moment == Moment::Captured);
        self.kind(moment).or_else(or_authorized)
    }

    fn kind(&self, moment: Moment) -> Option<&SentEvent> {
        self.kinds.iter().find(|kind| kind.moment == moment)
    }

    /// The event with this name: its type, its type and status as in `payment.updated:PAID`, or the moment that it is about. If several
    /// have the type, it is the one that says that the payment is paid, or else the first.
    pub(super) fn kind_named(&self, name: &str) -> Option<&SentEvent> {
        let is_named = |kind: &&SentEvent| {
            let moment: &str = kind.moment.into();
            kind.event_type == name
                || moment == name
                || format!("{}:{}", kind.event_type, kind.status) == name
        };
        let named = || self.kinds.iter().filter(is_named);
        named().find(|kind| kind.moment == Moment::Captured).or_else(|| named().next())
    }

    /// Writes the webhook that the provider sends.
    pub(super) fn write(&self, kind: &SentEvent, details: &Details<'_>) -> Written {
        let written = |templates: &[(String, Template)]| -> Vec<(String, String)> {
            templates.iter().map(|(name, text)| (name.clone(), text.fill(details, Notation::None))).collect()
        };
        let mut headers = written(&self.headers);
        headers.extend(written(&kind.headers));
        Written { headers, query: written(&self.query), body: kind.body.fill(details, self.form) }
    }
}

fn templates(texts: BTreeMap<String, String>) -> Result<Vec<(String, Template)>, UnknownField> {
    texts.into_iter().map(|(name, text)| Ok((name, text.parse()?))).collect()
}

impl fmt::Display for SimulatedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
