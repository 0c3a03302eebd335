//! What a page says that it has shown: noted for receipts, and nothing else comes of it.

use super::{
    census::Holders,
    noting::reader,
    streams::{STORE_PATIENCE, Streams},
};
use crate::{
    hub::Bell,
    payment::Subject,
    receipts::{ReceiptEvent, ReceiptWord},
};
use std::sync::Arc;
use tokio::time::timeout;

/// What a page says.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The payment, by the id that the page knows.
    pub subject: Subject,
    /// The last entry of its log that the page has shown; 0 for none.
    pub seq: u64,
    /// Who says so.
    pub holders: Holders,
    /// The `sub` of the token.
    pub reader: Option<Arc<str>>,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShownAnswer {
    /// It is noted, if receipts are kept.
    Noted,
    /// The log has no such entry.
    NoSuchEntry,
    /// The store does not answer.
    Unavailable,
}

impl Streams {
    /// Notes what a page has shown. The log is read only if no stream of this node knows the entry already.
    pub async fn shown(&self, shown: Shown) -> ShownAnswer {
        let Shown { subject, seq, holders, reader: name } = shown;
        let Some(receipts) = self.node.census.receipts() else { return ShownAnswer::Noted };
        let watch = self.node.hub.join(&subject, Arc::new(Bell::default()));
        let topic = watch.topic();
        let payment = if seq > 0 && seq <= topic.followed_end().cursor.seq {
            topic.target().map_or(subject, |target| target.subject().clone())
        } else {
            let Ok(Ok(history)) = timeout(STORE_PATIENCE, watch.history()).await else {
                return ShownAnswer::Unavailable;
            };
            if seq > history.head.seq {
                return ShownAnswer::NoSuchEntry;
            }
            Subject::payment(subject.realm, history.payment.clone())
        };
        let (reader, word) = (reader(name, holders), ReceiptWord::Shown);
        receipts.note(&payment, ReceiptEvent::Stream { reader, word, seq, reason: None });
        ShownAnswer::Noted
    }
}
