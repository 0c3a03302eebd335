//! Adapters: providers whose way to sign no recipe can say, because what is signed has to be parsed first.
//!
//! An adapter verifies a request and gives the payload that is proven by it, in the form that the preset's mapping reads.
//! What is not proven it leaves out, unless it says why not. What is parsed before it is verified is bounded in size and depth.

mod adyen;
mod braintree;
mod nowpayments;
mod opennode;
mod plaid;
mod unproven;
mod verifier;

pub(in crate::source::verify) use plaid::{PlaidKey, key_id as plaid_key_id};
pub(crate) use verifier::AdapterVerifier;

use super::signature::SecretError;
use secrecy::SecretString;
use serde::Deserialize;
use std::time::Duration;

/// The providers that need code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Adapter {
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

impl Adapter {
    /// Checks the secrets and readies the adapter. `max_age` stands in for its own, if it has one. An error says which secret
    /// it is about.
    pub(crate) fn ready(
        self,
        secrets: &[SecretString],
        max_age: Option<Duration>,
    ) -> Result<Box<dyn AdapterVerifier>, (usize, SecretError)> {
        Ok(match self {
            Self::Adyen => Box::new(adyen::Adyen::new(secrets)?),
            Self::Braintree => Box::new(braintree::Braintree::new(secrets)?),
            Self::Plaid => Box::new(plaid::Plaid::new(secrets, max_age)?),
            Self::Nowpayments => Box::new(nowpayments::Nowpayments::new(secrets)?),
            Self::Opennode => Box::new(opennode::Opennode::new(secrets)?),
        })
    }

    /// How it signs, for the table of presets.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Adyen => "HMAC-SHA256 of each item, in the item",
            Self::Braintree => "`bt_signature` in the form: HMAC-SHA1",
            Self::Nowpayments => "`x-nowpayments-sig`: HMAC-SHA512 of sorted JSON",
            Self::Opennode => "`hashed_order` in the form: HMAC-SHA256 of the id alone",
            Self::Plaid => "`plaid-verification`: JWT, ES256; keys fetched, or pinned",
        }
    }

    /// How old what it signs may be, for the table of presets.
    pub(crate) const fn max_age_s(self) -> Option<u64> {
        match self {
            Self::Plaid => Some(plaid::WINDOW.max_age.as_secs()),
            _ => None,
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod tests;
