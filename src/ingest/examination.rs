//! The examination of a rejected delivery, after its answer: why was it not verified?

use super::{delivery::Delivery, outcome::Outcome};
use crate::{
    source::{Diagnosis, Examiner, Rejection, Sample, Source},
    store::{Finding, ReasonCode},
};
use std::{sync::Arc, time::Instant};

/// A rejected delivery that is to be examined.
pub(super) struct Examination {
    examiner: Arc<Examiner>,
    /// The examiners of all sources.
    beside: Arc<[Arc<Examiner>]>,
    sample: Sample,
    rejection: Rejection,
}

/// Returns the examination of a delivery if it was rejected and its source may have one examined at `now`.
pub(super) fn examination(
    source: &Source,
    delivery: &Delivery<'_>,
    outcome: &Outcome,
    now: Instant,
) -> Option<Examination> {
    let Outcome::Rejected(rejection) = outcome else { return None };
    let (examiner, beside) = source.examiners();
    let is_due = examiner.is_due(delivery.body.len(), now);
    is_due.then(|| Examination { examiner, beside, sample: sample(delivery), rejection: *rejection })
}

/// Copies what is examined of a delivery.
fn sample(delivery: &Delivery<'_>) -> Sample {
    let Delivery { headers, query, body, received_at, .. } = *delivery;
    Sample { headers: headers.clone(), query: query.to_owned(), body: body.to_vec(), received_at }
}

impl Examination {
    /// Examines the delivery apart from the runtime's threads, and logs what is found.
    pub(super) async fn run(self, source: &str) -> Option<Finding> {
        let Self { examiner, beside, sample, rejection } = self;
        let examine = move || examiner.examine(&sample, rejection, &beside);
        let Diagnosis { cause, change, sure } = tokio::task::spawn_blocking(examine).await.ok()??;
        tracing::warn!(source, cause, sure, change, "a delivery was not verified, and this is why");
        Some(Finding { cause: ReasonCode::known(cause)?, change, sure })
    }
}
