//! How a provider signs, as data. Every choice is a closed set; which of them a provider takes is its preset's to say.

use crate::ingest::{moment::TimeForm, preset::pointer::Pointer};
use http::HeaderName;
use std::time::Duration;

/// One way to sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ingest) struct Recipe {
    /// The header that carries the signature; every line of it counts.
    pub(in crate::ingest) header: HeaderName,
    /// How that header's lines are written.
    pub(in crate::ingest) format: Format,
    /// How the signature is computed.
    pub(in crate::ingest) algorithm: Algorithm,
    /// How the signature is written.
    pub(in crate::ingest) encoding: Encoding,
    /// How the secret is written.
    pub(in crate::ingest) key: KeyForm,
    /// What is signed, in order.
    pub(in crate::ingest) signed: Vec<Piece>,
    /// Where the time stands, if one is signed.
    pub(in crate::ingest) time: Option<TimeRule>,
}

/// How the signature header's lines are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ingest) enum Format {
    /// The line is the signature.
    Raw,
    /// `t=1790000000,v1=…,v1=…`: fields, some of them signatures. A key that is not listed is never a signature.
    Pairs {
        /// Between the fields.
        separator: char,
        /// Keys of the fields that are signatures.
        signatures: Vec<String>,
    },
    /// `v1,… v1,…`: signatures by version, separated by spaces. Other versions never count.
    Versioned {
        /// The version that counts.
        version: String,
    },
}

/// How a signature is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::ingest) enum Algorithm {
    /// HMAC with SHA-256 (RFC 2104, FIPS 180-4).
    HmacSha256,
}

/// How a signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::ingest) enum Encoding {
    /// Hexadecimal, either case; lower when we sign.
    Hex,
    /// Base 64 with the standard alphabet and padding.
    Base64,
}

/// How a secret is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ingest) enum KeyForm {
    /// Its bytes are the key.
    Utf8,
    /// Base 64 of the key, after a prefix that may stand before it.
    Base64 {
        /// E.g. `whsec_`.
        strip: String,
    },
}

/// One piece of what is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ingest) enum Piece {
    /// The raw body.
    Body,
    /// The text of a field beside the signature: `{sig.t}`.
    Field(String),
    /// The text of another header: `{header:webhook-id}`.
    Header(HeaderName),
    /// These very bytes.
    Literal(String),
}

/// Where the time stands and how far from ours it may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ingest) struct TimeRule {
    /// Where.
    pub(in crate::ingest) from: TimeFrom,
    /// How it is written.
    pub(in crate::ingest) form: TimeForm,
    /// The longest that it may lie behind our clock at receipt; without it, age is checked only where a source asks.
    pub(in crate::ingest) max_age: Option<Duration>,
    /// The longest that it may lie ahead of it.
    pub(in crate::ingest) max_future: Duration,
}

/// Where a signed time stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ingest) enum TimeFrom {
    /// In a field beside the signature.
    Field(String),
    /// In a header of its own.
    Header(HeaderName),
    /// In the payload; read only after the signature was found good.
    Payload(Pointer),
}

impl Recipe {
    /// Whether the recipe signs that header's text.
    pub(in crate::ingest) fn signs(&self, header: &HeaderName) -> bool {
        self.signed.iter().any(|piece| matches!(piece, Piece::Header(signed) if signed == header))
    }
}
