//! Reads `[access]`: the keys that sign tokens, and the allowed origins. Whether a key can be used is decided by the room `access`; its
//! errors are reported here with their lines.

use crate::{
    access::{Access, AccessError, AccessSettings, KeySettings, Material, TokenAlgorithm},
    config::{
        document::{Location, Section},
        realm,
        scope::{SecretScope, TokenSigner},
        secret,
    },
    payment::Name,
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// Access with the keys whose secrets are in `scope`, and the names of all keys. Access is `None` only if a mistake was reported.
pub(super) fn access(mut section: Section<'_>, scope: &SecretScope<'_>) -> (Option<Access>, Vec<String>) {
    let audience =
        section.parsed("audience", "the audience that tokens name in `aud`, e.g. \"paystream\"", |text| {
            if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
        });
    let leeway = section.duration("leeway", &(Duration::ZERO..=Duration::from_secs(300)));
    let cors =
        section.texts("cors", "a list of origins, e.g. [\"https://shop.example\"]").unwrap_or_default();
    let (mut keys, mut places, mut kids, mut has_signer) = (Vec::new(), Vec::new(), Vec::new(), false);
    for mut table in section.sections("key") {
        let declared = declared(&mut table);
        let is_in_scope = match scope {
            SecretScope::All => true,
            SecretScope::SigningKey(signer) => !has_signer && declared.fits(signer),
            SecretScope::Source(_) | SecretScope::AdminToken => false,
        };
        has_signer |= is_in_scope;
        kids.extend(declared.kid.clone());
        table = table.resolving_secrets(is_in_scope);
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
    let report = |mistake: &AccessError| match mistake {
        AccessError::Key { index, kid, error } => {
            let place = places.get(*index).cloned().unwrap_or(Location::Line(1));
            section.wrong(&place, &format!("key {kid:?}"), &error.to_string());
        }
        AccessError::Origin { index, origin, error } => {
            let place = cors.get(*index).map_or(Location::Line(1), |(place, _)| place.clone());
            section.wrong(&place, "cors", &format!("{origin:?}: {error}"));
        }
    };
    let access = Access::new(settings).inspect_err(|errors| errors.0.iter().for_each(report)).ok();
    section.end();
    (access, kids)
}

/// The settings of a key besides its secrets. A missing or wrong one is `None`.
struct Declared {
    kid: Option<String>,
    algorithm: Option<TokenAlgorithm>,
    realms: Option<Vec<Name>>,
    operator: bool,
    /// Whether the key can sign tokens, and not only verify them.
    signs: bool,
}

impl Declared {
    /// Whether the key is the one that `signer` names or, if it names none, may sign the token.
    fn fits(&self, signer: &TokenSigner<'_>) -> bool {
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
        text.parse::<TokenAlgorithm>().map_err(|_| "is not a supported algorithm")
    });
    let realms = section.texts("realms", "a list of realms, e.g. [\"default\"]");
    let operator = section.flag("operator").unwrap_or(false);
    if !section.has("realms") {
        section.wrong(
            &section.place("realms"),
            "realms",
            "this key is missing; allowed: a list of realms, e.g. [\"default\"]",
        );
    }
    let name = |(place, text): (Location, String)| match realm::name(&text) {
        Ok(name) => Some(name),
        Err(why) => {
            section.wrong(&place, "realms", &format!("{text:?} {why}; allowed: {}", realm::ALLOWED));
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

/// The key material: `secret` for HS256; for the other algorithms `public_key`, and `private_key` if this program is to sign tokens.
fn material(
    section: &Section<'_>,
    algorithm: TokenAlgorithm,
    secret: Option<SecretString>,
    public_key: Option<SecretString>,
    private_key: Option<SecretString>,
) -> Option<Material> {
    let (needed, unsuitable): (_, &[&str]) = match algorithm {
        TokenAlgorithm::Hs256 => ("secret", &["public_key", "private_key"]),
        _ => ("public_key", &["secret"]),
    };
    for key in unsuitable.iter().filter(|key| section.has(key)) {
        section.wrong(
            &section.place(key),
            key,
            &format!("{algorithm} does not use this key; remove it, or change the algorithm"),
        );
    }
    if !section.has(needed) {
        section.wrong(
            &section.place(needed),
            needed,
            &format!("this key is missing, but {algorithm} needs it; allowed: {}", secret::ALLOWED),
        );
    }
    match algorithm {
        TokenAlgorithm::Hs256 => Some(Material::Secret(secret?)),
        _ => Some(Material::Pair { public_key: public_key?.expose_secret().to_owned(), private_key }),
    }
}
