//! Reads `[[source]]`: the webhook endpoints. Whether a source can be used is decided by the room `source`; its errors are reported here
//! with their lines.

use super::api;
use crate::{
    config::{
        document::{Document, Section, TextOrTable, suggestion},
        duration::DAY,
        realm::{self, DEFAULT_REALM},
        scope::SecretScope,
        secret,
    },
    payment::Time,
    source::{Provider, Source, SourceError, SourceSecret, SourceSettings, presets},
};
use std::time::Duration;

/// The sources whose secrets are in `scope`, and the names of all sources.
pub(super) fn all(document: &Document<'_>, scope: &SecretScope<'_>) -> (Vec<Source>, Vec<String>) {
    let (mut sources, mut names) = (Vec::new(), Vec::new());
    for mut section in document.sections("source") {
        let name =
            section.required("name", "1 to 64 letters, digits, '-', '_' or '.', e.g. \"acme\"", source_name);
        section = section.resolving_secrets(match scope {
            SecretScope::All => true,
            SecretScope::Source(selected) => name.as_deref() == Some(*selected),
            SecretScope::SigningKey(_) | SecretScope::AdminToken => false,
        });
        let source = one(&mut section, name.clone());
        let is_second = name.as_ref().is_some_and(|name| names.contains(name));
        if is_second {
            let name = name.unwrap_or_default();
            let message =
                format!("{name:?} is the name of another source too; give each source a name of its own");
            section.wrong(&section.place("name"), "name", &message);
        } else {
            names.extend(name);
            sources.extend(source.and_then(|source| built(&section, source)));
        }
        section.end();
    }
    (sources, names)
}

/// The settings of one source, before it is built. They are `None` if a mistake was reported or a secret was not resolved.
fn one(section: &mut Section<'_>, name: Option<String>) -> Option<SourceSettings> {
    let provider = section.required(
        "provider",
        "the name of a preset (`paystream check --presets` lists them) or the path of your own preset file",
        provider,
    );
    let provider = provider.map(|provider| match provider {
        Provider::File(path) => Provider::File(section.beside_file(&path)),
        built_in @ Provider::Builtin(_) => built_in,
    });
    let realm = section.parsed("realm", realm::ALLOWED, realm::name);
    // Some providers publish their keys, so secrets are not always needed. `Source::build` checks that.
    let secrets = if section.has("secrets") { secrets(section) } else { Some(Vec::new()) };
    let payment = section.texts("payment", "a list of JSON pointers, e.g. [\"/data/object/id\"]");
    let labels =
        section.texts("labels", "a list of JSON pointers, e.g. [\"/data/object/metadata/order_id\"]");
    let has_labels = section.has("labels");
    let currency =
        section.parsed("currency", "an ISO 4217 code, e.g. \"EUR\", or an asset, e.g. \"BTC/8\"", |text| {
            text.parse().map_err(|_| "is not a currency")
        });
    let shared_ids = section.flag("shared_ids").unwrap_or(false);
    let live = section.flag("live");
    let max_age = section.duration("max_age", &(Duration::from_secs(1)..=30 * DAY));
    let max_future = section.duration("max_future", &(Duration::from_secs(1)..=DAY));
    let options = section.words(
        "options",
        "a table of the options that the preset asks for, e.g. { capture = \"automatic\" }",
    );
    let has_api = section.has("api");
    let api = section.section("api").and_then(api::settings);
    Some(SourceSettings {
        name: name?.into(),
        provider: provider?,
        realm: match realm {
            Some(realm) => realm,
            None => DEFAULT_REALM.parse().ok()?,
        },
        secrets: secrets?,
        payment: payment.map(|texts| texts.into_iter().map(|(_, text)| text).collect()),
        // A list with a mistake was reported, and the source is not built.
        labels: match labels {
            Some(texts) => texts.into_iter().map(|(_, text)| text).collect(),
            None if has_labels => return None,
            None => Vec::new(),
        },
        currency,
        shared_ids,
        live,
        max_age,
        max_future,
        options: options?,
        // A source whose credentials have a mistake is not built.
        api: if has_api { Some(api?) } else { None },
    })
}

/// The signing secrets: references, or tables with a reference and the times from which and until which the secret is good.
fn secrets(section: &mut Section<'_>) -> Option<Vec<SourceSecret>> {
    const ALLOWED: &str = "references such as \"env:NAME\" or \"file:path\", and tables such as { secret = \"env:OLD\", not_after = 2026-12-24T18:00:00Z }";
    let items = section.texts_and_tables("secrets", ALLOWED)?;
    let one = |(place, item)| match item {
        TextOrTable::Text(reference) => {
            let text = section.resolve(&place, "secrets", &reference)?;
            Some(SourceSecret { name: reference.into(), text, not_before: None, not_after: None })
        }
        TextOrTable::Table(mut table) => {
            let given = table.text("secret", secret::ALLOWED);
            if !table.has("secret") {
                let message = format!("this key is missing; allowed: {}", secret::ALLOWED);
                table.wrong(&place, "secret", &message);
            }
            let resolved = |(place, reference): &(_, String)| table.resolve(place, "secret", reference);
            let text = given.as_ref().and_then(resolved);
            let (not_before, not_after) = (table.moment("not_before"), table.moment("not_after"));
            let is_read = |key, time: Option<Time>| time.is_some() == table.has(key);
            let is_complete = is_read("not_before", not_before) && is_read("not_after", not_after);
            let is_empty = not_before.zip(not_after).is_some_and(|(first, end)| end <= first);
            if is_empty {
                table.wrong(
                    &place,
                    "not_after",
                    "it is not later than `not_before`, so the secret would never be good",
                );
            }
            table.end();
            let (name, text) = (given?.1.into(), text?);
            (is_complete && !is_empty).then_some(SourceSecret { name, text, not_before, not_after })
        }
    };
    // All are looked at, so that each mistake is reported.
    let read: Vec<Option<SourceSecret>> = items.into_iter().map(one).collect();
    read.into_iter().collect()
}

fn source_name(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_valid =
        (1..=64).contains(&text.len()) && text.chars().all(fits) && !text.chars().all(|c| c == '.');
    if is_valid { Ok(text.to_owned()) } else { Err("is not allowed, because the name is a part of the URL") }
}

fn provider(text: &str) -> Result<Provider, String> {
    match text {
        "" => Err("is empty".to_owned()),
        path if path.contains('/') || path.ends_with(".toml") => Ok(Provider::File(path.into())),
        name if presets().any(|known| known == name) => Ok(Provider::Builtin(name.to_owned())),
        name => Err(format!("is not a preset{}", suggestion(name, presets()))),
    }
}

/// Builds the source. A mistake is reported at the line of the key that it is about.
fn built(section: &Section<'_>, settings: SourceSettings) -> Option<Source> {
    let name = format!("{:?}", settings.name);
    let report = |error: &SourceError| {
        section.wrong(&section.place(key_of(error)), &name, &error.to_string());
    };
    Source::build(settings).inspect_err(report).ok()
}

/// The key that an error is about.
const fn key_of(error: &SourceError) -> &'static str {
    match error {
        SourceError::UnknownPreset { .. } | SourceError::Preset(_) => "provider",
        SourceError::NoSecret
        | SourceError::NoApi { .. }
        | SourceError::NoOutbound { .. }
        | SourceError::Secret { .. } => "secrets",
        SourceError::Payment { .. } | SourceError::NoPayment => "payment",
        SourceError::Label { .. } | SourceError::TooManyLabels { .. } | SourceError::LabelsOfHints { .. } => {
            "labels"
        }
        SourceError::Option { .. } => "options",
        SourceError::NoCurrency { .. } => "currency",
        SourceError::Api(_) => "api",
        SourceError::NoTime { .. } => "max_age",
    }
}

#[cfg(test)]
mod tests;
