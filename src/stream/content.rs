//! The content of a stream: what it writes, whatever it is about. When it writes is decided by the drive.

use super::{census::Seat, moment::Moment, reason::Closing, settings::Settings};
use crate::payment::{Name, PartitionSet, Time};
use bytes::BytesMut;

/// About how many bytes a sink gets at a time, so that what a slow reader has not read waits in the store or in what all readers share, and
/// not in memory of its own.
pub(super) const CHUNK: usize = 16 << 10;

/// What a stream writes.
pub(super) trait Content {
    /// Writes the news to the stream that has this seat, until the chunk is full. Returns the first lane that needs its history, if any does.
    fn pull(&mut self, seat: &mut Seat, at: &Moment<'_>, out: &mut BytesMut) -> Option<usize>;
    /// Whether the content is of one of these partitions.
    fn is_of(&self, partitions: &PartitionSet) -> bool;
    /// Writes that the store is lost, or back.
    fn stale(&self, is_stale: bool, out: &mut BytesMut);
    /// Writes a heartbeat: an event that a script can see, or a comment.
    fn heartbeat(&self, is_event: bool, out: &mut BytesMut);
    /// Writes the last event of the stream.
    fn close(&self, why: Closing, at: &Moment<'_>, out: &mut BytesMut);
    /// Writes the last event of a stream that an operator ends, with what the operator says.
    fn dismiss(&self, why: &str, at: &Moment<'_>, out: &mut BytesMut);
    /// The realm, the payments that it is about, and how many of their events were not written yet.
    fn about(&self) -> (Option<Name>, Vec<Name>, u64);
    /// Notes for receipts that the stream has ended.
    fn note_end(&self, _seat: &Seat) {}
    /// The reason to end at once, if the content has one.
    fn must_end(&self) -> Option<Closing> {
        None
    }
    /// Whether the client has seen all there is, and nothing more will come.
    fn is_over(&self, _settings: &Settings, _now: Time) -> bool {
        false
    }
    /// When nothing more will come, if nothing more happens.
    fn finishes_at(&self, _settings: &Settings) -> Option<Time> {
        None
    }
}
