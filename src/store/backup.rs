//! A backup of a store that is in use, as the bytes of a stream. What they mean is the store's own matter.

use super::StoreError;
use bytes::Bytes;
use tokio::sync::mpsc;

/// A backup that is being made. It ends early when this is dropped. After an error nothing follows, and the bytes so far are no backup.
pub type Backup = mpsc::Receiver<Result<Bytes, StoreError>>;
