//! `[reply]` of a preset: how its provider wants to be answered.

use serde::Deserialize;

/// `[reply]`: where the provider insists on other answers than ours.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyRule {
    /// The body, in plain text, of the answer to what was taken.
    pub(crate) accepted: Option<String>,
    /// The status of the answer to what was not signed.
    pub(crate) refused: Option<u16>,
}
