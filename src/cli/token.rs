//! `paystream token`: signs a token for a page, an operator or a test.

use super::{argument, config_file::ConfigFile, exit::Usage, output};
use crate::{
    access::{ALL, MintError},
    clock,
    config::{DEFAULT_REALM, Signing, TokenSigner},
    payment::Name,
};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// Signs a token that lets its bearer watch payments
///
/// In production, the backend of the shop signs tokens with any JWT library. This command is for tests and for operators.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream token --payment pay_abc
  paystream token --payment order-7 --payment order-8 --ttl 1h --realm live
  paystream token --payment '*' --kid ops          all payments; needs an operator's key
  curl -H \"Authorization: Bearer $(paystream token --payment pay_abc)\" http://127.0.0.1:8080/v1/payments/pay_abc")]
pub(super) struct TokenArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// A payment that the bearer may watch. Repeat it for up to 64 payments, or give '*' alone for all
    #[arg(long = "payment", short, value_name = "ID", required = true, value_parser = argument::name)]
    payments: Vec<Name>,
    /// The realm of these payments
    #[arg(long, default_value = DEFAULT_REALM, value_parser = argument::name)]
    realm: Name,
    /// The name of the key to sign with [default: the first key that may sign this token]
    #[arg(long)]
    kid: Option<String>,
    /// How long the token is valid, at most 24h
    #[arg(long, default_value = "15m", value_parser = argument::duration)]
    ttl: Duration,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl TokenArgs {
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
        let signer = TokenSigner { kid, realm: &self.realm, all };
        let Signing { access, kids, .. } =
            self.config.read(|file, environment| Signing::load(file, environment, signer))?;
        let usage = |error: MintError| Usage(error.to_string());
        if let Some(kid) = kid.filter(|kid| !kids.iter().any(|known| known == kid)) {
            return Err(usage(MintError::UnknownKey(kid.to_owned(), kids.join(", "))).into());
        }
        let minted = access.mint(kid, &self.realm, &self.payments, self.ttl, clock::now());
        Ok(minted.map_err(usage)?)
    }
}
