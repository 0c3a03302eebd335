//! A draft: what the writer has decided and not synced yet. It becomes one group of the journal and then part of the active layer.

use super::{change::Change, journal::HEAD_BYTES, layer::Layer};
use crate::store::StoreError;

/// The longest change, in bytes: an event of a body of 4 MiB at most. A group is at most one change longer than the writer lets it grow.
pub(super) const MAX_CHANGE_BYTES: usize = 4 << 20;

/// Changes that are not synced yet.
pub(super) struct Draft {
    /// Room for the head of the group, and then its payload.
    pub(super) group: Vec<u8>,
    /// What the changes come to.
    pub(super) layer: Layer,
}

impl Draft {
    /// A draft without changes, in the memory of an earlier one.
    pub(super) fn empty(mut group: Vec<u8>) -> Self {
        group.clear();
        group.resize(HEAD_BYTES, 0);
        Self { group, layer: Layer::default() }
    }

    /// Adds a change. After an error the draft is as before.
    pub(super) fn add(&mut self, change: Change) -> Result<(), StoreError> {
        let before = self.group.len();
        let written = change.write_to(&mut self.group);
        let length = self.group.len() - before;
        if written.is_ok() && length <= MAX_CHANGE_BYTES {
            self.layer.apply(change);
            return Ok(());
        }
        self.group.truncate(before);
        written?;
        Err(StoreError::Unavailable(format!(
            "{length} bytes are more than one entry of its journal may have"
        )))
    }
}
