//! `[retries]`: checks what a preset says about the provider's retries.

use crate::source::{
    preset::{
        mistake::{Checked, mistake},
        raw,
    },
    retries::Retries,
};
use std::{ops::RangeInclusive, time::Duration};

/// The allowed times, in seconds: up to 60 days. The longest window of a known provider is 30 days.
const SECONDS: RangeInclusive<u64> = 1..=60 * 24 * 60 * 60;

/// The most pauses. Sixty retries are the most of any known provider; a longer schedule repeats its last pause.
const PAUSES: usize = 100;

/// The allowed waits for an answer, in seconds.
const TIMEOUT_S: RangeInclusive<u64> = 1..=300;

/// Compiles `[retries]`. A schedule whose end is not stated ends with its last pause.
pub(in crate::source::preset) fn retries(raw: &raw::Retries) -> Checked<Retries> {
    let raw::Retries { pauses_s, lost_after_s, disabled_after_s, timeout_s, blocks } = raw;
    for (key, seconds) in (0..).map(|i| format!("pauses_s[{i}]")).zip(pauses_s) {
        within(&key, *seconds, &SECONDS)?;
    }
    for (key, seconds, allowed) in [
        ("lost_after_s", lost_after_s, &SECONDS),
        ("disabled_after_s", disabled_after_s, &SECONDS),
        ("timeout_s", timeout_s, &TIMEOUT_S),
    ] {
        seconds.map_or(Ok(()), |seconds| within(key, seconds, allowed))?;
    }
    if pauses_s.len() > PAUSES {
        return mistake(
            "retries.pauses_s",
            format!("allowed: up to {PAUSES}; the last one is repeated until lost_after_s"),
        );
    }
    let all_pauses: u64 = pauses_s.iter().sum();
    if lost_after_s.is_some_and(|end| end < all_pauses) {
        let reason =
            format!("the pauses alone take {all_pauses} seconds, so the provider goes on for that long");
        return mistake("retries.lost_after_s", reason);
    }
    if pauses_s.is_empty()
        && !blocks
        && [lost_after_s, disabled_after_s, timeout_s].iter().all(|it| it.is_none())
    {
        return mistake(
            "retries",
            "it says nothing; leave it out if the provider's manual does not speak of retries",
        );
    }
    let span = |seconds: &Option<u64>| seconds.map(Duration::from_secs);
    let end = Some(all_pauses).filter(|seconds| *seconds > 0);
    Ok(Retries {
        pauses: pauses_s.iter().copied().map(Duration::from_secs).collect(),
        lost_after: span(lost_after_s).or(span(&end)),
        disabled_after: span(disabled_after_s),
        timeout: span(timeout_s),
        blocks: *blocks,
    })
}

fn within(key: &str, seconds: u64, allowed: &RangeInclusive<u64>) -> Checked<()> {
    if allowed.contains(&seconds) {
        return Ok(());
    }
    mistake(format!("retries.{key}"), format!("allowed: {} to {} seconds", allowed.start(), allowed.end()))
}
