//! Other ways to sign than the one that a source expects: with the key read otherwise, by another algorithm, as another preset does.

use super::sample::Sample;
use crate::source::{
    payload::TimeForm,
    preset,
    verify::{Adapter, Algorithm, Carrier, Encoding, Gap, Item, ItemToken, KeyForm, Method, Recipe, Scheme},
};
use http::HeaderName;
use secrecy::{ExposeSecret as _, SecretString};
use std::{sync::LazyLock, time::Duration};

/// A scheme that differs from the expected one in one thing.
pub(super) struct Variant {
    pub(super) scheme: Scheme,
    /// The secrets, where they have to be written otherwise for it.
    pub(super) secrets: Option<Vec<SecretString>>,
    pub(super) cause: &'static str,
    pub(super) change: String,
}

/// The age of a time that is read in another form, where the preset has no limit.
const LIKELY_AGE: Duration = Duration::from_secs(300);

/// The schemes of all built-in presets, by name.
pub(super) fn built_in() -> &'static [(&'static str, Scheme)] {
    static ALL: LazyLock<Vec<(&str, Scheme)>> = LazyLock::new(|| {
        preset::presets().filter_map(|name| Some((name, preset::built_in(name)?.ok()?.scheme))).collect()
    });
    &ALL
}

/// Returns the scheme with its time in each other form, and that form in words.
pub(super) fn time_forms(scheme: &Scheme) -> impl Iterator<Item = (Scheme, &'static str)> {
    let recipe = match scheme {
        Scheme::Recipe(recipe) => Some(recipe.as_ref().clone()),
        Scheme::Adapter(_) => None,
    };
    let forms = [
        (TimeForm::Ms, "milliseconds since 1970"),
        (TimeForm::S, "seconds since 1970"),
        (TimeForm::Rfc3339OrUtc, "a date and a time (RFC 3339)"),
    ];
    recipe.into_iter().flat_map(move |recipe| {
        forms.into_iter().filter_map(move |(form, words)| {
            let mut recipe = recipe.clone();
            let time = recipe.time.as_mut().filter(|time| time.form != form)?;
            time.form = form;
            // Without a limit, a time that cannot be read would pass.
            time.max_age.get_or_insert(LIKELY_AGE);
            Some((Scheme::Recipe(Box::new(recipe)), words))
        })
    })
}

/// Returns the schemes that differ from the expected one in one thing.
pub(super) fn variants(scheme: &Scheme, secrets: &[SecretString]) -> impl Iterator<Item = Variant> {
    let recipe = match scheme {
        Scheme::Recipe(recipe) => Some(recipe.as_ref().clone()),
        Scheme::Adapter(_) => None,
    };
    let bare =
        secrets.iter().map(|secret| as_base64(secret.expose_secret()).into()).collect::<Vec<SecretString>>();
    recipe.into_iter().flat_map(move |recipe| {
        let keys = key_forms(&recipe, &bare);
        let algorithms = algorithms(&recipe);
        let writings = signature_forms(&recipe);
        keys.into_iter().chain(algorithms).chain(writings)
    })
}

/// A secret in the standard alphabet of base 64, with padding and without a prefix.
fn as_base64(secret: &str) -> String {
    let bare = secret.strip_prefix("whsec_").unwrap_or(secret);
    let mut standard = bare.replace('-', "+").replace('_', "/");
    while !standard.len().is_multiple_of(4) && standard.len() % 4 != 1 {
        standard.push('=');
    }
    standard
}

/// Returns the recipe with each of its methods changed. `None` if nothing changes.
fn changed(recipe: &Recipe, change: impl Fn(&mut Method)) -> Option<Scheme> {
    let mut changed = recipe.clone();
    changed.methods.iter_mut().for_each(change);
    (changed != *recipe).then(|| Scheme::Recipe(Box::new(changed)))
}

const fn is_hmac(method: &Method) -> bool {
    matches!(method.algorithm, Algorithm::HmacSha1 | Algorithm::HmacSha256 | Algorithm::HmacSha512)
}

fn key_forms(recipe: &Recipe, bare: &[SecretString]) -> Vec<Variant> {
    let forms = [
        (KeyForm::Hex, "hexadecimal digits", "hex"),
        (KeyForm::Base64, "base 64", "base64"),
        (KeyForm::Utf8, "the bytes of its text", "utf8"),
    ];
    let variant = |(form, words, word)| {
        let scheme = changed(recipe, |method| {
            if is_hmac(method) {
                method.key = form;
            }
        })?;
        Some(Variant {
            scheme,
            secrets: (form == KeyForm::Base64).then(|| bare.to_vec()),
            cause: "key_form",
            change: format!(
                "The secret is right, but the sender uses it as {words}. Have the sender use it as the preset says, or set \
                 `key = \"{word}\"` under [signature] in a preset of your own."
            ),
        })
    };
    forms.into_iter().filter_map(variant).collect()
}

fn algorithms(recipe: &Recipe) -> Vec<Variant> {
    let all = [
        (Algorithm::HmacSha256, "hmac-sha256"),
        (Algorithm::HmacSha512, "hmac-sha512"),
        (Algorithm::HmacSha1, "hmac-sha1"),
    ];
    let variant = |(algorithm, word)| {
        let scheme = changed(recipe, |method| {
            if is_hmac(method) {
                method.algorithm = algorithm;
            }
        })?;
        Some(Variant {
            scheme,
            secrets: None,
            cause: "other_algorithm",
            change: format!(
                "The secret is right, but the sender signs by {word}. Have the sender sign as the preset says, or set \
                 `algorithm = \"{word}\"` under [signature] in a preset of your own."
            ),
        })
    };
    all.into_iter().filter_map(variant).collect()
}

/// Other ways to write the signature in its header: another encoding, and another text before it.
fn signature_forms(recipe: &Recipe) -> Vec<Variant> {
    let encodings = [(Encoding::Hex, "hexadecimal digits"), (Encoding::Base64, "base 64")];
    let prefixes = ["", "sha256=", "SHA256=", "sha512=", "sha1=", "v1=", "v1,"];
    let is_alone = recipe.separator.is_none() && !recipe.names_keys();
    let mut variants = Vec::new();
    for (encoding, words) in encodings {
        let own = changed(recipe, |method| {
            if is_hmac(method) {
                method.encoding = encoding;
            }
        });
        let framed = prefixes.into_iter().filter(|_| is_alone).map(|prefix| {
            let scheme = changed(recipe, |method| {
                if is_hmac(method) {
                    method.encoding = encoding;
                    let text = (!prefix.is_empty()).then(|| ItemToken::Text(prefix.to_owned()));
                    method.items =
                        vec![Item(text.into_iter().chain([ItemToken::Gap(Gap::Signature)]).collect())];
                }
            });
            (scheme, format!("{words} behind {prefix:?}"))
        });
        for (scheme, words) in [(own, words.to_owned())].into_iter().chain(framed) {
            variants.extend(scheme.map(|scheme| Variant {
                scheme,
                secrets: None,
                cause: "signature_form",
                change: format!(
                    "The signature is right, but written as {words}. Have the sender write it as the preset says, or describe its form \
                     under [signature] in a preset of your own."
                ),
            }));
        }
    }
    variants
}

/// Returns other spellings of an address, and the one that the request came to, as far as it says.
pub(super) fn addresses(stated: &str, sample: &Sample) -> Vec<String> {
    let Some((scheme, rest)) = stated.split_once("://") else { return Vec::new() };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let bare = path.trim_end_matches('/');
    let mut hosts = vec![host.to_owned()];
    for name in ["x-forwarded-host", "host"] {
        let text = sample.headers.get(name).and_then(|host| host.to_str().ok());
        hosts.extend(text.map(str::to_owned).filter(|host| host.len() <= 253));
    }
    hosts.push(match host.strip_prefix("www.") {
        Some(bare) => bare.to_owned(),
        None => format!("www.{host}"),
    });
    hosts.push(host.split(':').next().unwrap_or_default().to_owned());
    hosts.push(host.to_lowercase());
    let mut paths = vec![path.to_owned(), bare.to_owned(), format!("{bare}/")];
    if !sample.query.is_empty() && sample.query.len() <= 1024 {
        paths.push(format!("{bare}?{}", sample.query));
    }
    paths.push(path.split('?').next().unwrap_or_default().to_owned());
    let other = if scheme == "https" { "http" } else { "https" };
    let mut addresses = Vec::new();
    for scheme in [scheme, other] {
        for host in &hosts {
            for path in &paths {
                let address = format!("{scheme}://{host}{path}");
                if address != stated && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }
    addresses
}

/// Returns whether a request carries something where a scheme has its signature.
pub(super) fn is_borne(scheme: &Scheme, sample: &Sample) -> bool {
    match scheme {
        Scheme::Recipe(recipe) => match &recipe.carrier {
            Carrier::Header(name) => sample.headers.contains_key(name),
            Carrier::Query(name) => {
                form_urlencoded::parse(sample.query.as_bytes()).any(|(key, _)| key == name.as_str())
            }
        },
        Scheme::Adapter(adapter) => match header_of(*adapter) {
            Some(name) => sample.headers.contains_key(name),
            // Their signatures are in the body.
            None => true,
        },
    }
}

/// The header in which an adapter's provider signs, if it signs in one.
const fn header_of(adapter: Adapter) -> Option<&'static str> {
    match adapter {
        Adapter::Nowpayments => Some("x-nowpayments-sig"),
        Adapter::Plaid => Some("plaid-verification"),
        Adapter::Adyen | Adapter::Braintree | Adapter::Opennode => None,
    }
}

/// Names where a scheme has its signature.
pub(super) fn carrier(scheme: &Scheme) -> String {
    match scheme {
        Scheme::Recipe(recipe) => match &recipe.carrier {
            Carrier::Header(name) => format!("header `{name}`"),
            Carrier::Query(name) => format!("parameter `{name}` in its query"),
        },
        Scheme::Adapter(adapter) => match header_of(*adapter) {
            Some(name) => format!("header `{name}`"),
            None => "signature in its body".to_owned(),
        },
    }
}

/// Returns the built-in presets whose providers sign in a header of their own that the request has, and that header. A header that several
/// providers use tells nothing.
pub(super) fn signers(sample: &Sample) -> Vec<(&'static str, HeaderName)> {
    let header = |scheme: &Scheme| match scheme {
        Scheme::Recipe(recipe) => match &recipe.carrier {
            Carrier::Header(name) => Some(name.clone()),
            Carrier::Query(_) => None,
        },
        Scheme::Adapter(adapter) => header_of(*adapter).map(HeaderName::from_static),
    };
    let all: Vec<(&str, HeaderName)> =
        built_in().iter().filter_map(|(name, scheme)| Some((*name, header(scheme)?))).collect();
    let is_only = |name: &HeaderName| all.iter().filter(|(_, other)| other == name).count() == 1;
    let present = |(_, name): &&(&str, HeaderName)| {
        *name != http::header::AUTHORIZATION && sample.headers.contains_key(name) && is_only(name)
    };
    all.iter().filter(present).cloned().collect()
}
