//! Counters of a closed set of words.

use super::labels::ReasonLabel;
use prometheus_client::metrics::{counter::Counter, family::Family};
use std::{fmt, marker::PhantomData};
use strum::VariantArray;

/// Counters with one label, `reason`, whose values are the words of `R`. All of them are there from the start, at 0: a rate does not
/// show the first event of a series that begins with it, and a rule cannot tell a series that is missing from one that is misspelled.
#[derive(Clone)]
pub struct Counts<R> {
    family: Family<ReasonLabel, Counter>,
    words: PhantomData<fn(R)>,
}

impl<R: Into<&'static str>> Counts<R> {
    /// Counts one.
    pub fn count(&self, reason: R) {
        self.family.get_or_create(&ReasonLabel { reason: reason.into() }).inc();
    }

    /// The counters, to be registered.
    pub(super) fn family(&self) -> Family<ReasonLabel, Counter> {
        self.family.clone()
    }
}

impl<R: VariantArray + Into<&'static str> + Copy> Default for Counts<R> {
    fn default() -> Self {
        let family = Family::<ReasonLabel, Counter>::default();
        for reason in R::VARIANTS {
            let _at_zero = family.get_or_create(&ReasonLabel { reason: (*reason).into() });
        }
        Self { family, words: PhantomData }
    }
}

impl<R> fmt::Debug for Counts<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.family.fmt(f)
    }
}
