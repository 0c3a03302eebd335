//! The same payment as JSON: one request, one answer, with an `ETag` and a long-poll for those who cannot stream.

use super::{STORE_PATIENCE, Streams, wire};
use crate::{
    hub::Bell,
    metrics::RefusalReason,
    payment::{FOLD_VERSION, Subject},
};
use bytes::{Bytes, BytesMut};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// The answer to a request for a snapshot.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// 200: the payment as it stands.
    Fresh {
        /// `"<cursor>.<fold version>"`, quotes included.
        etag: String,
        /// The JSON.
        body: Bytes,
    },
    /// 304: the client has it already.
    NotModified {
        /// As in [`Snapshot::Fresh`].
        etag: String,
    },
    /// 503: the store does not answer.
    Unavailable,
}

impl Streams {
    /// The payment as it stands. If the client has just that (`If-None-Match`), waits up to `wait` for news.
    pub async fn snapshot(
        &self,
        subject: &Subject,
        if_none_match: Option<&str>,
        wait: Option<Duration>,
    ) -> Snapshot {
        let bell = Arc::new(Bell::default());
        let watch = self.hub.join(subject, Arc::clone(&bell));
        let deadline = wait.map(|wait| Instant::now() + wait.min(self.limits.get().wait));
        loop {
            let Ok(Ok(history)) = timeout(STORE_PATIENCE, watch.history()).await else {
                self.metrics.refusals.count(RefusalReason::Store);
                return Snapshot::Unavailable;
            };
            let etag = format!("\"{}.{FOLD_VERSION}\"", history.head);
            if !if_none_match.is_some_and(|known| matches(known, &etag)) {
                let mut body = BytesMut::from(&*history.snapshot.json);
                body.extend_from_slice(wire::up_to_date(true).as_bytes());
                return Snapshot::Fresh { etag, body: body.freeze() };
            }
            let Some(deadline) = deadline.filter(|at| *at > Instant::now()) else {
                return Snapshot::NotModified { etag };
            };
            tokio::select! {
                () = bell.rung() => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = self.shutdown.draining() => return Snapshot::NotModified { etag },
            }
        }
    }
}

/// Whether an `If-None-Match` (RFC 9110, section 13.1.2) names this tag. The comparison is the weak one.
fn matches(if_none_match: &str, etag: &str) -> bool {
    let named = |item: &str| item.trim().trim_start_matches("W/") == etag;
    if_none_match.trim() == "*" || if_none_match.split(',').any(named)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn if_none_match_is_a_list_of_weak_or_strong_tags_or_a_star() {
        for (header, expected) in [
            ("\"a-1.1\"", true),
            ("\"b\", W/\"a-1.1\"", true),
            ("*", true),
            ("\"a-1\"", false),
            ("a-1.1", false),
            ("", false),
        ] {
            assert_eq!(matches(header, "\"a-1.1\""), expected, "{header}");
        }
    }
}
