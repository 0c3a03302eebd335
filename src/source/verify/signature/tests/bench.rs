//! The bench on which recipes are tested: it signs bodies by a preset's recipe and verifies them.

use super::keys::Pair;
use crate::{
    payment::Time,
    source::{
        payload::{OptionValues, RequestParts},
        preset,
        verify::{
            signature::{
                delivery::UnsignedDelivery,
                recipe::{Piece, Recipe},
                signing::Signed,
                verifier::RecipeVerifier,
            },
            window::TimeLimits,
        },
    },
};
use http::{HeaderMap, HeaderName};
use secrecy::SecretString;

/// The headers and the query of a request, and the options of its source.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request {
    pub(crate) headers: HeaderMap,
    pub(crate) query: String,
    pub(super) options: OptionValues,
}

impl Request {
    pub(super) fn parts(&self) -> RequestParts<'_> {
        RequestParts { headers: &self.headers, query: &self.query, options: &self.options }
    }
}

/// The recipe of a preset, for which tests choose the secrets.
pub(crate) struct Bench {
    pub(crate) recipe: Recipe,
    pub(crate) options: OptionValues,
}

impl Bench {
    pub(crate) fn new(preset: &str) -> Self {
        let options = preset::option_names(preset).into_iter().map(|name| {
            let value = format!("https://{name}.example/hook");
            (name, value)
        });
        Self { recipe: preset::recipe_of(preset), options: options.collect() }
    }

    /// Returns the benches of all built-in presets that verify by a recipe.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, Self)> {
        preset::recipes().into_iter().map(|name| (name, Self::new(name)))
    }

    pub(super) fn verifier(&self, pairs: &[&Pair]) -> RecipeVerifier {
        let secrets: Vec<SecretString> = pairs.iter().map(|pair| pair.secret(&self.recipe)).collect();
        RecipeVerifier::new(self.recipe.clone(), &secrets, TimeLimits::default()).ok().unwrap()
    }

    pub(crate) fn sign(&self, pair: &Pair, body: &[u8], at: Time) -> Request {
        let verifier = self.verifier(&[pair]);
        let sign = |message: &[&[u8]]| {
            pair.sign(&self.recipe, message).unwrap_or_else(|| verifier.keys[0].sign(message))
        };
        self.request(verifier.sign_by(sign, &UnsignedDelivery::new(body, "msg_1", at), &self.options))
    }

    pub(super) fn request(&self, signed: Signed) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in signed.headers {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(signed.query).finish();
        Request { headers, query, options: self.options.clone() }
    }

    pub(crate) fn signs_body(&self) -> bool {
        self.recipe.signs(&Piece::Body)
    }
}
