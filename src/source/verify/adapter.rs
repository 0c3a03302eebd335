//! Adapters: verification by code, for providers whose signatures no recipe can describe, because what is signed has to be parsed
//! first.
//!
//! An adapter verifies a request and returns the payload that the signature proves, in the form that the preset's mapping reads.
//! It leaves out what is not proven; where it does not, its documentation says why. What is parsed before it is verified is
//! bounded in size and depth.

mod adyen;
mod braintree;
mod nowpayments;
mod opennode;
mod plaid;
mod unproven;
mod verifier;

pub(in crate::source::verify) use plaid::{PlaidKey, key_id as plaid_key_id};
pub(crate) use verifier::AdapterVerifier;

use super::{signature::SecretError, window::TimeLimits};
use secrecy::SecretString;
use serde::Deserialize;

/// The providers that are verified by code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Adapter {
    /// Adyen's standard webhooks, with a signature in each item.
    Adyen,
    /// Braintree, which sends XML in a form, and a challenge before anything else.
    Braintree,
    /// NOWPayments, which signs another form of the JSON than the one that it sends.
    Nowpayments,
    /// OpenNode, which signs the id alone, in a form.
    Opennode,
    /// Plaid, which sends a JWT beside the body.
    Plaid,
}

impl Adapter {
    /// Checks the secrets and builds the verifier. The limits of the source replace the adapter's own, if it has any. An error gives
    /// the index of the secret that it is about.
    pub(crate) fn ready(
        self,
        secrets: &[SecretString],
        limits: TimeLimits,
    ) -> Result<Box<dyn AdapterVerifier>, (usize, SecretError)> {
        Ok(match self {
            Self::Adyen => Box::new(adyen::Adyen::new(secrets)?),
            Self::Braintree => Box::new(braintree::Braintree::new(secrets)?),
            Self::Plaid => Box::new(plaid::Plaid::new(secrets, limits)?),
            Self::Nowpayments => Box::new(nowpayments::Nowpayments::new(secrets)?),
            Self::Opennode => Box::new(opennode::Opennode::new(secrets)?),
        })
    }

    /// Describes how the provider signs, for the table of presets.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Adyen => "HMAC-SHA256 of each item, in the item",
            Self::Braintree => "`bt_signature` in the form: HMAC-SHA1",
            Self::Nowpayments => "`x-nowpayments-sig`: HMAC-SHA512 of sorted JSON",
            Self::Opennode => "`hashed_order` in the form: HMAC-SHA256 of the id alone",
            Self::Plaid => "`plaid-verification`: JWT, ES256; keys fetched, or pinned",
        }
    }

    /// Returns how old a delivery may be in seconds by its signed time, or `None` if no time is signed.
    pub(crate) const fn max_age_s(self) -> Option<u64> {
        match self {
            Self::Plaid => Some(plaid::MAX_AGE.as_secs()),
            _ => None,
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod tests;
