//! What `doctor` can find wrong with the way to a gateway.

use super::middlebox::Middlebox;
use strum::{EnumIter, IntoStaticStr};

/// One thing that can be wrong. The name of each in snake case is its code in the JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Flaw {
    /// The URL is `http://` and leads off this machine.
    PlainHttp,
    /// Another URL answers for this one.
    Redirect,
    /// The certificate is not for this host.
    CertificateName,
    /// The certificate has expired, or is not valid yet.
    CertificateTime,
    /// The certificate expires within two weeks.
    CertificateExpiresSoon,
    /// No authority that this machine trusts has issued the certificate, or an intermediate certificate is missing.
    CertificateChain,
    /// TLS 1.0 or 1.1 is accepted, or nothing newer is.
    OldTls,
    /// HTTP/2 is not offered over TLS.
    NoHttp2,
    /// The answers are HTTP/1.0.
    Http10,
    /// The proxy asks the gateway over HTTP/1.0.
    Http10Upstream,
    /// The connection is closed after every answer.
    NoKeepalive,
    /// The body of a stream is not delimited as HTTP/1.1 does.
    Framing,
    /// The stream has another content type.
    ContentType,
    /// `Authorization` does not arrive.
    Authorization,
    /// The token in the query does not arrive.
    QueryToken,
    /// The proxy wants a login of its own.
    Login,
    /// A payment is shown without a token.
    Anonymous,
    /// Answers come from a cache, or `Cache-Control` is changed.
    Cache,
    /// The entity tag is lost on the way, there or back.
    Etag,
    /// A request with a long header is refused.
    LongHeader,
    /// A request with a long URL is refused.
    LongUrl,
    /// The stream is compressed.
    Compressed,
    /// `Last-Event-ID` does not arrive.
    LastEventId,
    /// The query's `last_event_id` does not arrive.
    LastEventIdQuery,
    /// The preflight is not answered as the gateway does.
    CorsPreflight,
    /// An answer lacks the headers of CORS.
    CorsAnswer,
    /// An answer has the headers of CORS twice.
    CorsTwice,
    /// The beginning of a stream is held back.
    Buffered,
    /// Heartbeats are held back, so that several arrive at once, or none does.
    Lumps,
    /// A connection is cut because it is idle.
    IdleCut,
    /// A connection is cut after some time, though it is not idle.
    Cut,
}

/// One thing that is wrong here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) flaw: Flaw,
    /// What was measured and what follows from it, in sentences.
    pub(super) says: String,
}

impl Finding {
    pub(super) fn new(flaw: Flaw, says: impl Into<String>) -> Self {
        Self { flaw, says: says.into() }
    }
}

/// All that one run has found out.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    pub(super) findings: Vec<Finding>,
    /// What was tried and is in order, in half a sentence each.
    pub(super) fine: Vec<&'static str>,
    /// What was not asked for, and how to ask for it.
    pub(super) not_asked: Vec<String>,
    /// What could not be tried, and why.
    pub(super) untried: Vec<String>,
    /// The proxies that answers have named.
    pub(super) middleboxes: Vec<Middlebox>,
}

impl Diagnosis {
    /// Notes the proxies that an answer names.
    pub(super) fn meet(&mut self, named: Vec<Middlebox>) {
        self.middleboxes.extend(named);
        self.middleboxes.sort_unstable();
        self.middleboxes.dedup();
    }

    /// Notes the findings of one examination, or that what it looked at is in order if there are none.
    pub(super) fn note(&mut self, findings: Vec<Finding>, in_order: &'static str) {
        if findings.is_empty() {
            self.fine.push(in_order);
        }
        for finding in findings {
            // Several requests may show the same thing. The first one says it.
            if self.findings.iter().all(|known| known.flaw != finding.flaw) {
                self.findings.push(finding);
            }
        }
    }
}

/// Why the examination does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// What was found makes the rest pointless.
    Found,
    /// The gateway was not reached, for this reason.
    Unreached(String),
}
