//! What open streams ask whether their tokens' key is still accepted: one answerer for all streams whose tokens are alike, since
//! there may be a million streams and a dozen keys. An operator on the admin listener has an answerer of its own.

use crate::{
    access::{Access, Grant},
    stream::Stands,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What an operator may see, and whether it still stands: an extension of requests on the admin listener, in place of a token.
#[derive(Clone)]
pub(super) struct Authority {
    pub(super) grant: Grant,
    pub(super) stands: Stands,
}

/// The answerers by what they answer for. There are as many as there are kinds of grants among the open streams: at most keys
/// times realms times two, and those that were removed until the next one is added.
#[derive(Default)]
pub(super) struct Standings(Mutex<HashMap<Grant, Stands>>);

impl Standings {
    /// The answerer for a grant.
    pub(super) fn of(&self, grant: &Grant, access: &Arc<Access>) -> Stands {
        let kind = grant.kind();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stands) = known.get(&kind) {
            return Arc::clone(stands);
        }
        if known.len() == known.capacity() {
            known.retain(|_, stands| Arc::strong_count(stands) > 1);
        }
        let (access, asked) = (Arc::clone(access), kind.clone());
        let stands: Stands = Arc::new(Box::new(move || access.stands(&asked)));
        known.insert(kind, Arc::clone(&stands));
        stands
    }
}
