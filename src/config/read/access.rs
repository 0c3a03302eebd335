//! `[access]`: the keys and the origins. What makes a key usable is the other room's to say; here it gets its line.

use super::{REALM, Signer, Wanted};
use crate::{
    access::{Access, AccessError, AccessSettings, KeySettings, Material, TokenAlgorithm},
    config::{
        document::{Place, Section},
        secret,
    },
    payment::Name,
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// Who may watch what, by the keys whose secrets are wanted, and the names of all keys. None only where a mistake was reported.
pub(super) fn access(mut section: Section<'_>, wanted: &Wanted<'_>) -> (Option<Access>, Vec<String>) {
    let audience =
        section.parsed("audience", "the word that tokens name in `aud`, e.g. \"paystream\"", |text| {
            if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
        });
    let leeway = section.duration("leeway", &(Duration::ZERO..=Duration::from_secs(300)));
    let cors = section.texts("cors", "origins, e.g. [\"https://shop.example\"]").unwrap_or_default();
    let (mut keys, mut places, mut kids, mut has_signer) = (Vec::new(), Vec::new(), Vec::new(), false);
    for mut table in section.sections("key") {
        let declared = declared(&mut table);
        let is_wanted = match wanted {
            Wanted::All => true,
            Wanted::Signer(signer) => !has_signer && declared.can_be(signer),
            Wanted::Source(_) | Wanted::AdminToken => false,
        };
        has_signer |= is_wanted;
        kids.extend(declared.kid.clone());
        table = table.following_secrets(is_wanted);
        if let Some(key) = key(&mut table, declared) {
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
    let tell = |mistake: &AccessError| match mistake {
        AccessError::Key { index, kid, error } => {
            let place = places.get(*index).cloned().unwrap_or(Place::Line(1));
            section.wrong(&place, &format!("key {kid:?}"), &error.to_string());
        }
        AccessError::Origin { index, origin, error } => {
            let place = cors.get(*index).map_or(Place::Line(1), |(place, _)| place.clone());
            section.wrong(&place, "cors", &format!("{origin:?}: {error}"));
        }
    };
    let access = Access::new(settings).inspect_err(|errors| errors.0.iter().for_each(tell)).ok();
    section.end();
    (access, kids)
}

/// What a key says of itself besides its secrets. None where it is missing or wrong.
struct Declared {
    kid: Option<String>,
    algorithm: Option<TokenAlgorithm>,
    realms: Option<Vec<Name>>,
    operator: bool,
    /// Whether it has what signs, and not only what checks.
    signs: bool,
}

impl Declared {
    /// Whether `signer` asks for this key, or for any that may sign what it asks.
    fn can_be(&self, signer: &Signer<'_>) -> bool {
        match signer.kid {
            Some(kid) => self.kid.as_deref() == Some(kid),
            None => {
                self.signs
                    && self.realms.as_ref().is_some_and(|realms| realms.contains(signer.realm))
                    && (self.operator || !signer.all)
            }
        }
    }
}

fn declared(section: &mut Section<'_>) -> Declared {
    let kid = section.required("kid", "a name for the key, e.g. \"k1\"", |text| {
        if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
    });
    let algorithm = section.required("algorithm", "\"HS256\", \"EdDSA\", \"ES256\" or \"RS256\"", |text| {
        text.parse::<TokenAlgorithm>().map_err(|_| "is no algorithm that can be used")
    });
    let realms = section.texts("realms", "a list of realms, e.g. [\"default\"]");
    let operator = section.flag("operator").unwrap_or(false);
    if !section.has("realms") {
        section.wrong(
            &section.place("realms"),
            "realms",
            "is missing; allowed: a list of realms, e.g. [\"default\"]",
        );
    }
    let name = |(place, text): (Place, String)| match text.parse::<Name>() {
        Ok(name) => Some(name),
        Err(error) => {
            section.wrong(&place, "realms", &format!("{text:?} is no realm: {error}; allowed: {REALM}"));
            None
        }
    };
    let realms = realms.map(|realms| realms.into_iter().filter_map(name).collect());
    let signs = section.has(if algorithm == Some(TokenAlgorithm::Hs256) { "secret" } else { "private_key" });
    Declared { kid, algorithm, realms, operator, signs }
}

fn key(section: &mut Section<'_>, declared: Declared) -> Option<KeySettings> {
    let secret = section.secret("secret");
    let public_key = section.secret("public_key");
    let private_key = section.secret("private_key");
    let Declared { kid, algorithm, realms, operator, .. } = declared;
    let (realms, algorithm) = (realms?, algorithm?);
    let material = material(section, algorithm, secret, public_key, private_key)?;
    Some(KeySettings { kid: kid?, algorithm, material, realms, operator })
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
