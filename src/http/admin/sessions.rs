//! The sessions of the console: who has signed in with an operator's token, so that the browser need not keep the token.
//!
//! A session is a random value in a cookie that no script can read. Here only the hash of the value is kept, with the operator, who is
//! looked up again at each request: a reload that removes a token or changes its role counts from the next request on. Sessions are in
//! memory alone, so they end with the process.

use crate::{
    access::{Operator, Operators},
    clock,
    payment::Time,
};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a session lasts at most: a working day and some hours.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// How long a session lasts that is not used. An open page uses it every few seconds.
const UNUSED: Duration = Duration::from_secs(3600);

/// The most sessions of one operator. There are at most 64 operators, so this bounds them all, at about 200 bytes each.
const PER_OPERATOR: usize = 16;

/// The cookie of a browser that reaches the listener over TLS. By the prefix, browsers take it only from a secure answer and for this host.
const SECURE_COOKIE: &str = "__Host-paystream_console";

/// The cookie of a browser that reaches the listener without TLS, where the other one is not allowed.
const PLAIN_COOKIE: &str = "paystream_console";

/// The sessions that are open.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<SessionKey, Session>>,
}

/// The SHA-256 of a session's value: looking it up takes a time that says nothing about the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SessionKey([u8; 32]);

struct Session {
    operator: Operator,
    begun: Instant,
    used: Instant,
    ends_at: Time,
}

/// A session by which a request is sent.
#[derive(Clone)]
pub(super) struct SignedIn {
    sessions: Arc<Sessions>,
    key: SessionKey,
    /// When the session ends, however much it is used.
    pub(super) ends_at: Time,
}

/// A session that has just begun.
pub(super) struct NewSession {
    /// What the browser keeps.
    pub(super) value: String,
    /// When the session ends.
    pub(super) ends_at: Time,
    /// Whether the operator's oldest session was ended to make room.
    pub(super) has_displaced: bool,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now - self.begun >= LONGEST || now - self.used >= UNUSED
    }
}

impl Sessions {
    /// Begins a session. If the operator has as many as it may have, the oldest of them ends.
    pub(super) fn begin(&self, operator: Operator) -> NewSession {
        let value = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let (now, mut open) = (Instant::now(), self.lock());
        open.retain(|_, session| !session.is_over(now));
        let mut own: Vec<(Instant, SessionKey)> = open
            .iter()
            .filter(|(_, session)| session.operator.name == operator.name)
            .map(|(key, session)| (session.begun, *key))
            .collect();
        own.sort_unstable_by_key(|(begun, _)| *begun);
        let surplus = (own.len() + 1).saturating_sub(PER_OPERATOR);
        for (_, key) in own.iter().take(surplus) {
            open.remove(key);
        }
        let left_ms = i64::try_from(LONGEST.as_millis()).unwrap_or_default();
        let ends_at = Time::from_unix_ms(clock::now().unix_ms() + left_ms).unwrap_or_default();
        open.insert(SessionKey::of(&value), Session { operator, begun: now, used: now, ends_at });
        NewSession { value, ends_at, has_displaced: surplus > 0 }
    }

    /// The operator, as it is now, whose session a request's cookie names, and the session. A session whose operator is gone ends.
    pub(super) fn of(
        self: &Arc<Self>,
        (headers, port): (&HeaderMap, &str),
        operators: &Operators,
    ) -> Option<(Operator, SignedIn)> {
        let key = SessionKey::of(&cookie(headers, port)?);
        let (now, mut open) = (Instant::now(), self.lock());
        let session = open.get_mut(&key)?;
        let operator = operators.present(&session.operator).filter(|_| !session.is_over(now));
        let Some(operator) = operator else {
            open.remove(&key);
            return None;
        };
        session.used = now;
        let signed_in = SignedIn { sessions: Arc::clone(self), key, ends_at: session.ends_at };
        Some((operator, signed_in))
    }

    /// Ends the session that a request's cookie names, if there is one.
    pub(super) fn end(&self, headers: &HeaderMap, port: &str) {
        if let Some(value) = cookie(headers, port) {
            self.lock().remove(&SessionKey::of(&value));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionKey {
    fn of(value: &str) -> Self {
        Self(Sha256::digest(value).into())
    }
}

impl SignedIn {
    /// Whether the session is still open, for answers that take long. An answer that is being read keeps it from ending unused.
    pub(super) fn stands(&self) -> bool {
        let (now, mut open) = (Instant::now(), self.sessions.lock());
        let session = open.get_mut(&self.key).filter(|session| !session.is_over(now));
        session.is_some_and(|session| {
            session.used = now;
            true
        })
    }
}

/// Whether a request has a cookie of the console, be the session open or not.
pub(super) fn has_cookie(headers: &HeaderMap, port: &str) -> bool {
    cookie(headers, port).is_some()
}

/// The value of the cookie of the console at this port. If there is one that only a secure answer can have set, the other one does not count.
fn cookie(headers: &HeaderMap, port: &str) -> Option<String> {
    let texts: Vec<&str> =
        headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
    let pairs =
        || texts.iter().flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let named = |wanted: &str| pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
    named(&format!("{SECURE_COOKIE}{port}")).or_else(|| named(&format!("{PLAIN_COOKIE}{port}")))
}

/// The header that makes a browser keep a session. Without TLS the cookie is sent to the operators' routes alone.
pub(super) fn keep(value: &str, port: &str, is_secure: bool) -> HeaderValue {
    let text = match is_secure {
        true => format!("{SECURE_COOKIE}{port}={value}; Path=/; Secure; HttpOnly; SameSite=Strict"),
        false => format!("{PLAIN_COOKIE}{port}={value}; Path=/admin; HttpOnly; SameSite=Strict"),
    };
    // The value is base64, which every header can hold.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The headers that make a browser forget a session.
pub(super) fn forget(port: &str) -> [HeaderValue; 2] {
    [true, false].map(|is_secure| {
        let kept = keep("", port, is_secure);
        let text = kept.to_str().map(|text| format!("{text}; Max-Age=0")).unwrap_or_default();
        HeaderValue::try_from(text).unwrap_or(kept)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::OperatorRole;
    use tokio::time::advance;

    fn operators(role: OperatorRole, token: &str) -> Operators {
        let mut operators = Operators::default();
        operators.add("ann", role, &token.into()).unwrap();
        operators
    }

    fn sent(value: &str) -> HeaderMap {
        let pair = format!("theme=dark; {PLAIN_COOKIE}={value}");
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(pair).unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_a_day_of_work_or_an_hour_without_use() {
        let (sessions, operators) = (Arc::new(Sessions::default()), operators(OperatorRole::Write, "t"));
        let ann = operators.who_has(b"t").unwrap();
        let used = sent(&sessions.begin(ann.clone()).value);
        let unused = sent(&sessions.begin(ann).value);
        for _ in 0..12 {
            assert!(sessions.of((&used, ""), &operators).is_some());
            advance(UNUSED - Duration::from_secs(1)).await;
        }
        assert!(sessions.of((&unused, ""), &operators).is_none(), "an hour without use");
        let (_, signed_in) = sessions.of((&used, ""), &operators).unwrap();
        advance(Duration::from_secs(12)).await;
        assert!(
            !signed_in.stands() && sessions.of((&used, ""), &operators).is_none(),
            "however much it is used"
        );
        assert!(sessions.lock().is_empty(), "nothing is kept of them");
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_has_only_so_many_sessions_and_the_oldest_ends() {
        let (sessions, mut operators) = (Arc::new(Sessions::default()), operators(OperatorRole::Write, "t"));
        operators.add("bob", OperatorRole::Read, &"u".into()).unwrap();
        let (ann, bob) = (operators.who_has(b"t").unwrap(), operators.who_has(b"u").unwrap());
        let of_bob = sessions.begin(bob);
        let mut begun = Vec::new();
        for number in 0..PER_OPERATOR + 3 {
            advance(Duration::from_secs(1)).await;
            let session = sessions.begin(ann.clone());
            assert_eq!(session.has_displaced, number >= PER_OPERATOR);
            begun.push(session);
        }
        let is_open = |session: &NewSession| sessions.of((&sent(&session.value), ""), &operators).is_some();
        assert_eq!(begun.iter().filter(|session| is_open(session)).count(), PER_OPERATOR);
        assert!(!is_open(&begun[2]) && is_open(&begun[3]) && is_open(&of_bob));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_that_of_the_operator_as_it_is_now() {
        let (sessions, before) = (Arc::new(Sessions::default()), operators(OperatorRole::Write, "t"));
        let session = sent(&sessions.begin(before.who_has(b"t").unwrap()).value);
        let (operator, _) = sessions.of((&session, ""), &operators(OperatorRole::Read, "t")).unwrap();
        assert_eq!(operator.role, OperatorRole::Read);
        assert!(sessions.of((&session, ""), &operators(OperatorRole::Read, "another")).is_none());
        assert!(sessions.of((&session, ""), &before).is_none(), "it has ended, and does not come back");
    }

    #[test]
    fn the_cookie_that_only_tls_can_set_goes_first() {
        let cookies = format!("{PLAIN_COOKIE}=planted; {SECURE_COOKIE}=own");
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookies).unwrap())]);
        assert_eq!(cookie(&headers, "").as_deref(), Some("own"));
        assert_eq!(cookie(&headers, "_9090"), None, "that of another port");
        assert_eq!(cookie(&HeaderMap::new(), ""), None);
    }
}
