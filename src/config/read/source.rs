//! `[[source]]`: the webhook endpoints. What makes one usable is the other room's to say; here it gets its line.

use super::{DAY, REALM, Wanted, api};
use crate::{
    config::{
        DEV_REALM,
        document::{Document, Section, suggestion},
    },
    ingest::{Provider, Source, SourceError, SourceSettings, presets},
    payment::Name,
};
use std::time::Duration;

/// The sources whose secrets are wanted, and the names of all.
pub(super) fn all(document: &Document<'_>, wanted: &Wanted<'_>) -> (Vec<Source>, Vec<String>) {
    let (mut sources, mut names) = (Vec::new(), Vec::new());
    for mut section in document.sections("source") {
        let name =
            section.required("name", "1 to 64 letters, digits, '-', '_' or '.', e.g. \"acme\"", source_name);
        section = section.following_secrets(match wanted {
            Wanted::All => true,
            Wanted::Source(wanted) => name.as_deref() == Some(*wanted),
            Wanted::Signer(_) | Wanted::AdminToken => false,
        });
        let source = one(&mut section, name.clone());
        let is_second = name.as_ref().is_some_and(|name| names.contains(name));
        if is_second {
            let name = name.unwrap_or_default();
            let message = format!("{name:?} is used twice; each source has a name of its own");
            section.wrong(&section.place("name"), "name", &message);
        } else {
            names.extend(name);
            sources.extend(source.and_then(|source| built(&section, source)));
        }
        section.end();
    }
    (sources, names)
}

/// One source as typed; none where a mistake was reported, or a secret not followed.
pub(in crate::config) fn one(section: &mut Section<'_>, name: Option<String>) -> Option<SourceSettings> {
    let provider = section.required(
        "provider",
        "a preset's name (`paystream check --presets` lists them), or the path of a file of one's own",
        provider,
    );
    let provider = provider.map(|provider| match provider {
        Provider::File(path) => Provider::File(section.beside_file(&path)),
        built_in @ Provider::Builtin(_) => built_in,
    });
    let realm = section.parsed("realm", REALM, |text| text.parse::<Name>().map_err(|_| "is no realm"));
    // Whether there have to be any, the provider decides.
    let secrets = section.secrets("secrets").or_else(|| (!section.has("secrets")).then(Vec::new));
    let payment = section.texts("payment", "JSON pointers, e.g. [\"/data/object/id\"]");
    let currency =
        section.parsed("currency", "an ISO 4217 code, e.g. \"EUR\", or an asset, e.g. \"BTC/8\"", |text| {
            text.parse().map_err(|_| "is no currency")
        });
    let shared_ids = section.flag("shared_ids").unwrap_or(false);
    let live = section.flag("live");
    let max_age = section.duration("max_age", &(Duration::from_secs(1)..=30 * DAY));
    let options = section.words("options", "what the preset asks for, e.g. { capture = \"automatic\" }");
    let has_api = section.has("api");
    let api = section.section("api").and_then(api::settings);
    Some(SourceSettings {
        name: name?.into(),
        provider: provider?,
        realm: match realm {
            Some(realm) => realm,
            None => DEV_REALM.parse().ok()?,
        },
        secrets: secrets?,
        payment: payment.map(|texts| texts.into_iter().map(|(_, text)| text).collect()),
        currency,
        shared_ids,
        live,
        max_age,
        options: options?,
        // With a mistake in its credentials, a source is none.
        api: if has_api { Some(api?) } else { None },
    })
}

fn source_name(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fine = (1..=64).contains(&text.len()) && text.chars().all(fits) && !text.chars().all(|c| c == '.');
    if fine { Ok(text.to_owned()) } else { Err("cannot stand in a URL") }
}

fn provider(text: &str) -> Result<Provider, String> {
    match text {
        "" => Err("is empty".to_owned()),
        path if path.contains('/') || path.ends_with(".toml") => Ok(Provider::File(path.into())),
        name if presets().any(|known| known == name) => Ok(Provider::Builtin(name.to_owned())),
        name => Err(format!("is no preset{}", suggestion(name, presets()))),
    }
}

/// The source, if the room that uses it takes it. A mistake is told at the line of the key that is wrong.
fn built(section: &Section<'_>, settings: SourceSettings) -> Option<Source> {
    let name = format!("{:?}", settings.name);
    let told = |error: &SourceError| {
        section.wrong(&section.place(key_of(error)), &name, &error.to_string());
    };
    Source::build(settings).inspect_err(told).ok()
}

/// The key that a mistake is about.
const fn key_of(error: &SourceError) -> &'static str {
    match error {
        SourceError::UnknownPreset { .. } | SourceError::Preset(_) => "provider",
        SourceError::NoSecret
        | SourceError::NoApi { .. }
        | SourceError::NoOutbound { .. }
        | SourceError::Secret { .. } => "secrets",
        SourceError::Payment { .. } | SourceError::NoPayment => "payment",
        SourceError::Option { .. } => "options",
        SourceError::NoCurrency { .. } => "currency",
        SourceError::Api(_) => "api",
        SourceError::NoTime { .. } => "max_age",
    }
}
