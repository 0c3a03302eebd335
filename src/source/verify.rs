//! The gate: what verifies a source's deliveries. Pure: a key that has to be fetched is given to it, or it says that it lacks one.

use super::{
    adapter::{Coded, Unproven},
    preset::mapping::Unclear,
    signature::{Rejection, Verifier},
    source::Source,
};
use serde_json::Value;

/// What verifies a source's deliveries.
pub(super) enum Gate {
    /// A recipe with its secrets.
    Recipe(Box<Verifier>),
    /// Code with its secrets.
    Coded(Box<dyn Coded>),
}

impl Source {
    /// Verifies, then parses, to a payload that nests at most so deep. Only adapters have to do both at once.
    pub(super) fn open(
        &self,
        request: Unproven<'_>,
        json_depth: usize,
    ) -> Result<Result<Value, Unclear>, Rejection> {
        let Unproven { around, body, received_at, key } = request;
        match &self.gate {
            Gate::Coded(adapter) => adapter.open(request).map(Ok),
            Gate::Recipe(verifier) => {
                match key {
                    None => verifier.verify(around, body, received_at)?,
                    Some(key) => verifier.verify_by(key, around, body, received_at)?,
                }
                let payload = self.parse(body, json_depth);
                if let Ok(payload) = &payload {
                    verifier.check_payload_time(payload, received_at)?;
                }
                Ok(payload)
            }
        }
    }
}
