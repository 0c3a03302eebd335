//! The receiver of `paystream listen`: it takes the deliveries of one source, verifies them as a gateway would, and passes those that
//! are verified on to a local program. It stores nothing.
//!
//! The deliveries come from the provider itself, through a tunnel, or from `trigger`. Those of a running gateway cannot be followed
//! instead, because a gateway keeps no bodies.

use crate::{
    clock,
    http::{
        self, Entrance, Places,
        relay::{Relay, RelayAnswer, WholeRequest},
    },
    limits::Limits,
    live::Live,
    metrics::Metrics,
    payment::Time,
    shutdown::Shutdown,
    source::{Examined, NotVerified, Rates, Source},
};
use ::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, RETRY_AFTER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Url};
use std::{
    error::Error,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::Semaphore};

/// How long the local program may take to answer. A person with a debugger is slower than any provider waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer of the local program that is passed on, in bytes. Providers read a word at most.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The most deliveries that are passed on at once. More are answered with 503, and the provider sends them again.
const MAX_AT_ONCE: usize = 32;

/// The most connections that are open at once.
const MAX_CONNECTIONS: usize = 256;

/// The most refused deliveries of one second that are reported. A stranger who finds the address must not fill the terminal.
const MAX_REFUSALS_PER_SECOND: u32 = 10;

/// The headers of a connection, which are not passed on. The length is written anew, and the host is that of the local program.
const HOP_BY_HOP: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The headers of the local program's answer that the provider may need.
const ANSWERED: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, RETRY_AFTER];

/// Where verified deliveries go.
pub(crate) struct ForwardTo {
    /// The address of the local program.
    pub(crate) url: Url,
    /// The client that posts to it.
    pub(crate) client: Client,
}

/// What became of a delivery.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// When the delivery came.
    pub(crate) at: Time,
    /// What became of it.
    pub(crate) fate: RelayFate,
}

/// What became of a delivery.
#[derive(Debug)]
pub(crate) enum RelayFate {
    /// It is not verified. So many before it were refused without a report.
    Refused(NotVerified, u64),
    /// It is verified, and there is no local program.
    Taken(Vec<Examined>),
    /// It is verified, and the local program has answered it in so much time.
    Forwarded(Vec<Examined>, StatusCode, Duration),
    /// It is verified, and the local program has not answered: why.
    Unanswered(Vec<Examined>, String),
    /// Too many deliveries are being passed on.
    Busy,
}

/// A receiver whose socket is open.
pub(crate) struct Receiver {
    /// The address at which it takes deliveries.
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    limits: Limits,
}

impl Receiver {
    /// Opens the socket. Deliveries wait until [`Receiver::run`].
    pub(crate) fn bind(address: SocketAddr, limits: Limits) -> std::io::Result<Self> {
        let listener = http::bind(address, &limits)?;
        Ok(Self { address: listener.local_addr()?, listener, limits })
    }

    /// Takes the deliveries of `source`, and reports each, until `ended` returns.
    pub(crate) async fn run(
        self,
        source: Source,
        forward_to: Option<ForwardTo>,
        report: impl Fn(Relayed) + Send + Sync + 'static,
        ended: impl Future<Output = ()>,
    ) {
        let limits = self.limits;
        let places = Semaphore::new(MAX_AT_ONCE);
        let relay = LocalRelay {
            source,
            forward_to,
            json_depth: limits.json_depth,
            places,
            report: Box::new(report),
        };
        let router = http::finish(http::relay::routes(Arc::new(relay), limits));
        let (metrics, shutdown) = (Arc::new(Metrics::new()), Shutdown::default());
        let places = Places::new(MAX_CONNECTIONS, 0);
        let entrance =
            Entrance::new("ingest", MAX_CONNECTIONS, places, Arc::default(), false, Arc::clone(&metrics));
        let served =
            http::serve(self.listener, router, entrance, None, Live::new(limits), metrics, shutdown.clone());
        let mut served = pin!(served);
        tokio::select! {
            () = &mut served => return,
            () = ended => shutdown.stop(),
        }
        served.await;
    }
}

/// Verifies deliveries, and passes them on.
struct LocalRelay {
    source: Source,
    forward_to: Option<ForwardTo>,
    json_depth: usize,
    places: Semaphore,
    report: Box<dyn Fn(Relayed) + Send + Sync>,
}

#[async_trait::async_trait]
impl Relay for LocalRelay {
    fn source(&self) -> &str {
        self.source.name()
    }

    fn challenged(&self, query: &str) -> Option<String> {
        self.source.answer(query, clock::now())
    }

    async fn take(&self, delivery: WholeRequest) -> RelayAnswer {
        let at = clock::now();
        let Ok(_place) = self.places.try_acquire() else {
            (self.report)(Relayed { at, fate: RelayFate::Busy });
            return says(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too much is being delivered at once; send it again.",
            );
        };
        let WholeRequest { headers, query, body, peer } = &delivery;
        match self.source.examine(headers, query, body, at, *peer, self.json_depth).await {
            Err(refused) => self.refuse(at, refused),
            Ok(events) => self.pass_on(at, events, delivery).await,
        }
    }
}

impl LocalRelay {
    fn refuse(&self, at: Time, refused: NotVerified) -> RelayAnswer {
        let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::UNAUTHORIZED);
        let rates = Rates { all: MAX_REFUSALS_PER_SECOND, peer: MAX_REFUSALS_PER_SECOND };
        match self.source.admit_unproven(None, rates, Instant::now()) {
            Ok(unreported) => {
                let answer = says(status, refused.detail);
                (self.report)(Relayed { at, fate: RelayFate::Refused(refused, unreported) });
                answer
            }
            Err(_) => says(StatusCode::TOO_MANY_REQUESTS, "Too many deliveries had no valid signature."),
        }
    }

    async fn pass_on(&self, at: Time, events: Vec<Examined>, delivery: WholeRequest) -> RelayAnswer {
        let Some(forward_to) = &self.forward_to else {
            (self.report)(Relayed { at, fate: RelayFate::Taken(events) });
            return says(StatusCode::OK, "taken");
        };
        let begun = Instant::now();
        let (fate, answer) = match forward_to.post(delivery).await {
            Ok(answer) => (RelayFate::Forwarded(events, answer.status, begun.elapsed()), answer),
            Err(why) => {
                let answer =
                    says(StatusCode::BAD_GATEWAY, "The local program does not answer; send it again.");
                (RelayFate::Unanswered(events, why), answer)
            }
        };
        (self.report)(Relayed { at, fate });
        answer
    }
}

impl ForwardTo {
    /// Posts a delivery with its body, its query and its headers, and returns the answer. The error says in words what went wrong; it
    /// does not hold the query, which may hold a secret.
    async fn post(&self, delivery: WholeRequest) -> Result<RelayAnswer, String> {
        let WholeRequest { headers, query, body, .. } = delivery;
        let mut url = self.url.clone();
        let own = url.query().map(str::to_owned);
        match (own, query.as_str()) {
            (_, "") => {}
            (None, theirs) => url.set_query(Some(theirs)),
            (Some(own), theirs) => url.set_query(Some(&format!("{own}&{theirs}"))),
        }
        let sent =
            self.client.post(url).timeout(ANSWER_TIMEOUT).headers(end_to_end(headers)).body(body).send();
        let in_words = |error: reqwest::Error| {
            let error = error.without_url();
            let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
            let causes: String = causes.map(|cause| format!(": {cause}")).collect();
            format!("{error}{causes}")
        };
        let mut answer = sent.await.map_err(in_words)?;
        let status = answer.status();
        let known = |name: HeaderName| Some((name.clone(), answer.headers().get(name)?.clone()));
        let headers: HeaderMap = ANSWERED.into_iter().filter_map(known).collect();
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(in_words)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                // The status is what counts for a provider.
                return Ok(RelayAnswer { status, headers: HeaderMap::new(), body: Bytes::new() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(RelayAnswer { status, headers, body: body.freeze() })
    }
}

/// Leaves out the headers that belong to the connection alone, and those that `Connection` names.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers
}

fn says(status: StatusCode, words: &'static str) -> RelayAnswer {
    let text = (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    RelayAnswer { status, headers: HeaderMap::from_iter([text]), body: Bytes::from_static(words.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_alone_is_not_passed_on() {
        let headers = [
            ("stripe-signature", "t=1,v1=a"),
            ("content-type", "application/json"),
            ("host", "shop.example"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("x-twice", "1"),
            ("x-twice", "2"),
        ];
        let headers =
            headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let kept = end_to_end(HeaderMap::from_iter(headers));
        let mut names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "stripe-signature", "x-twice", "x-twice"]);
    }
}
