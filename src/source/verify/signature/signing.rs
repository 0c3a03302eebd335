//! Signing: it makes the signature of a body as the provider would. Triggers, the demo and tests send such deliveries, and the
//! verifier accepts them.

use super::{
    header,
    recipe::{Carrier, Encoding, Gap, Part, Piece, TimeFrom},
    verifier::RecipeVerifier,
};
use crate::{payment::Time, source::payload::OptionValues};

/// What a provider sends with a body to sign it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Signed {
    /// The names and values of headers.
    pub(crate) headers: Vec<(String, String)>,
    /// The names and values of query parameters.
    pub(crate) query: Vec<(String, String)>,
}

impl RecipeVerifier {
    /// Signs a body by the recipe with the first secret, as the provider would. If the secret is a public key, only the provider can
    /// sign, and the signature is empty.
    pub(crate) fn sign(&self, body: &[u8], at: Time, delivery_id: &str, options: &OptionValues) -> Signed {
        let sign = |message: &[&[u8]]| self.keys.first().map(|key| key.sign(message)).unwrap_or_default();
        self.sign_by(sign, body, at, delivery_id, options)
    }

    /// Signs a body by the recipe with the function `sign`.
    pub(super) fn sign_by(
        &self,
        sign: impl Fn(&[&[u8]]) -> Vec<u8>,
        body: &[u8],
        at: Time,
        delivery_id: &str,
        options: &OptionValues,
    ) -> Signed {
        let time = self.recipe.time.as_ref();
        let written = time.map(|time| time.form.write(at)).unwrap_or_default();
        let text = |from: TimeFrom| {
            if time.is_some_and(|time| time.from == from) { written.as_str() } else { delivery_id }
        };
        let crc32 = crc32fast::hash(body).to_string();
        let mut signed = Signed::default();
        let mut message = Vec::new();
        for piece in self.recipe.signed.iter().flat_map(|Part { pieces, .. }| pieces) {
            message.push(match piece {
                Piece::Body => body,
                Piece::Crc32 => crc32.as_bytes(),
                Piece::Literal(text) => text.as_bytes(),
                Piece::Field(name) => text(TimeFrom::Field(name.clone())).as_bytes(),
                // There is no header of that name, so it is signed as an empty text.
                Piece::Headers(_) => b"",
                Piece::Option(name) => options.get(name).map_or(&[][..], |text| text.as_bytes()),
                Piece::Query(name) => {
                    signed.query.push((name.clone(), delivery_id.to_owned()));
                    delivery_id.as_bytes()
                }
                Piece::Header(name) => {
                    let text = text(TimeFrom::Header(name.clone()));
                    signed.headers.push((name.to_string(), text.to_owned()));
                    text.as_bytes()
                }
            });
        }
        let key = self.keys.first();
        let encoding = key.and_then(|key| self.encoding(key.method)).unwrap_or(Encoding::Hex);
        let signature = encoding.encode(&sign(&message));
        let key_id = key.and_then(|key| key.id.clone()).unwrap_or_default();
        if let Some(name) = &self.recipe.key_id {
            signed.headers.push((name.to_string(), key_id.clone()));
        }
        let line = header::write(&self.recipe, key.map_or(0, |key| key.method), |gap| match gap {
            Gap::Signature => signature.clone(),
            Gap::KeyId => key_id.clone(),
            Gap::Field(name) => text(TimeFrom::Field(name.clone())).to_owned(),
        });
        match &self.recipe.carrier {
            Carrier::Header(name) => signed.headers.push((name.to_string(), line)),
            Carrier::Query(name) => signed.query.push((name.clone(), line)),
        }
        signed
    }
}
