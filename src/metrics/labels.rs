//! The label sets of the metrics, and the closed sets of words that appear in them. Each word is the variant's name in snake case.
//!
//! Renaming a variant renames a label value that operators may query; a test shows all values.

use prometheus_client::encoding::EncodeLabelSet;
use strum::{IntoStaticStr, VariantArray};

/// Labels of an event's outcome.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct EventLabels {
    /// The name of the source.
    pub source: String,
    /// `accepted`, `duplicate`, `ignored`, `waiting`, `quarantined`, `rejected` or `deferred`.
    pub outcome: &'static str,
    /// The reason code; empty if the outcome needs none.
    pub reason: &'static str,
}

/// One label from a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ReasonLabel {
    /// The word.
    pub reason: &'static str,
}

/// Labels of a look-up's outcome.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ConfirmationLabels {
    /// The name of the source.
    pub source: String,
    /// The word of a [`ConfirmationOutcome`].
    pub outcome: &'static str,
}

/// The label of a metric that each source has once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct SourceLabel {
    /// The name of the source.
    pub source: String,
}

/// The server of a store that has several, or one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ServerLabel {
    /// Host and port.
    pub server: String,
}

/// The labels of the faults of each server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(super) struct ServerFaultLabels {
    /// Host and port.
    pub(super) server: String,
    /// A word of [`StoreFault`].
    pub(super) reason: &'static str,
}

/// The label of a metric that each listener has once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ListenerLabel {
    /// `public`, `ingest` or `admin`.
    pub listener: &'static str,
}

/// The outcome of one question to a provider about a payment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ConfirmationOutcome {
    /// The answer was new and is appended.
    Appended,
    /// The answer repeats the last one.
    Same,
    /// The provider's API is down, or cannot be reached.
    Unavailable,
    /// The provider's rate limit is exceeded.
    Throttled,
    /// The provider refuses the credentials.
    Denied,
    /// The provider does not know the payment.
    Unknown,
    /// The answer does not fit the preset.
    Unclear,
    /// The confirmation is given up, because the answer does not fit the preset or the payment's log.
    Quarantined,
    /// The confirmation is given up, because it was pending for too long.
    GivenUp,
    /// The store failed.
    Store,
}

impl ConfirmationOutcome {
    /// The word for metrics and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What became of a label that an event names, unless it is known already.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum LabelOutcome {
    /// It points at the payment now.
    Bound,
    /// It was written again, so that it lives as long as its payments.
    Renewed,
    /// It points at as many payments as it may, so this one is not found by it.
    Full,
    /// Its id breaks the rules of ids, may be a card number, or is one too many.
    LeftOut,
}

/// What became of a part that an event names and that was not known, or of an event that names a part alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum PartOutcome {
    /// The part belongs to the payment now.
    Bound,
    /// It was written again, so that it lives as long as its payment.
    Renewed,
    /// It belongs to as many payments as it may.
    Full,
    /// The event waits, since nobody knows the payment yet.
    Waiting,
    /// The event that waited has found its payment.
    HandedOver,
    /// The event waited for too long and is quarantined.
    GivenUp,
}

/// How a stream, or one payment of it, was opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ResumeKind {
    /// The client sent no cursor and got a snapshot.
    Fresh,
    /// The client got the events after its cursor.
    Exact,
    /// The client's cursor was that of the last event, so there was nothing to send.
    Ready,
    /// The client got a snapshot, because the payment's log is empty: its history has expired.
    Evicted,
    /// The client got a snapshot, because its cursor is not one of the payment's log.
    UnknownCursor,
    /// The client got a snapshot, because the log lost events that the client had seen.
    RolledBack,
    /// The client got a snapshot, because the payment was erased.
    Erased,
    /// The client got a snapshot of the payment that the label points at.
    Label,
}

impl ResumeKind {
    /// The word for metrics and for the `reason` of a snapshot.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Why a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    /// The client closed it or was lost.
    Gone,
    /// The node is draining.
    Drain,
    /// The stream reached its maximum age.
    MaxAge,
    /// The token expired, or its key was removed.
    TokenExpired,
    /// The node was overloaded, or lost its store.
    Overload,
    /// The client did not read for too long.
    Stalled,
    /// The payment is finished, and the client asked for the end.
    Finished,
    /// An operator ended it.
    Operator,
}

/// Why the hub read feeds or logs instead of relying on notices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum HealCause {
    /// A notice did not continue its partition's chain.
    Gap,
    /// The hub fell behind and notices were dropped.
    Lagged,
    /// The store renewed its subscription.
    Interrupted,
    /// The feed was ahead of the notices although the subscription stood.
    Deaf,
    /// The feed went back, as after a failover.
    RolledBack,
    /// The subscription was renewed on another server. One heal of all partitions.
    Elsewhere,
}

/// A fault of the connections to a Redis store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum StoreFault {
    /// No connection could be opened.
    Connect,
    /// A connection broke, or its server did not answer in time.
    Lost,
    /// The subscription to notices broke, or no notices came through it.
    Deaf,
    /// A notice could not be read.
    BadNotice,
    /// Too few replicas acknowledged a write.
    Replicas,
    /// A server of a cluster sent a command to another one.
    Redirected,
    /// A slot of a cluster got another primary, or a group another one.
    Topology,
}

/// Why a stream or a snapshot was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RefusalReason {
    /// The request carries no token.
    MissingToken,
    /// The token is not a JWT, or it is too long.
    MalformedToken,
    /// The token names no key, and several keys have its algorithm.
    MissingKid,
    /// No key has the name that the token states.
    UnknownKey,
    /// The token's algorithm is not that of its key.
    WrongAlgorithm,
    /// The token was forged, damaged, or signed with another key of the same name.
    BadSignature,
    /// A claim is missing or has the wrong shape.
    BadClaim,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    NotYetValid,
    /// The token's lifetime is too long.
    LifetimeTooLong,
    /// The token ends before it begins.
    NeverValid,
    /// The token is for another audience.
    WrongAudience,
    /// The token's key may not sign for its realm.
    RealmNotAllowed,
    /// The token's key may not sign for all payments.
    OperatorNotAllowed,
    /// The token does not grant the payment.
    Forbidden,
    /// The node is draining.
    Drain,
    /// The node has as many streams as it may have.
    Overload,
    /// The store did not answer in time.
    Store,
}

/// Why the admin listener refused a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum AdminRefusal {
    /// No admin token is configured, so the operators' routes are closed.
    Closed,
    /// The request is for a host that is not one of this gateway's.
    Host,
    /// The request carries no token.
    MissingToken,
    /// The token is for reading alone, and the request changes something.
    ReadOnly,
    /// The token is not that of an operator.
    WrongToken,
}

/// How a connection to a listener with TLS began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum HandshakeOutcome {
    /// By a whole handshake.
    Full,
    /// By a shorter handshake, with a ticket of an earlier one.
    Resumed,
    /// The handshake failed: no common version or cipher, a certificate that is missing or not accepted, a broken message.
    Failed,
    /// The client spoke HTTP without TLS.
    PlainHttp,
}

/// The label of the metrics of one certificate: the first name that it is for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct CertificateLabel {
    /// The name, such as `pay.example`.
    pub certificate: String,
}

/// What asked for a reload of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ReloadCause {
    /// The signal SIGHUP.
    Signal,
    /// A file that holds a secret changed.
    SecretFile,
}

/// How a reload ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ReloadOutcome {
    /// The new configuration is in use.
    Done,
    /// It has a mistake, so the old one stays in use.
    Refused,
}

/// Labels of a reload.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ReloadLabels {
    /// The word of a [`ReloadCause`].
    pub cause: &'static str,
    /// The word of a [`ReloadOutcome`].
    pub outcome: &'static str,
}

impl ReloadLabels {
    pub(super) fn new(cause: ReloadCause, outcome: ReloadOutcome) -> Self {
        Self { cause: cause.into(), outcome: outcome.into() }
    }
}
