//! Deliveries as a provider would send them: what is to be signed, by which key, and what comes of it. Triggers, the demo and tests
//! send such deliveries.

use super::private::PrivateKey;
use crate::payment::Time;

/// A delivery that is not signed yet.
#[derive(Clone, Copy, Debug)]
pub struct UnsignedDelivery<'a> {
    /// The names and values of the headers.
    pub headers: &'a [(String, String)],
    /// The names and values of the query's parameters.
    pub query: &'a [(String, String)],
    /// The body, as the provider writes it. What a signature adds to it is left out.
    pub body: &'a [u8],
    /// The id of the delivery, for providers that send one.
    pub id: &'a str,
    /// When the delivery is signed.
    pub at: Time,
}

/// Who signs a delivery.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// The provider, with the source's first secret.
    Secret,
    /// The provider, with the private half of the source's first key.
    Key(&'a PrivateKey),
    /// Somebody who knows neither.
    Forger,
}

/// A delivery with its signature.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SignedDelivery {
    /// The names and values of all headers.
    pub headers: Vec<(String, String)>,
    /// The names and values of all parameters of the query.
    pub query: Vec<(String, String)>,
    /// The body, with the signature if the provider puts it there.
    pub body: Vec<u8>,
}

/// Why a delivery cannot be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CannotSign {
    /// The source has only a public key.
    #[error(
        "the provider signs with a private key, of which the source has the public half alone; give the source a key of your own as \
         its secret, and its private half with --signing-key"
    )]
    NoKey,
    /// The source fetches the provider's keys.
    #[error(
        "the source has no secret and fetches the provider's keys, whose private halves nobody else has; give the source a key of \
         your own as its secret, and its private half with --signing-key"
    )]
    FetchedKeys,
    /// The private key is of another algorithm.
    #[error("the signing key is of another kind than the provider's: {0} is needed")]
    OtherKey(&'static str),
    /// The body is none that the provider sends.
    #[error("the body is none that the provider sends, so its signature has no place in it")]
    Body,
}

impl<'a> UnsignedDelivery<'a> {
    /// A delivery of a body alone, in JSON.
    #[must_use]
    pub const fn new(body: &'a [u8], id: &'a str, at: Time) -> Self {
        Self { headers: &[], query: &[], body, id, at }
    }
}

impl UnsignedDelivery<'_> {
    /// Returns the value of a header.
    pub(in crate::source::verify) fn header(&self, name: &str) -> Option<&str> {
        value(self.headers, name)
    }

    /// Returns the value of a parameter of the query.
    pub(in crate::source::verify) fn parameter(&self, name: &str) -> Option<&str> {
        value(self.query, name)
    }

    /// Returns the delivery with the headers, the parameters and the body of its signature.
    pub(in crate::source::verify) fn with(
        &self,
        headers: Vec<(String, String)>,
        query: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> SignedDelivery {
        let own = |all: &[(String, String)], signed: &[(String, String)]| -> Vec<(String, String)> {
            all.iter().filter(|(name, _)| value(signed, name).is_none()).cloned().collect()
        };
        let (mut all_headers, mut all_query) = (own(self.headers, &headers), own(self.query, &query));
        all_headers.extend(headers);
        all_query.extend(query);
        SignedDelivery { headers: all_headers, query: all_query, body }
    }
}

impl Signer<'_> {
    /// Returns a MAC as this signer makes it: a forger's has other bytes.
    pub(in crate::source::verify) fn mac(self, genuine: Vec<u8>) -> Vec<u8> {
        match self {
            Signer::Forger => genuine.into_iter().map(|byte| !byte).collect(),
            Signer::Secret | Signer::Key(_) => genuine,
        }
    }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
