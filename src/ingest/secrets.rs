//! The rotation of secrets: warns while an old secret is still used near its end, and of one that is never used.
//!
//! When a secret verified a delivery is noted by its source in memory, so what is said here is about the time since the process began.

use crate::{
    payment::Time,
    source::{SecretState, Source},
};
use std::{collections::HashMap, sync::Arc};

/// How long before its end a secret that is still used is warned of, in milliseconds.
const BEFORE_END_MS: i64 = 3 * DAY_MS;

/// A secret that verified something within this time counts as used, in milliseconds.
const STILL_MS: i64 = DAY_MS;

/// For how long a secret may be unused beside another one that is used, in milliseconds.
const UNUSED_MS: i64 = 7 * DAY_MS;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is known of the secrets of all sources between two looks at them.
#[derive(Default)]
pub(super) struct SecretWatch {
    /// By source and secret.
    seen: HashMap<(Arc<str>, Arc<str>), Seen>,
}

/// What is known of a secret.
#[derive(Clone, Copy)]
struct Seen {
    /// Since when it has been looked at.
    since: Time,
    /// When it was last warned of.
    warned: Option<Time>,
}

/// What is wrong with a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Warning {
    /// It ends soon and is still used.
    Ending,
    /// It has not been used, though another one has.
    Unused,
    /// It has ended, or has not begun, and the source has no other one.
    NoneIsGood,
}

impl SecretWatch {
    /// Looks at the secrets of all sources, and warns at most once a day of each.
    pub(super) fn look(&mut self, sources: &[Arc<Source>], now: Time) {
        let mut seen = HashMap::new();
        for source in sources {
            let secrets: Vec<SecretState> = source.secrets().collect();
            for secret in &secrets {
                let key = (source.shared_name(), Arc::clone(&secret.name));
                let mut known = self.seen.get(&key).copied().unwrap_or(Seen { since: now, warned: None });
                let is_told = known.warned.is_some_and(|warned| now.since_ms(warned) < DAY_MS);
                if !is_told && let Some(warning) = warning(secret, &secrets, known.since, now) {
                    known.warned = Some(now);
                    warn(source, secret, warning);
                }
                seen.insert(key, known);
            }
        }
        self.seen = seen;
    }
}

/// Says what is wrong with one of the secrets of a source, which has been looked at since a time.
fn warning(secret: &SecretState, all: &[SecretState], since: Time, now: Time) -> Option<Warning> {
    if !all.iter().any(|one| one.is_good_at(now)) {
        return Some(Warning::NoneIsGood);
    }
    if !secret.is_good_at(now) {
        return None;
    }
    let is_used =
        |one: &SecretState, within: i64| one.last_used.is_some_and(|last| now.since_ms(last) < within);
    let ends_soon = secret.not_after.is_some_and(|end| end.since_ms(now) <= BEFORE_END_MS);
    if ends_soon && is_used(secret, STILL_MS) {
        return Some(Warning::Ending);
    }
    let is_older = now.since_ms(since) >= UNUSED_MS;
    let another_is = all.iter().any(|one| one.name != secret.name && is_used(one, UNUSED_MS));
    (is_older && another_is && secret.last_used.is_none()).then_some(Warning::Unused)
}

fn warn(source: &Source, secret: &SecretState, warning: Warning) {
    let (source, name) = (source.name(), &*secret.name);
    let until = secret.not_after.map(tracing::field::display);
    let last_used = secret.last_used.map(tracing::field::display);
    match warning {
        Warning::Ending => tracing::warn!(
            source,
            secret = name,
            not_after = until,
            last_used,
            "a secret that ends soon still verifies webhooks; have the provider sign with the new one before that"
        ),
        Warning::Unused => tracing::warn!(
            source,
            secret = name,
            "a secret has verified no webhook for a week while another one has; if the provider does not sign with it, remove it"
        ),
        Warning::NoneIsGood => tracing::warn!(
            source,
            secret = name,
            not_after = until,
            "no secret of the source is good now by its `not_before` and `not_after`, so every webhook is rejected"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Time {
        Time::from_unix_ms(1_790_000_000_000 + days * DAY_MS).unwrap()
    }

    fn secret(name: &str, not_after: Option<i64>, last_used: Option<i64>) -> SecretState {
        let (not_after, last_used) = (not_after.map(at), last_used.map(at));
        SecretState { name: name.into(), not_before: None, not_after, last_used }
    }

    #[test]
    fn an_old_secret_that_is_still_used_near_its_end_and_an_unused_one_are_warned_of() {
        let warned = |all: &[SecretState], now| {
            let names = all.iter().map(|one| (&*one.name, warning(one, all, at(0), at(now))));
            names.filter_map(|(name, warning)| Some((name.to_owned(), warning?))).collect::<Vec<_>>()
        };
        let of = |name: &str, warning| vec![(name.to_owned(), warning)];
        let old = |last_used| secret("old", Some(20), last_used);
        let new = |last_used| secret("new", None, last_used);
        assert_eq!(warned(&[old(Some(16)), new(Some(16))], 16), [], "four days before the end");
        assert_eq!(warned(&[old(Some(17)), new(Some(17))], 17), of("old", Warning::Ending));
        assert_eq!(warned(&[old(Some(15)), new(Some(17))], 17), [], "it is used no more");
        assert_eq!(warned(&[old(Some(20)), new(Some(20))], 20), [], "it has ended");
        assert_eq!(warned(&[old(Some(6)), new(None)], 6), [], "six days without use");
        assert_eq!(warned(&[old(Some(7)), new(None)], 7), of("new", Warning::Unused));
        assert_eq!(warned(&[new(None)], 30), [], "no webhook came at all");
        assert_eq!(warned(&[old(Some(19))], 20), of("old", Warning::NoneIsGood));
    }

    #[test]
    fn each_secret_is_warned_of_once_a_day() {
        let settings = crate::source::SourceSettings {
            secrets: vec![crate::source::SourceSecret {
                not_after: Some(at(0)),
                .."8f3b1c2d9a7e55aa".into()
            }],
            ..crate::source::SourceSettings::new(
                "acme",
                "generic",
                "shop".parse().unwrap(),
                "8f3b1c2d9a7e55aa".into(),
            )
        };
        let sources = [Arc::new(Source::build(settings).unwrap())];
        let mut watch = SecretWatch::default();
        let mut warned = |days| {
            watch.look(&sources, at(days));
            watch.seen.values().next().unwrap().warned
        };
        assert_eq!([warned(1), warned(1), warned(2)], [Some(at(1)), Some(at(1)), Some(at(2))]);
    }
}
