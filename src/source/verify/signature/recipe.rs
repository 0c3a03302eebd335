//! Recipes: how a provider signs, as data. Every choice comes from a closed set; the preset says which a provider uses.

use crate::source::payload::{Pointer, TimeForm};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use std::time::Duration;

/// How one provider signs: where the signatures are, what they cover, and by which methods they may be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    /// What carries the signatures.
    pub(crate) carrier: Carrier,
    /// The character between the items of a line. Without it, a line is one item.
    pub(crate) separator: Option<char>,
    /// The header that names the key, if the signatures do not name it.
    pub(crate) key_id: Option<HeaderName>,
    /// What is signed, part by part, in order.
    pub(crate) signed: Vec<Part>,
    /// The time that is signed, if there is one.
    pub(crate) time: Option<TimeRule>,
    /// Where certificates are fetched from, for sources that pin none.
    pub(crate) certificates: Option<CertificateRule>,
    /// The methods by which signatures may be made: one, or two while a standard changes. A secret belongs to one of them.
    pub(crate) methods: Vec<Method>,
}

/// The certificates that a provider publishes, and that requests name by their address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CertificateRule {
    /// The header that holds the address of a certificate.
    pub(crate) header: HeaderName,
    /// The start of the addresses of issuers' certificates, if certificates come without them.
    pub(crate) issuers: Option<String>,
    /// Where certificates for real money are published.
    pub(crate) live: Published,
    /// Where certificates for tests are published.
    pub(crate) test: Published,
}

/// Where a provider publishes certificates.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    /// The start of each address: scheme, host and folder.
    pub(crate) below: String,
    /// The DNS name for which the certificates are issued.
    pub(crate) name: String,
}

/// What carries the signatures of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// A header. Every line of it counts.
    Header(HeaderName),
    /// A query parameter, for secrets in the address itself.
    Query(String),
}

/// One way to make a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Method {
    /// The forms of the items in a line. A text of another form is never a signature.
    pub(crate) items: Vec<Item>,
    /// How the signature is computed.
    pub(crate) algorithm: Algorithm,
    /// How the signature is written.
    pub(crate) encoding: Encoding,
    /// How the secret is written.
    pub(crate) key: KeyForm,
    /// The text with which secrets of this method begin. It is cut off if the rest has to be decoded.
    pub(crate) prefix: String,
}

/// The form of an item: texts, with gaps between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Item(pub(crate) Vec<ItemToken>);

/// A part of an item's form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ItemToken {
    /// This fixed text.
    Text(String),
    /// A gap, which any text fills up to the next fixed text.
    Gap(Gap),
}

/// What the text in a gap is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Gap {
    /// The signature: `{signature}`.
    Signature,
    /// The id of the key that made the signature: `{kid}`.
    KeyId,
    /// A field of another name, such as the time: `{t}`.
    Field(String),
}

/// How a signature is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    /// HMAC with SHA-1 (RFC 2104), which is not broken as a MAC, and all that some providers have.
    HmacSha1,
    /// HMAC with SHA-256 (RFC 2104, FIPS 180-4).
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017), keys of 2048 to 8192 bits.
    RsaSha256,
    /// The secret itself, which is sent along. It proves who sent the request, and nothing about what was sent.
    Token,
}

/// How a signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Encoding {
    /// Hexadecimal digits of either case; we sign in lower case.
    Hex,
    /// Base 64 with the standard alphabet and padding.
    Base64,
    /// The text as it is, for tokens.
    Text,
}

/// How a secret is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyForm {
    /// The bytes of the text are the key.
    Utf8,
    /// The text is the key in hexadecimal.
    Hex,
    /// The text is the key in base 64.
    Base64,
    /// The text is a public key as PEM (`SubjectPublicKeyInfo`).
    Pem,
    /// The text is the certificate of a public key as PEM (X.509). Whoever pins a certificate has to check it.
    Certificate,
}

/// A part of what is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// Whether the part is left out if something that it names is missing.
    pub(crate) optional: bool,
    /// The pieces of the part, in order.
    pub(crate) pieces: Vec<Piece>,
}

/// One piece of what is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// The raw body.
    Body,
    /// The CRC-32 of the raw body, as a decimal number: `{crc32}`. It detects faults, but not forgers who have seen a signature.
    Crc32,
    /// The text of a field beside the signature: `{sig.t}`.
    Field(String),
    /// The text of another header: `{header:webhook-id}`.
    Header(HeaderName),
    /// The text of a query parameter, in lower case: `{query:data.id}`.
    Query(String),
    /// The texts of the headers that a field names, joined by dots: `{headers:h}`. The field separates the names by spaces.
    Headers(String),
    /// The value of one of the source's options, whatever the request says: `{option:notification_url}`.
    Option(String),
    /// This text itself.
    Literal(String),
}

/// The time that is signed, and how far it may lie from our clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TimeRule {
    /// The place of the time.
    pub(crate) from: TimeFrom,
    /// How the time is written.
    pub(crate) form: TimeForm,
    /// The longest that the time may lie behind our clock at receipt. Without it, the age is checked only if the source sets a limit.
    pub(crate) max_age: Option<Duration>,
    /// The longest that the time may lie ahead of our clock at receipt.
    pub(crate) max_future: Duration,
}

/// The place of a signed time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TimeFrom {
    /// The time is in a field beside the signature.
    Field(String),
    /// The time is in a header of its own.
    Header(HeaderName),
    /// The time is in the payload, and read only after the signature was found valid.
    Payload(Pointer),
}

impl Recipe {
    /// Returns whether a piece is signed in every request.
    pub(crate) fn signs(&self, piece: &Piece) -> bool {
        self.signed.iter().any(|part| part.pieces.contains(piece))
    }

    /// Returns whether a valid signature proves the body: the body is signed, or whoever sent it knows the token.
    pub(crate) fn proves_body(&self) -> bool {
        self.signs(&Piece::Body)
            || self.signs(&Piece::Crc32)
            || self.methods.iter().all(|method| method.algorithm == Algorithm::Token)
    }

    /// Returns whether a valid signature proves the query, even where the query is not signed: whoever put the token into the address
    /// wrote all of it.
    pub(crate) fn proves_query(&self) -> bool {
        matches!(self.carrier, Carrier::Query(_))
            && self.methods.iter().all(|method| method.algorithm == Algorithm::Token)
    }

    /// Returns whether deliveries name the key that they are signed with, so that secrets need an id.
    pub(crate) fn names_keys(&self) -> bool {
        self.key_id.is_some() || self.methods.iter().flat_map(|method| &method.items).any(Item::names_key)
    }
}

impl Algorithm {
    /// Returns whether the source's secret is a public key, and so not secret.
    pub(crate) const fn is_public(self) -> bool {
        matches!(self, Self::Ed25519 | Self::RsaSha256)
    }

    /// Returns which kind of key signs by this algorithm, for errors.
    pub(super) const fn key_kind(self) -> &'static str {
        match self {
            Self::Ed25519 => "an Ed25519 key",
            Self::RsaSha256 => "an RSA key",
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha512 | Self::Token => "the source's secret",
        }
    }
}

impl Encoding {
    /// Returns the bytes that a signature's text stands for, or `None` if the text is not in this encoding.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Text => Some(text.as_bytes().to_vec()),
        }
    }

    /// Writes the bytes of a signature.
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Text => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

impl KeyForm {
    /// Returns whether the secret is the public half of a key in a PEM text.
    pub(crate) const fn is_pem(self) -> bool {
        matches!(self, Self::Pem | Self::Certificate)
    }
}

impl Item {
    /// Returns whether the item holds a signature.
    pub(crate) fn is_signature(&self) -> bool {
        self.0.contains(&ItemToken::Gap(Gap::Signature))
    }

    /// Returns whether the item names the key that made the signature.
    pub(crate) fn names_key(&self) -> bool {
        self.0.contains(&ItemToken::Gap(Gap::KeyId))
    }

    /// Returns the names of the fields that the item holds.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match token {
            ItemToken::Gap(Gap::Field(name)) => Some(name.as_str()),
            _ => None,
        })
    }
}
