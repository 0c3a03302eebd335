//! Finds the token in a request: in `Authorization`, in a cookie or in the query.

use super::denied::Denied;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

/// The name of the cookie.
const COOKIE: &str = "paystream_token";

/// The name of the query parameter, which exists because an `EventSource` cannot set headers.
const PARAMETER: &str = "access_token";

/// Returns the token of the first carrier that is present, in the order header, cookie, query. A carrier that is present but
/// cannot be read is an error, so that the request is not admitted by the next carrier or as an anonymous one.
pub(super) fn token(headers: &HeaderMap, query: Option<&str>) -> Result<Option<String>, Denied> {
    if let Some(token) = bearer(headers)? {
        return Ok(Some(token));
    }
    if let Some(token) = cookie(headers)? {
        return Ok(Some(token));
    }
    query.map_or(Ok(None), parameter)
}

/// Reads `Authorization: Bearer`. Other schemes are ignored: a `Basic` password is for a proxy that asked for it.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, Denied> {
    let mut found = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let (scheme, rest) = match value.as_bytes().iter().position(|b| *b == b' ') {
            Some(space) => value.as_bytes().split_at(space),
            None => (value.as_bytes(), &b""[..]),
        };
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            continue;
        }
        let token = std::str::from_utf8(rest).map_err(|_| Denied::MalformedToken)?.trim();
        if found.replace(token.to_owned()).is_some() {
            return Err(Denied::MalformedToken);
        }
    }
    Ok(found)
}

/// Reads the first cookie of the name, since browsers send the cookie with the most specific path first.
fn cookie(headers: &HeaderMap) -> Result<Option<String>, Denied> {
    for value in headers.get_all(header::COOKIE) {
        for pair in value.as_bytes().split(|b| *b == b';') {
            let Some(token) = pair.trim_ascii().strip_prefix(COOKIE.as_bytes()) else { continue };
            let Some(token) = token.trim_ascii_start().strip_prefix(b"=") else { continue };
            let token = std::str::from_utf8(token).map_err(|_| Denied::MalformedToken)?;
            return Ok(Some(token.trim().trim_matches('"').to_owned()));
        }
    }
    Ok(None)
}

/// Reads the first query parameter of the name.
fn parameter(query: &str) -> Result<Option<String>, Denied> {
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode_str(name).eq(PARAMETER.bytes()) {
            let token = percent_decode_str(value).decode_utf8().map_err(|_| Denied::MalformedToken)?;
            return Ok(Some(token.into_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn find(headers: &[(&'static str, &[u8])], query: Option<&str>) -> Result<Option<String>, Denied> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        token(&map, query)
    }

    #[test]
    fn a_token_is_found_in_each_carrier() {
        for (headers, query, expected) in [
            (&[("authorization", &b"Bearer a.b.c"[..])][..], None, "a.b.c"),
            (&[("authorization", b"bearer   a.b.c ")], None, "a.b.c"),
            (&[("cookie", b"paystream_token=a.b.c")], None, "a.b.c"),
            (&[("cookie", b"x=1; paystream_token=a.b.c; y=2")], None, "a.b.c"),
            (&[("cookie", b"x=1"), ("cookie", b"paystream_token=\"a.b.c\"")], None, "a.b.c"),
            (&[("cookie", b"paystream_token=a.b.c; paystream_token=d")], None, "a.b.c"),
            (&[], Some("access_token=a.b.c"), "a.b.c"),
            (&[], Some("x=1&access_token=a%2Eb%2ec&y"), "a.b.c"),
            (&[], Some("acces%73_token=a.b.c"), "a.b.c"),
            (&[("authorization", b"Basic dTpw")], Some("access_token=a.b.c"), "a.b.c"),
            (&[("authorization", b"Basic dTpw"), ("authorization", b"Bearer a.b.c")], None, "a.b.c"),
        ] {
            assert_eq!(find(headers, query), Ok(Some(expected.to_owned())), "{headers:?} {query:?}");
        }
    }

    #[test]
    fn header_wins_over_cookie_and_cookie_over_query() {
        let header = ("authorization", &b"Bearer h"[..]);
        let cookie = ("cookie", &b"paystream_token=c"[..]);
        assert_eq!(find(&[cookie, header], Some("access_token=q")), Ok(Some("h".to_owned())));
        assert_eq!(find(&[cookie], Some("access_token=q")), Ok(Some("c".to_owned())));
    }

    #[test]
    fn an_empty_carrier_is_present() {
        for (headers, query) in [
            (&[("authorization", &b"Bearer"[..])][..], None),
            (&[("authorization", b"Bearer ")], None),
            (&[("cookie", b"paystream_token=")], None),
            (&[], Some("access_token=")),
            (&[], Some("access_token")),
        ] {
            assert_eq!(find(headers, query), Ok(Some(String::new())), "{headers:?} {query:?}");
        }
    }

    #[test]
    fn unreadable_carriers_are_refused_not_passed_over() {
        for (headers, query) in [
            (&[("authorization", &b"Bearer \xff"[..])][..], Some("access_token=good")),
            (&[("authorization", b"Bearer a"), ("authorization", b"Bearer b")], None),
            (&[("cookie", b"paystream_token=\xff")], Some("access_token=good")),
            (&[], Some("access_token=%ff")),
        ] {
            assert_eq!(find(headers, query), Err(Denied::MalformedToken), "{headers:?} {query:?}");
        }
    }

    #[test]
    fn other_names_are_no_carriers() {
        for (headers, query) in [
            (&[("authorization", &b"Basic dTpw"[..])][..], None),
            (&[("authorization", b"Bearertoken")], None),
            (&[("cookie", b"paystream_token2=a; xpaystream_token=b; paystream_token")], None),
            (&[], Some("token=a&access_tokens=b&xaccess_token=c")),
            (&[], Some("")),
        ] {
            assert_eq!(find(headers, query), Ok(None), "{headers:?} {query:?}");
        }
    }
}
