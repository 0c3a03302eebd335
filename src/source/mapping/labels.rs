//! Labels: the other ids of a payment that an event names.

use super::{Mapping, Terms, entry::MapEntry};
use crate::{
    payment::{ALL_PAYMENTS, Label, MAX_LABELS, Maker, Name},
    redact,
    source::payload::{Place, RequestParts},
};
use serde_json::Value;

/// The labels that an event names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedLabels {
    /// Those that can be used, at most [`MAX_LABELS`].
    pub(crate) kept: Vec<Label>,
    /// How many were left out: their ids break the rules of payments' ids, or there were too many.
    pub(crate) left_out: usize,
}

impl Mapping {
    /// Returns the labels of an event of `payment`. What cannot be used is left out, since an event is never quarantined for a label. The
    /// rules are those of a payment's id; a text that is the payment's own id is no label.
    pub(super) fn labels(
        &self,
        terms: &Terms,
        entry: &MapEntry,
        parts: RequestParts<'_>,
        payload: &Value,
        payment: Option<&Name>,
    ) -> NamedLabels {
        let mut labels = NamedLabels::default();
        let made_by_provider = entry.labels.as_ref().unwrap_or(&self.labels);
        let places = made_by_provider.iter().map(|at| (at, Maker::Provider));
        for (at, maker) in places.chain(terms.labels.iter().map(|at| (at, Maker::Shop))) {
            let Some(text) = at.id(parts, payload).filter(|text| !text.is_empty()) else { continue };
            if payment.is_some_and(|payment| *text == *payment.as_str())
                || labels.kept.iter().any(|known| known.id.as_str() == text)
            {
                continue;
            }
            match self.label(terms, at, &text) {
                Some(id) if labels.kept.len() < MAX_LABELS => labels.kept.push(Label { id, maker }),
                _ => labels.left_out += 1,
            }
        }
        labels
    }

    /// Returns the id of a label, if it can be used.
    fn label(&self, terms: &Terms, at: &Place, text: &str) -> Option<Name> {
        let is_exempt = terms.shared_ids || self.own_ids.contains(at);
        let id: Name = text.parse().ok()?;
        (id.as_str() != ALL_PAYMENTS && (is_exempt || !redact::is_pan_like(id.as_str()))).then_some(id)
    }
}
