//! Pages of an overview: payments in the order in which they came.

use super::{
    super::locks::lock,
    Overview, READS,
    board::{Arrival, Candidate},
    filter::Filter,
};
use crate::{payment::Time, store::StoreError};
use bytes::Bytes;
use std::{fmt, str::FromStr};

/// The most logs that are read for one page whose filter hides most of them.
pub(super) const READS_PER_PAGE: usize = 2000;

/// A page of payments, in the order in which they came, the newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The JSON object of each.
    pub payments: Vec<Bytes>,
    /// Where the next page begins, if there may be one.
    pub next: Option<PagePlace>,
    /// All payments that changed since this time are in the list; `None` if all are.
    pub complete_since: Option<Time>,
}

/// A place between two pages: the payment that was looked at last. Its text form is `<milliseconds since 1970>.<payment>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PagePlace(Arrival);

impl fmt::Display for PagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self((first_seen, payment)) = self;
        write!(f, "{}.{payment}", first_seen.unix_ms())
    }
}

impl FromStr for PagePlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ms, payment) = text.split_once('.').ok_or("it has no dot")?;
        let first_seen = ms.parse().ok().and_then(|ms| Time::from_unix_ms(ms).ok());
        let first_seen = first_seen.ok_or("it does not begin with a time")?;
        Ok(Self((first_seen, payment.parse().map_err(|_| "it names no payment")?)))
    }
}

impl Overview {
    /// Reads a page: at most `limit` of the payments that pass the filter and came before a place. It says what was appended before it was
    /// asked for.
    pub async fn page(
        &self,
        filter: &Filter,
        before: Option<&PagePlace>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.see_all().await?;
        self.page_of(filter, before, limit).await
    }

    pub(super) async fn page_of(
        &self,
        filter: &Filter,
        before: Option<&PagePlace>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (mut payments, mut reads) = (Vec::new(), 0);
        let mut place = before.map(|PagePlace(place)| place.clone());
        let is_full = loop {
            let most = if filter.looks_at_no_view() { limit - payments.len() } else { READS * 8 };
            let older = lock(&self.board).older(place.as_ref(), filter, most);
            if older.is_empty() {
                break false;
            }
            let unread = older.iter().filter(|candidate| candidate.summary.is_none());
            let unread: Vec<_> = unread.map(|candidate| candidate.listed.clone()).collect();
            reads += unread.len();
            let mut read = self.read(unread).await?;
            for Candidate { listed, summary } in older {
                let summary = summary.or_else(|| read.remove(&listed.payment));
                if let Some(summary) = summary.filter(|summary| filter.takes(listed.first_seen, summary)) {
                    payments.push(summary.json.clone());
                }
                place = Some((listed.first_seen, listed.payment));
                if payments.len() == limit {
                    break;
                }
            }
            if payments.len() == limit || reads >= READS_PER_PAGE {
                break true;
            }
        };
        let board = lock(&self.board);
        let has_more = is_full && !board.older(place.as_ref(), filter, 1).is_empty();
        let next = place.filter(|_| has_more).map(PagePlace);
        Ok(Page { payments, next, complete_since: board.complete_since() })
    }
}
