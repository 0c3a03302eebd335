//! Recipes against other software: what it signs is verified, and we sign the same.

use super::bench::{Bench, Request};
use crate::{
    payment::Time,
    source::{
        payload::OptionValues,
        preset,
        verify::{
            rejection::Rejection,
            signature::{
                delivery::{SignedDelivery, Signer, UnsignedDelivery},
                recipe::Piece,
                signing::Signed,
                verifier::RecipeVerifier,
            },
            window::TimeLimits,
        },
    },
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A body that other software signed: `tests/clients/oracles/sign.py`. The providers' own libraries agree with it, as far as they exist
/// (`check.mjs`).
#[derive(Deserialize)]
struct Theirs {
    preset: String,
    secret: String,
    at_s: i64,
    id: String,
    body: String,
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    options: OptionValues,
}

impl Theirs {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../../fixtures/signed.json")).unwrap()
    }

    /// Returns the examples of Revolut's manual, and of the tests in the libraries of Standard Webhooks, Svix and Square.
    fn published() -> Vec<Self> {
        serde_json::from_str(include_str!("../../../fixtures/published.json")).unwrap()
    }

    /// Returns what private keys signed that nobody kept: `tests/clients/oracles/check.py`.
    fn by_private_keys() -> Vec<Self> {
        let all: Vec<Self> =
            serde_json::from_str(include_str!("../../../fixtures/signed-by-keys.json")).unwrap();
        all.into_iter().filter(|theirs| theirs.preset != "plaid").collect()
    }

    fn verifier(&self) -> RecipeVerifier {
        let secrets = [self.secret.as_str().into()];
        RecipeVerifier::new(preset::recipe_of(&self.preset), &secrets, TimeLimits::default()).ok().unwrap()
    }

    fn request(&self) -> Request {
        let pairs = self.headers.iter();
        let headers = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Request { headers, query: self.query.clone(), options: self.options.clone() }
    }

    fn at(&self) -> Time {
        Time::from_unix_s(self.at_s).unwrap()
    }
}

#[test]
fn what_others_sign_is_verified_and_no_changed_byte_of_it() {
    let all = Theirs::all().into_iter().chain(Theirs::published()).chain(Theirs::by_private_keys());
    for theirs in all {
        let (verifier, request, preset) = (theirs.verifier(), theirs.request(), &theirs.preset);
        let verify = |body: &[u8]| verifier.verify(request.parts(), body, theirs.at());
        assert_eq!(verify(theirs.body.as_bytes()), Ok(()), "{preset}");
        let signs_body = [Piece::Body, Piece::Crc32].iter().any(|piece| verifier.recipe.signs(piece));
        for place in (0..theirs.body.len()).filter(|_| signs_body) {
            let mut changed = theirs.body.clone().into_bytes();
            changed[place] ^= 1;
            assert_eq!(verify(&changed), Err(Rejection::BadSignature), "{preset} at {place}");
        }
    }
}

#[test]
fn every_recipe_by_private_keys_is_checked_against_others() {
    let theirs: Vec<String> = Theirs::by_private_keys().into_iter().map(|theirs| theirs.preset).collect();
    for (preset, bench) in Bench::all() {
        let is_public = bench.recipe.methods[0].algorithm.is_public() || preset == "standard-webhooks";
        assert_eq!(theirs.iter().any(|known| known == preset), is_public, "{preset}");
    }
}

#[test]
fn what_others_sign_is_signed_alike() {
    for theirs in Theirs::all() {
        // The provider names headers of its own choice; we name one that does not exist.
        if theirs.preset == "coinbase" {
            continue;
        }
        let delivery = UnsignedDelivery::new(theirs.body.as_bytes(), &theirs.id, theirs.at());
        let signed = theirs.verifier().sign(&delivery, Signer::Secret, &theirs.options);
        let SignedDelivery { headers, query, .. } = signed.unwrap();
        let signed = Signed { headers, query };
        let (mut ours, mut expected) = (Bench::new(&theirs.preset).request(signed), theirs.request());
        if theirs.preset == "authorize-net" {
            // The provider writes hexadecimal in capitals.
            for request in [&mut ours, &mut expected] {
                let line = request.headers["x-anet-signature"].to_str().unwrap().to_lowercase();
                request.headers.insert("x-anet-signature", line.parse().unwrap());
            }
        }
        assert_eq!((ours.headers, ours.query), (expected.headers, expected.query), "{}", theirs.preset);
    }
}

#[test]
fn every_recipe_with_a_shared_secret_is_checked_against_others() {
    let theirs: Vec<String> = Theirs::all().into_iter().map(|theirs| theirs.preset).collect();
    for (preset, bench) in Bench::all() {
        let is_shared = !bench.recipe.methods[0].algorithm.is_public();
        assert_eq!(theirs.iter().any(|known| known == preset), is_shared, "{preset}");
    }
}
