//! Signing: it makes the signature of a body as the provider would, and the verifier accepts it.

use super::{
    delivery::{CannotSign, SignedDelivery, Signer, UnsignedDelivery},
    header,
    recipe::{Algorithm, Carrier, Encoding, Gap, Part, Piece, TimeFrom},
    verifier::RecipeVerifier,
};
use crate::source::payload::OptionValues;

/// A forger's signature, where nothing is known that it could be made from. Its bytes are printable, since a token is a text.
const FORGED: &[u8] = b"forged-by-somebody-who-does-not-know-the-secret";

/// What a provider sends with a body to sign it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Signed {
    /// The names and values of headers.
    pub(crate) headers: Vec<(String, String)>,
    /// The names and values of query parameters.
    pub(crate) query: Vec<(String, String)>,
}

impl RecipeVerifier {
    /// Signs a delivery by the recipe, for the first of the source's secrets. Fails if the secret is a public key, or there is none,
    /// and the signer has no private key for it.
    pub(crate) fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
        options: &OptionValues,
    ) -> Result<SignedDelivery, CannotSign> {
        let key = self.keys.first();
        let method = self.recipe.methods.get(key.map_or(0, |key| key.method));
        let algorithm = method.map_or(Algorithm::Token, |method| method.algorithm);
        let is_private = key.is_none() || algorithm.is_public();
        let is_able = match signer {
            Signer::Secret if key.is_none() => Err(CannotSign::FetchedKeys),
            Signer::Secret if is_private => Err(CannotSign::NoKey),
            Signer::Key(private) if is_private => {
                private.sign(algorithm, b"").map(drop).ok_or(CannotSign::OtherKey(algorithm.key_kind()))
            }
            _ => Ok(()),
        };
        is_able?;
        let sign = |message: &[&[u8]]| match (signer, key) {
            (Signer::Forger, _) if is_private || algorithm == Algorithm::Token => FORGED.to_vec(),
            (Signer::Key(private), _) if is_private => {
                private.sign(algorithm, &message.concat()).unwrap_or_default()
            }
            (_, Some(key)) => signer.mac(key.sign(message)),
            (_, None) => Vec::new(),
        };
        let Signed { headers, query } = self.sign_by(sign, delivery, options);
        Ok(delivery.with(headers, query, delivery.body.to_vec()))
    }

    /// Signs a delivery by the recipe with the function `sign`.
    pub(super) fn sign_by(
        &self,
        sign: impl Fn(&[&[u8]]) -> Vec<u8>,
        delivery: &UnsignedDelivery<'_>,
        options: &OptionValues,
    ) -> Signed {
        let (body, id) = (delivery.body, delivery.id);
        let time = self.recipe.time.as_ref();
        let written = time.map(|time| time.form.write(delivery.at)).unwrap_or_default();
        let timed = |from: TimeFrom| time.is_some_and(|time| time.from == from).then_some(written.as_str());
        let field = |name: &str| timed(TimeFrom::Field(name.to_owned())).unwrap_or(id);
        let crc32 = crc32fast::hash(body).to_string();
        // A parameter is sent as it is, and signed in lower case.
        let lower = |name: &str| delivery.parameter(name).unwrap_or(id).to_lowercase();
        let pieces = || self.recipe.signed.iter().flat_map(|Part { pieces, .. }| pieces);
        let lowered: Vec<(&String, String)> = pieces()
            .filter_map(|piece| if let Piece::Query(name) = piece { Some((name, lower(name))) } else { None })
            .collect();
        let mut signed = Signed::default();
        let mut message = Vec::new();
        for piece in pieces() {
            message.push(match piece {
                Piece::Body => body,
                Piece::Crc32 => crc32.as_bytes(),
                Piece::Literal(text) => text.as_bytes(),
                Piece::Field(name) => field(name).as_bytes(),
                // There is no header of that name, so it is signed as an empty text.
                Piece::Headers(_) => b"",
                Piece::Option(name) => options.get(name).map_or(&[][..], |text| text.as_bytes()),
                Piece::Query(name) => {
                    signed.query.push((name.clone(), delivery.parameter(name).unwrap_or(id).to_owned()));
                    lowered
                        .iter()
                        .find(|(known, _)| *known == name)
                        .map_or(id, |(_, text)| text.as_str())
                        .as_bytes()
                }
                Piece::Header(name) => {
                    let own = || delivery.header(name.as_str()).unwrap_or(id);
                    let text = timed(TimeFrom::Header(name.clone())).unwrap_or_else(own);
                    signed.headers.push((name.to_string(), text.to_owned()));
                    text.as_bytes()
                }
            });
        }
        let key = self.keys.first();
        let encoding = self.encoding(key.map_or(0, |key| key.method)).unwrap_or(Encoding::Hex);
        let signature = encoding.encode(&sign(&message));
        let key_id = key.and_then(|key| key.id.clone()).unwrap_or_default();
        if let Some(name) = &self.recipe.key_id {
            signed.headers.push((name.to_string(), key_id.clone()));
        }
        let line = header::write(&self.recipe, key.map_or(0, |key| key.method), |gap| match gap {
            Gap::Signature => signature.clone(),
            Gap::KeyId => key_id.clone(),
            Gap::Field(name) => field(name).to_owned(),
        });
        match &self.recipe.carrier {
            Carrier::Header(name) => signed.headers.push((name.to_string(), line)),
            Carrier::Query(name) => signed.query.push((name.clone(), line)),
        }
        signed
    }
}
