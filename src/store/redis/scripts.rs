//! The Lua scripts that the server runs.

use redis::Script;

/// Appends one event.
pub(super) const APPEND: &str = include_str!("append.lua");

/// Keeps the pending confirmations of one source.
pub(super) const WORK_QUEUE: &str = include_str!("work_queue.lua");

/// Keeps one record of a source's quarantine.
pub(super) const QUARANTINE: &str = include_str!("quarantine.lua");

/// Holds one record of a source's quarantine with its body, or settles it.
pub(super) const HELD: &str = include_str!("held.lua");

/// Erases the log of one payment.
pub(super) const ERASE: &str = include_str!("erase.lua");

/// Adds lines to the receipt of one payment.
pub(super) const RECEIPT: &str = include_str!("receipt.lua");

/// Changes nothing, and fails wherever an append would fail.
pub(super) const PROBE: &str = include_str!("probe.lua");

/// The scripts that a connection loads before its first write, because writes name a script by its digest only.
pub(super) const LOADED: [&str; 6] = [APPEND, WORK_QUEUE, QUARANTINE, HELD, ERASE, RECEIPT];

/// Returns the digest by which `EVALSHA` names a script: SHA-1 as 40 hexadecimal digits.
pub(super) fn digest(script: &str) -> String {
    Script::new(script).get_hash().to_owned()
}
