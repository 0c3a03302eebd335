//! Adapters: providers whose way to sign no recipe can say, because what is signed has to be parsed first.
//!
//! An adapter verifies a request and gives the payload that is proven by it, in the form that the preset's mapping reads.
//! What is not proven it leaves out, unless it says why not. What is parsed before it is verified is bounded in size and depth.

mod adyen;
mod braintree;
mod nowpayments;
mod opennode;
pub(super) mod plaid;

use super::{
    depth,
    place::Around,
    signature::{Rejection, SecretError},
};
use crate::payment::Time;
use aws_lc_rs::signature::ParsedPublicKey;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The longest body that is parsed before it is verified. Such providers' webhooks have a few kilobytes.
const MAX_UNPROVEN_BYTES: usize = 256 << 10;

/// How deep such a body may nest.
const MAX_UNPROVEN_DEPTH: usize = 16;

/// The providers that need code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Adapter {
    /// Adyen's standard webhooks: a signature in each item.
    Adyen,
    /// Braintree: a form with XML in it, and a question before.
    Braintree,
    /// NOWPayments: signed in a form of JSON that is not the one sent.
    Nowpayments,
    /// OpenNode: a signature in the form, over the id alone.
    Opennode,
    /// Plaid: a JWT beside the body.
    Plaid,
}

/// A request that is not verified yet.
#[derive(Clone, Copy)]
pub(super) struct Unproven<'a> {
    /// What there is beside the body.
    pub(super) around: Around<'a>,
    /// The body, as it came.
    pub(super) body: &'a [u8],
    /// When it came.
    pub(super) received_at: Time,
    /// The key that it names, once it was fetched; for sources that have none of their own.
    pub(super) key: Option<&'a ParsedPublicKey>,
}

/// An adapter with the secrets of one source.
pub(super) trait Coded: Send + Sync {
    /// The payload that the request proves. [`Rejection::UntrustedKey`] where it would take a key that has to be fetched.
    fn open(&self, request: Unproven<'_>) -> Result<Value, Rejection>;

    /// The answer to a question by which the provider finds out who is there, before it sends anything.
    fn answer(&self, _around: Around<'_>) -> Option<String> {
        None
    }
}

impl Adapter {
    /// Checks the secrets and readies the adapter. `max_age` stands in for its own, if it has one. An error says which secret
    /// it is about.
    pub(super) fn ready(
        self,
        secrets: &[SecretString],
        max_age: Option<Duration>,
    ) -> Result<Box<dyn Coded>, (usize, SecretError)> {
        Ok(match self {
            Self::Adyen => Box::new(adyen::Adyen::new(secrets)?),
            Self::Braintree => Box::new(braintree::Braintree::new(secrets)?),
            Self::Plaid => Box::new(plaid::Plaid::new(secrets, max_age)?),
            Self::Nowpayments => Box::new(nowpayments::Nowpayments::new(secrets)?),
            Self::Opennode => Box::new(opennode::Opennode::new(secrets)?),
        })
    }

    /// How it signs, for the table of presets.
    pub(super) const fn scheme(self) -> &'static str {
        match self {
            Self::Adyen => "HMAC-SHA256 of each item, in the item",
            Self::Braintree => "`bt_signature` in the form: HMAC-SHA1",
            Self::Nowpayments => "`x-nowpayments-sig`: HMAC-SHA512 of sorted JSON",
            Self::Opennode => "`hashed_order` in the form: HMAC-SHA256 of the id alone",
            Self::Plaid => "`plaid-verification`: JWT, ES256; keys fetched, or pinned",
        }
    }

    /// How old what it signs may be, for the table of presets.
    pub(super) const fn max_age_s(self) -> Option<u64> {
        match self {
            Self::Plaid => Some(plaid::WINDOW.max_age.as_secs()),
            _ => None,
        }
    }
}

/// Parses a body that nobody vouches for yet.
fn parse_unproven(body: &[u8]) -> Result<Value, Rejection> {
    if body.len() > MAX_UNPROVEN_BYTES || !depth::is_within(body, MAX_UNPROVEN_DEPTH) {
        return Err(Rejection::MalformedSignature);
    }
    serde_json::from_slice(body).map_err(|_| Rejection::MalformedSignature)
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
pub(super) mod tests;
