//! What was found out about a delivery that was not verified.

use super::ReasonCode;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Why a delivery was not verified, and what to change. It was found by trying known mistakes, for operators alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The code of the cause.
    #[serde(deserialize_with = "cause")]
    pub cause: ReasonCode,
    /// What is wrong and what to change, in whole sentences. It holds no secret.
    pub change: String,
    /// Whether it is certain, because the delivery verifies without the mistake. Otherwise it is a guess from what can be seen.
    pub sure: bool,
}

fn cause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReasonCode, D::Error> {
    let code = ReasonCode::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    code.ok_or_else(|| D::Error::custom("the cause is empty"))
}
