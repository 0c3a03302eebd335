//! The secrets of a source: from when until when each is good, and when it was last of use.

use crate::payment::Time;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// One of the signing secrets of a source, as its settings give it.
#[derive(Clone, Debug)]
pub struct SourceSecret {
    /// The name by which operators know it, such as the reference in the configuration.
    pub name: Arc<str>,
    /// The secret itself.
    pub text: SecretString,
    /// From when on it is good. `None` if it has been good from the beginning.
    pub not_before: Option<Time>,
    /// When it stops being good. `None` if it has no end.
    pub not_after: Option<Time>,
}

impl SourceSecret {
    /// Returns whether the secret may verify a delivery that is received at a time.
    #[must_use]
    pub fn is_good_at(&self, time: Time) -> bool {
        self.not_before.is_none_or(|first| first <= time) && self.not_after.is_none_or(|end| time < end)
    }

    /// Returns whether another secret is the same text. The time that this takes depends on the lengths alone.
    pub(crate) fn is_same_text(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.text.expose_secret().as_bytes().ct_eq(other.text.expose_secret().as_bytes()).into()
    }
}

impl From<SecretString> for SourceSecret {
    fn from(text: SecretString) -> Self {
        Self { name: "secret".into(), text, not_before: None, not_after: None }
    }
}

impl From<&str> for SourceSecret {
    fn from(text: &str) -> Self {
        SecretString::from(text).into()
    }
}

impl From<String> for SourceSecret {
    fn from(text: String) -> Self {
        SecretString::from(text).into()
    }
}

/// When a secret last verified a delivery. A source that replaces an earlier one after a reload shares it.
#[derive(Debug, Default)]
pub(crate) struct LastUse(AtomicI64);

impl LastUse {
    /// Notes that the secret verified a delivery that was received at a time.
    pub(crate) fn note(&self, at: Time) {
        self.0.fetch_max(at.unix_ms(), Ordering::Relaxed);
    }

    /// Returns the time of the last delivery that the secret verified. `None` if there was none since the process began.
    pub(crate) fn get(&self) -> Option<Time> {
        let ms = self.0.load(Ordering::Relaxed);
        (ms > 0).then(|| Time::from_unix_ms(ms).ok()).flatten()
    }
}

/// What operators are told of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretState {
    /// Its name.
    pub name: Arc<str>,
    /// From when on it is good, if it has a beginning.
    pub not_before: Option<Time>,
    /// When it stops being good, if it has an end.
    pub not_after: Option<Time>,
    /// When it last verified a delivery since the process began.
    pub last_used: Option<Time>,
}

impl SecretState {
    /// Returns whether the secret may verify a delivery that is received at a time.
    #[must_use]
    pub fn is_good_at(&self, time: Time) -> bool {
        self.not_before.is_none_or(|first| first <= time) && self.not_after.is_none_or(|end| time < end)
    }
}
