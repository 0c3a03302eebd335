//! What operators do with the open streams of a node: list them, and end some.

use super::{
    inspect::{StreamFilter, StreamList},
    streams::Streams,
};
use std::sync::Arc;

impl Streams {
    /// Lists the streams of this node that are asked for, the oldest first, at most `limit`.
    pub async fn list(&self, filter: StreamFilter, limit: usize) -> StreamList {
        let mut list = self.node.residents.list(&filter, limit);
        if let Some(reactors) = self.reactors.get() {
            for part in reactors.list(&Arc::new(filter), limit).await {
                list.append(part);
            }
        }
        list.shorten(limit);
        list
    }

    /// Ends the streams of this node that are asked for, each with an event that tells `why`, and returns how many they are.
    pub async fn dismiss(&self, filter: StreamFilter, why: Arc<str>) -> usize {
        let mut count = self.node.residents.dismiss(&filter, &why);
        if let Some(reactors) = self.reactors.get() {
            count += reactors.dismiss(&Arc::new(filter), &why).await;
        }
        count
    }
}
