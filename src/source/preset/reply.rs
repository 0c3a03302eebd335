//! `[reply]` of a preset: how its provider expects to be answered.

use serde::Deserialize;

/// `[reply]`: the answers that a provider requires in place of ours.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyRule {
    /// The plain text with which a delivery that was taken is answered.
    pub(crate) accepted: Option<String>,
    /// The HTTP status with which a delivery without a valid signature is answered.
    pub(crate) refused: Option<u16>,
}
