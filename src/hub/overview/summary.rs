//! The summary of one payment: its view, and what filters look at. Pure.

use super::filter::bit;
use crate::{
    payment::{Currency, State, Status, Time, View},
    store::{Listed, Log},
};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;

/// What the list says of one payment, as of one entry of its log.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) status: Status,
    pub(super) amount: Option<i64>,
    pub(super) currency: Option<Currency>,
    /// The provider and the source of its first event.
    pub(super) provider: Arc<str>,
    pub(super) source: Arc<str>,
    /// The statuses that it ever had, in the order of its log.
    pub(super) had: u16,
    /// Whether its amount or currency was ever another one.
    pub(super) is_repriced: bool,
    /// Its JSON object.
    pub(super) json: Bytes,
}

#[derive(Serialize)]
struct ListedObject<'a> {
    payment: &'a str,
    seq: u64,
    #[serde(flatten)]
    view: View,
    provider: &'a str,
    source: &'a str,
    live: bool,
    first_seen: Time,
    changed: Time,
}

impl Summary {
    /// The summary of a payment up to the entry that the index names; nothing if its log is gone.
    pub(super) fn of(listed: &Listed, log: &Log) -> Option<Self> {
        let length = usize::try_from(listed.seq).unwrap_or(usize::MAX).min(log.entries.len());
        let entries = log.entries.get(..length)?;
        let first = &entries.first()?.event;
        let mut state = State::default();
        let (mut had, mut is_repriced) = (0, false);
        for entry in entries {
            let money = (state.amount(), state.currency());
            state.apply(&entry.event);
            had |= bit(state.status());
            is_repriced |= money.0.is_some() && money != (state.amount(), state.currency());
        }
        let view = state.view();
        let object = ListedObject {
            payment: listed.payment.as_str(),
            seq: listed.seq,
            view,
            provider: &first.provider,
            source: &first.source,
            live: first.live,
            first_seen: listed.first_seen,
            changed: listed.changed,
        };
        Some(Self {
            status: view.status,
            amount: view.amount,
            currency: view.currency,
            provider: Arc::clone(&first.provider),
            source: Arc::clone(&first.source),
            had,
            is_repriced,
            // Plain numbers and strings: writing them to memory cannot fail.
            json: serde_json::to_vec(&object).unwrap_or_default().into(),
        })
    }
}
