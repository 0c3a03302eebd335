//! Plaid's keys, each fetched by its id (<https://plaid.com/docs/api/webhooks/webhook-verification/>).

use super::{
    key::{FetchError, FetchedKey},
    shelf::Ageing,
};
use crate::{
    outbound::Outbound,
    redact,
    source::{
        inquiry::{ApiError, ApiSettings},
        verify::adapter::PlaidKey,
    },
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A key is fetched again each day, since its expiry date is how Plaid says that it was taken out of use. Plaid's manual names no
/// period: its example fetches the old keys again whenever it meets a new one. A week without an answer is longer than an outage at
/// Plaid, or credentials that expired over the holidays, and limits how long a stolen key is of use.
pub(super) const AGEING: Ageing = Ageing { refresh: DAY, end: DAY.saturating_mul(7) };

/// The scheme and host of Plaid's API for real money.
const PRODUCTION: &str = "https://production.plaid.com";
/// The scheme and host of Plaid's API for tests.
const SANDBOX: &str = "https://sandbox.plaid.com";
/// The path of the request for a key.
const PATH: &str = "/webhook_verification_key/get";

/// Plaid's error code for an id without a key.
const NO_SUCH_KEY: &str = "INVALID_WEBHOOK_VERIFICATION_KEY_ID";

/// The origin of Plaid's keys: the address to ask, and the credentials to ask with.
pub(crate) struct PlaidKeys {
    /// The address of the request for a key.
    address: String,
    /// The client id of the account.
    client_id: SecretString,
    /// Plaid's secret of the account.
    secret: SecretString,
}

impl PartialEq for PlaidKeys {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |ours: &SecretString, theirs: &SecretString| ours.expose_secret() == theirs.expose_secret();
        self.address == other.address
            && same(&self.client_id, &other.client_id)
            && same(&self.secret, &other.secret)
    }
}

/// Plaid's answer with a key.
#[derive(Deserialize)]
struct Found {
    key: Value,
}

/// Plaid's answer with an error.
#[derive(Deserialize)]
struct Problem {
    error_code: String,
}

impl PlaidKeys {
    /// Builds the origin from a source's access to Plaid's API. Returns `None` if the access has no client id, and fails if it cannot be
    /// used.
    pub(crate) fn new(api: &ApiSettings, live: Option<bool>) -> Result<Option<Self>, ApiError> {
        let host = if live == Some(false) { SANDBOX } else { PRODUCTION };
        let address = format!("{}{PATH}", api.origin()?.as_deref().unwrap_or(host));
        api.checked_key()?;
        let secret = api.key.clone();
        Ok(api.client_id.clone().map(|client_id| Self { address, client_id, secret }))
    }

    /// Fetches the key of an id.
    pub(super) async fn fetch(&self, outbound: &Outbound, kid: &str) -> Result<FetchedKey, FetchError> {
        let body = json!({
            "client_id": self.client_id.expose_secret(),
            "secret": self.secret.expose_secret(),
            "key_id": kid,
        });
        let request = http::Request::post(&self.address).header(CONTENT_TYPE, "application/json");
        let request = request.body(Bytes::from(body.to_string()));
        let request = request.map_err(|why| FetchError::Status(0, format!(": {why}")))?;
        let answer = outbound.ask(request).await?;
        if answer.status == 200 {
            return read(&answer.body, kid);
        }
        let problem = serde_json::from_slice::<Problem>(&answer.body).map(|problem| problem.error_code);
        match problem {
            Ok(code) if code == NO_SUCH_KEY => Err(FetchError::Unknown),
            // For example, the credentials may be wrong. This is our fault, so the delivery is deferred and not rejected.
            Ok(code) => Err(FetchError::Status(answer.status, format!(", {}", redact::text(&code, 64)))),
            Err(_) => Err(FetchError::Status(answer.status, String::new())),
        }
    }
}

/// Reads the key of an id from Plaid's answer.
fn read(body: &[u8], kid: &str) -> Result<FetchedKey, FetchError> {
    let found = serde_json::from_slice::<Found>(body).ok();
    let key = found.and_then(|found| PlaidKey::read(&found.key.to_string())).filter(|key| key.kid == kid);
    let key = key.ok_or_else(|| FetchError::Status(200, ", but no key of that id".to_owned()))?;
    Ok(FetchedKey { public: key.public, chain: Vec::new(), expired_at: key.expired_at })
}
