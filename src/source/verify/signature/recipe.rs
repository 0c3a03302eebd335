//! How a provider signs, as data. Every choice is a closed set; which of them a provider takes is its preset's to say.

use crate::source::payload::{Pointer, TimeForm};
use http::HeaderName;
use std::time::Duration;

/// One provider's way to sign: where signatures stand, what they cover, and by which methods they may be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    /// What carries the signatures.
    pub(crate) carrier: Carrier,
    /// Between the items of one of its lines; without it, a line is one item.
    pub(crate) separator: Option<char>,
    /// The header that names the key, where signatures do not.
    pub(crate) key_id: Option<HeaderName>,
    /// What is signed, in order.
    pub(crate) signed: Vec<Part>,
    /// Where the time stands, if one is signed.
    pub(crate) time: Option<TimeRule>,
    /// Where certificates are fetched from, for sources that pin none.
    pub(crate) certificates: Option<CertificateRule>,
    /// How signatures are made: one way, or two while a standard moves on. A secret belongs to one of them.
    pub(crate) methods: Vec<Method>,
}

/// Certificates that the provider publishes, and requests name by their address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CertificateRule {
    /// The header that holds the address.
    pub(crate) header: HeaderName,
    /// Below which the certificates of their issuers stand, where they come without.
    pub(crate) issuers: Option<String>,
    /// Those for real money.
    pub(crate) live: Published,
    /// Those for tests.
    pub(crate) test: Published,
}

/// Where a provider publishes certificates.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    /// The start of each address: scheme, host and folder.
    pub(crate) below: String,
    /// The DNS name that they are issued for.
    pub(crate) name: String,
}

/// What carries signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// A header; every line of it counts.
    Header(HeaderName),
    /// A key of the query, for secrets in the address itself.
    Query(String),
}

/// One way to make a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Method {
    /// How an item of the carrier's line may be written. What fits none of them is never a signature.
    pub(crate) items: Vec<Item>,
    /// How the signature is computed.
    pub(crate) algorithm: Algorithm,
    /// How the signature is written.
    pub(crate) encoding: Encoding,
    /// How the secret is written.
    pub(crate) key: KeyForm,
    /// What stands before secrets of this method. Cut off where the rest has to be decoded.
    pub(crate) prefix: String,
}

/// How an item is written: texts, with gaps between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Item(pub(crate) Vec<ItemToken>);

/// A piece of an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ItemToken {
    /// These very characters.
    Text(String),
    /// What may be anything, up to the next text. `signature` and `kid` have a meaning; others are fields.
    Gap(String),
}

/// How a signature is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    /// HMAC with SHA-1 (RFC 2104). Not broken as a MAC, and some providers have nothing else.
    HmacSha1,
    /// HMAC with SHA-256 (RFC 2104, FIPS 180-4).
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017), keys of 2048 to 8192 bits.
    RsaSha256,
    /// The secret itself, sent along: it proves who sent it, and nothing about what was sent.
    Token,
}

/// How a signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Encoding {
    /// Hexadecimal, either case; lower when we sign.
    Hex,
    /// Base 64 with the standard alphabet and padding.
    Base64,
    /// As it is, for tokens.
    Text,
}

/// How a secret is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyForm {
    /// Its bytes are the key.
    Utf8,
    /// Hexadecimal of the key.
    Hex,
    /// Base 64 of the key.
    Base64,
    /// A public key as PEM (`SubjectPublicKeyInfo`).
    Pem,
    /// The certificate of a public key as PEM (X.509). Who pins one has to have checked it.
    Certificate,
}

/// A run of what is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// Whether it is left out where something that it names is not there.
    pub(crate) optional: bool,
    /// Its pieces, in order.
    pub(crate) pieces: Vec<Piece>,
}

/// One piece of what is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// The raw body.
    Body,
    /// The CRC-32 of the raw body, as a decimal number: `{crc32}`. It notices faults, not forgers who have a signature at hand.
    Crc32,
    /// The text of a field beside the signature: `{sig.t}`.
    Field(String),
    /// The text of another header: `{header:webhook-id}`.
    Header(HeaderName),
    /// The text of a key of the query, in lower case: `{query:data.id}`.
    Query(String),
    /// The texts of the headers that a field names, separated by spaces there and joined by dots here: `{headers:h}`.
    Headers(String),
    /// What the source's options say, never what the request does: `{option:notification_url}`.
    Option(String),
    /// These very bytes.
    Literal(String),
}

/// Where the time stands and how far from ours it may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TimeRule {
    /// Where.
    pub(crate) from: TimeFrom,
    /// How it is written.
    pub(crate) form: TimeForm,
    /// The longest that it may lie behind our clock at receipt; without it, age is checked only where a source asks.
    pub(crate) max_age: Option<Duration>,
    /// The longest that it may lie ahead of it.
    pub(crate) max_future: Duration,
}

/// Where a signed time stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TimeFrom {
    /// In a field beside the signature.
    Field(String),
    /// In a header of its own.
    Header(HeaderName),
    /// In the payload; read only after the signature was found good.
    Payload(Pointer),
}

impl Recipe {
    /// Whether a piece is signed, and always so.
    pub(crate) fn signs(&self, piece: &Piece) -> bool {
        self.signed.iter().any(|part| part.pieces.contains(piece))
    }

    /// Whether a request's body is the sender's: signed, or brought by someone who knows the token.
    pub(crate) fn proves_body(&self) -> bool {
        self.signs(&Piece::Body)
            || self.signs(&Piece::Crc32)
            || self.methods.iter().all(|method| method.algorithm == Algorithm::Token)
    }

    /// Whether a request's query is the sender's, wherever it is not signed: who put the token into the address wrote all of it.
    pub(crate) fn proves_query(&self) -> bool {
        matches!(self.carrier, Carrier::Query(_))
            && self.methods.iter().all(|method| method.algorithm == Algorithm::Token)
    }

    /// Whether secrets are chosen by an id that the delivery names.
    pub(crate) fn names_keys(&self) -> bool {
        self.key_id.is_some() || self.methods.iter().flat_map(|method| &method.items).any(Item::names_key)
    }
}

impl Algorithm {
    /// Whether the secret is a public key, which is none.
    pub(crate) const fn is_public(self) -> bool {
        matches!(self, Self::Ed25519 | Self::RsaSha256)
    }
}

impl KeyForm {
    /// Whether it is the public half of a key, between lines of dashes.
    pub(crate) const fn is_pem(self) -> bool {
        matches!(self, Self::Pem | Self::Certificate)
    }
}

impl Item {
    fn has(&self, gap: &str) -> bool {
        self.0.iter().any(|token| matches!(token, ItemToken::Gap(name) if name == gap))
    }

    /// Whether it holds a signature.
    pub(crate) fn is_signature(&self) -> bool {
        self.has(SIGNATURE)
    }

    /// Whether it names the key that it was signed with.
    fn names_key(&self) -> bool {
        self.has(KEY_ID)
    }

    /// The fields that it holds.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match token {
            ItemToken::Gap(name) if name != SIGNATURE && name != KEY_ID => Some(name.as_str()),
            _ => None,
        })
    }
}

/// The gap in which the signature stands.
pub(crate) const SIGNATURE: &str = "signature";

/// The gap in which the id of the key stands.
pub(crate) const KEY_ID: &str = "kid";
