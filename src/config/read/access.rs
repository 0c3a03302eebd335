//! `[access]`: the keys and the origins. What makes a key usable is the other room's to say; here it gets its line.

use super::REALM;
use crate::{
    access::{AccessError, AccessSettings, KeySettings, Material, TokenAlgorithm},
    config::{
        document::{Place, Section},
        secret,
    },
    payment::Name,
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

pub(super) fn settings(mut section: Section<'_>) -> AccessSettings {
    let audience =
        section.parsed("audience", "the word that tokens name in `aud`, e.g. \"paystream\"", |text| {
            if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
        });
    let leeway = section.duration("leeway", &(Duration::ZERO..=Duration::from_secs(300)));
    let cors = section.texts("cors", "origins, e.g. [\"https://shop.example\"]").unwrap_or_default();
    let (mut keys, mut places) = (Vec::new(), Vec::new());
    for mut table in section.sections("key") {
        if let Some(key) = key(&mut table) {
            keys.push(key);
            places.push(table.place("kid"));
        }
        table.end();
    }
    let defaults = AccessSettings::default();
    let settings = AccessSettings {
        audience: audience.unwrap_or(defaults.audience),
        cors: cors.iter().map(|(_, origin)| origin.clone()).collect(),
        keys,
        open: None,
        leeway: leeway.unwrap_or(defaults.leeway),
    };
    for mistake in settings.mistakes() {
        match mistake {
            AccessError::Key { index, kid, error } => {
                let place = places.get(index).cloned().unwrap_or(Place::Line(1));
                section.wrong(&place, &format!("key {kid:?}"), &error.to_string());
            }
            AccessError::Origin { index, origin, error } => {
                let place = cors.get(index).map_or(Place::Line(1), |(place, _)| place.clone());
                section.wrong(&place, "cors", &format!("{origin:?}: {error}"));
            }
        }
    }
    section.end();
    settings
}

fn key(section: &mut Section<'_>) -> Option<KeySettings> {
    let kid = section.required("kid", "a name for the key, e.g. \"k1\"", |text| {
        if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
    });
    let algorithm = section.required("algorithm", "\"HS256\", \"EdDSA\", \"ES256\" or \"RS256\"", |text| {
        text.parse::<TokenAlgorithm>().map_err(|_| "is no algorithm that can be used")
    });
    let secret = section.secret("secret");
    let public_key = section.secret("public_key");
    let private_key = section.secret("private_key");
    let realms = section.texts("realms", "a list of realms, e.g. [\"default\"]");
    let operator = section.flag("operator").unwrap_or(false);
    if !section.has("realms") {
        section.wrong(
            &section.place("realms"),
            "realms",
            "is missing; allowed: a list of realms, e.g. [\"default\"]",
        );
    }
    let mut names = Vec::new();
    for (place, text) in realms? {
        match text.parse::<Name>() {
            Ok(name) => names.push(name),
            Err(error) => {
                section.wrong(&place, "realms", &format!("{text:?} is no realm: {error}; allowed: {REALM}"));
            }
        }
    }
    let material = material(section, algorithm?, secret, public_key, private_key)?;
    Some(KeySettings { kid: kid?, algorithm: algorithm?, material, realms: names, operator })
}

/// HS256 has `secret`; the others `public_key`, and `private_key` where tokens are minted here.
fn material(
    section: &Section<'_>,
    algorithm: TokenAlgorithm,
    secret: Option<SecretString>,
    public_key: Option<SecretString>,
    private_key: Option<SecretString>,
) -> Option<Material> {
    let (needed, strange): (_, &[&str]) = match algorithm {
        TokenAlgorithm::Hs256 => ("secret", &["public_key", "private_key"]),
        _ => ("public_key", &["secret"]),
    };
    for key in strange.iter().filter(|key| section.has(key)) {
        section.wrong(
            &section.place(key),
            key,
            &format!("does not go with {algorithm}; take it out, or change algorithm"),
        );
    }
    if !section.has(needed) {
        section.wrong(
            &section.place(needed),
            needed,
            &format!("is missing, and {algorithm} needs it; allowed: {}", secret::ALLOWED),
        );
    }
    match algorithm {
        TokenAlgorithm::Hs256 => Some(Material::Secret(secret?)),
        _ => Some(Material::Pair { public_key: public_key?.expose_secret().to_owned(), private_key }),
    }
}
