//! Reads what a request for a stream or a snapshot asks for: the payments, the cursor, the client's preferences.
//!
//! It only reads the request. Whether the client may see a payment is decided elsewhere.

use super::{problem::Problem, service::Arrival, standings::Authority};
use crate::payment::{ALL_PAYMENTS, EVENTS, Name};
use axum::{
    extract::Query,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use headers::{HeaderMapExt as _, IfNoneMatch};
use std::{borrow::Cow, time::Duration};

/// The head of a request, with its query decoded.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// Who asks. `None` where the request did not come over a connection of the gateway.
    pub(super) arrival: Option<Arrival>,
    /// What an operator may see, who needs no token. `None` on the public listener.
    pub(super) authority: Option<Authority>,
    uri: Uri,
    /// The pairs of the query, in the order of the request.
    parameters: Vec<(String, String)>,
}

impl From<Parts> for Asked {
    fn from(head: Parts) -> Self {
        // Any query can be read as pairs, so the default is used only for a request without a query.
        let Query(parameters) = Query::try_from_uri(&head.uri).unwrap_or_default();
        let arrival = head.extensions.get().copied();
        let authority = head.extensions.get().cloned();
        Self { method: head.method, headers: head.headers, arrival, authority, uri: head.uri, parameters }
    }
}

impl Asked {
    /// The query as it was sent, still encoded.
    pub(super) fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The host and the port that the request is for, where the request itself names them, as over HTTP/2.
    pub(super) fn authority(&self) -> Option<&str> {
        self.uri.authority().map(axum::http::uri::Authority::as_str)
    }

    /// The names of the query's parameters.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }

    /// All values of a query parameter.
    pub(super) fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the parameter `name` is present. It may only have the one `value`; another one is an error.
    pub(super) fn flag(&self, name: &'static str, value: &'static str) -> Result<bool, Problem> {
        let mut given = self.parameters(name).peekable();
        let present = given.peek().is_some();
        if given.all(|given| given == value) {
            Ok(present)
        } else {
            Err(Problem::bad_request("bad_parameter", format!("`{name}` can only be `{value}`")))
        }
    }

    /// The cursor of the last entry that the client saw, not checked yet: the header, which browsers send when they
    /// reconnect, or else the query, for clients that open a new stream. An empty cursor counts as none.
    pub(super) fn cursor(&self) -> Option<String> {
        let header = self.headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()));
        header
            .as_deref()
            .into_iter()
            .chain(self.parameters("last_event_id"))
            .chain(self.parameters("lastEventId"))
            .find(|cursor| !cursor.is_empty())
            .map(ToOwned::to_owned)
    }

    /// Whether the client accepts `text/event-stream`. A client that does not say what it accepts does.
    pub(super) fn takes_events(&self) -> bool {
        let mut accepted = self.headers.get_all(header::ACCEPT).iter().peekable();
        accepted.peek().is_none()
            || accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
                |range| {
                    let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                    matches!(range.as_str(), "text/event-stream" | "text/*" | "*/*")
                },
            )
    }

    /// Whether the client names `text/event-stream` among what it accepts.
    pub(super) fn wants_events(&self) -> bool {
        let accepted = self.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        accepted.flat_map(|value| value.split(',')).any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range.eq_ignore_ascii_case("text/event-stream")
        })
    }

    /// The value of `If-None-Match` (RFC 9110, section 13.1.2).
    pub(super) fn if_none_match(&self) -> Option<IfNoneMatch> {
        self.headers.typed_get()
    }

    /// The wait of `Prefer: wait=N` (RFC 7240), where N is in whole seconds. A value that is no number is ignored.
    pub(super) fn wait(&self) -> Option<Duration> {
        let preferences = self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        preferences
            .flat_map(|value| value.split([',', ';']))
            .filter_map(|preference| preference.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
            .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
            .map(Duration::from_secs)
    }
}

/// Reads a payment id. `*` is not accepted: in an operator's token it stands for all payments, so a client that asked for it
/// would wait for ever for news of all payments.
pub(super) fn payment(id: &str) -> Result<Name, Problem> {
    if id == ALL_PAYMENTS {
        return Err(bad_payment(
            "`*` stands for all payments in an operator's token, and is no payment's id; name one",
        ));
    }
    if id == EVENTS {
        return Err(bad_payment(
            "`events` is no payment's id: /v1/payments/events is the stream of all payments; name a payment",
        ));
    }
    id.parse().map_err(|error| bad_payment(format!("the payment id is not valid: {error}")))
}

/// Reads the payment ids of one stream: at least one, at most `most`, and none of them twice.
pub(super) fn payments<'a>(ids: impl Iterator<Item = &'a str>, most: usize) -> Result<Vec<Name>, Problem> {
    let mut payments = Vec::new();
    for id in ids {
        let id = payment(id)?;
        if payments.contains(&id) {
            return Err(bad_payment("a payment is named twice"));
        }
        if payments.len() == most {
            return Err(bad_payment(format!("one stream carries at most {most} payments")));
        }
        payments.push(id);
    }
    if payments.is_empty() {
        return Err(bad_payment("name a payment: ?payment=…"));
    }
    Ok(payments)
}

fn bad_payment(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::bad_request("bad_payment", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn asked(uri: &str, headers: &[(&str, &str)]) -> Asked {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0.into()
    }

    #[test]
    fn the_cursor_is_the_header_else_the_query() {
        let header = [("last-event-id", "h-1")];
        for (uri, headers, cursor) in [
            ("/", &[] as &[_], None),
            ("/", &header, Some("h-1")),
            ("/?last_event_id=q-1&lastEventId=q-2", &header, Some("h-1")),
            ("/?lastEventId=q-2&last_event_id=q-1", &[], Some("q-1")),
            ("/?lastEventId=q%2D2", &[], Some("q-2")),
            ("/?last_event_id=", &[("last-event-id", "")], None),
            ("/?last_event_id=%FF%00", &[], Some("\u{fffd}\0")),
        ] {
            assert_eq!(asked(uri, headers).cursor().as_deref(), cursor, "{uri} {headers:?}");
        }
    }

    #[test]
    fn a_stream_is_refused_only_to_those_who_say_they_cannot_read_it() {
        for (accept, takes) in [
            (None, true),
            (Some("text/event-stream"), true),
            (Some("application/json, text/plain, */*"), true),
            (Some("TEXT/*;q=0.5"), true),
            (Some("application/json"), false),
            (Some("text/html,application/xml;q=0.9"), false),
        ] {
            let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
            assert_eq!(asked("/", &headers).takes_events(), takes, "{accept:?}");
        }
    }

    #[test]
    fn the_preferred_wait_is_read_among_other_preferences() {
        for (prefer, seconds) in [
            ("wait=30", Some(30)),
            ("respond-async, WAIT = \"5\"; foo", Some(5)),
            ("wait=soon", None),
            ("wait", None),
            ("return=minimal", None),
        ] {
            assert_eq!(
                asked("/", &[("prefer", prefer)]).wait().map(|wait| wait.as_secs()),
                seconds,
                "{prefer}"
            );
        }
    }

    #[test]
    fn payments_are_checked_for_form_number_and_repetition() {
        let check = |uri: &str| payments(asked(uri, &[]).parameters("payment"), 2).map(|ids| ids.len()).ok();
        assert_eq!(check("/?payment=a"), Some(1));
        assert_eq!(check("/?payment=a&x=1&payment=b%2Fc"), Some(2));
        for refused in [
            "/",
            "/?payment=",
            "/?payment=a&payment=a",
            "/?payment=a&payment=b&payment=c",
            "/?payment=%0A",
            "/?payment=*",
            "/?payment=%2A",
            "/?payment=events",
        ] {
            assert_eq!(check(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_flag_has_one_value() {
        let check = |uri: &str| asked(uri, &[]).flag("until", "finished").ok();
        assert_eq!(check("/"), Some(false));
        assert_eq!(check("/?until=finished"), Some(true));
        assert_eq!(check("/?until=never"), None);
    }
}
