//! A delivery as a sender posts it, and the keys that it is signed with.

use http::{HeaderMap, HeaderName};

/// The keys of one side of a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ingest::tests) enum Keys {
    Old,
    New,
}

/// A delivery, ready to be posted.
#[derive(Clone, Debug)]
pub(in crate::ingest::tests) struct Post {
    pub(in crate::ingest::tests) headers: HeaderMap,
    pub(in crate::ingest::tests) query: String,
    pub(in crate::ingest::tests) body: Vec<u8>,
    pub(in crate::ingest::tests) signed: Signed,
}

/// The parts of a delivery that are signatures or covered by one: bytes of the body by their positions, headers, the query.
#[derive(Clone, Debug, Default)]
pub(in crate::ingest::tests) struct Signed {
    pub(in crate::ingest::tests) body: Vec<usize>,
    pub(in crate::ingest::tests) headers: Vec<HeaderName>,
    pub(in crate::ingest::tests) query: bool,
}
