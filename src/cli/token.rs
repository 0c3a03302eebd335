//! `paystream token`: a token for a page, an operator or a test.

use super::{ConfigFile, Usage, a_duration, a_name, output};
use crate::{
    access::{ALL, MintError},
    clock,
    config::{DEV_REALM, Signer, Signing},
    payment::Name,
};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// Signs a token that lets its bearer watch payments
///
/// In production the shop's own backend signs tokens, with any JWT library; this command is for trying things out and for
/// operators.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream token --payment pay_abc
  paystream token --payment order-7 --payment order-8 --ttl 1h --realm live
  paystream token --payment '*' --kid ops          all payments of the realm, by an operator's key
  curl -H \"Authorization: Bearer $(paystream token --payment pay_abc)\" http://127.0.0.1:8080/v1/payments/pay_abc")]
pub(super) struct Token {
    #[command(flatten)]
    config: ConfigFile,
    /// A payment that the bearer may watch; up to 64, or '*' alone
    #[arg(long = "payment", short, value_name = "ID", required = true, value_parser = a_name)]
    payments: Vec<Name>,
    /// The realm in which those payments are
    #[arg(long, default_value = DEV_REALM, value_parser = a_name)]
    realm: Name,
    /// The key to sign with [default: the first one that may]
    #[arg(long)]
    kid: Option<String>,
    /// How long the token is good for; at most 24h
    #[arg(long, default_value = "15m", value_parser = a_duration)]
    ttl: Duration,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let token = self.mint()?;
        if self.json {
            let expires_in_s = self.ttl.as_secs();
            output::say(
                &json!({"token": token, "realm": self.realm, "payments": self.payments, "expires_in_s": expires_in_s})
                    .to_string(),
            )?;
        } else {
            output::say(&token)?;
        }
        Ok(())
    }

    fn mint(&self) -> anyhow::Result<String> {
        let kid = self.kid.as_deref();
        let all = self.payments.iter().any(|payment| payment.as_str() == ALL);
        let signer = Signer { kid, realm: &self.realm, all };
        let Signing { access, kids } =
            self.config.read(|file, environment| Signing::load(file, environment, signer))?;
        let usage = |error: MintError| Usage(error.to_string());
        if let Some(kid) = kid.filter(|kid| !kids.iter().any(|known| known == kid)) {
            return Err(usage(MintError::UnknownKey(kid.to_owned(), kids.join(", "))).into());
        }
        let minted = access.mint(kid, &self.realm, &self.payments, self.ttl, clock::now());
        Ok(minted.map_err(usage)?)
    }
}
