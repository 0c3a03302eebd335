//! Places: where a text is found in a delivery, or in the configuration of its source.
//!
//! Presets write them as `/json/pointer`, `header:NAME`, `query:NAME` or `option:NAME`. The recipe says which of them a
//! signature covers.

use super::pointer::{Pointer, PointerError};
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

/// The values that a source gives to the options of its preset, by name.
pub(crate) type OptionValues = BTreeMap<String, String>;

/// The parts of a request beside its body, and the options of its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestParts<'a> {
    /// The headers of the request.
    pub(crate) headers: &'a HeaderMap,
    /// The query of the request as it came, without the question mark.
    pub(crate) query: &'a str,
    /// The options that the source was configured with.
    pub(crate) options: &'a OptionValues,
}

/// The place of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A value of the payload.
    Payload(Pointer),
    /// A header of the request.
    Header(HeaderName),
    /// A parameter in the query of the request.
    Query(Box<str>),
    /// An option of the source.
    Option(Box<str>),
}

/// Why a text does not name a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The text is not a pointer into the payload, and does not name another kind of place.
    #[error("{0}; allowed: a JSON pointer, header:NAME, query:NAME, option:NAME")]
    Pointer(#[from] PointerError),
    /// The name cannot be that of a header.
    #[error("it is not a header name")]
    Header,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        Ok(match text.split_once(':') {
            Some(("header", name)) => Self::Header(name.parse().map_err(|_| PlaceError::Header)?),
            Some(("query", name)) => Self::Query(name.into()),
            Some(("option", name)) => Self::Option(name.into()),
            _ => Self::Payload(text.parse()?),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(at) => at.fmt(f),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Option(name) => write!(f, "option:{name}"),
        }
    }
}

impl Place {
    /// Returns the text at this place. Returns `None` if there is none, or if the header or parameter occurs more than once.
    pub(crate) fn text<'a>(&self, parts: RequestParts<'a>, payload: &'a Value) -> Option<Cow<'a, str>> {
        match self {
            Self::Payload(at) => at.text(payload),
            Self::Header(name) => parts.header(name).map(Cow::Borrowed),
            Self::Query(name) => parts.query(name),
            Self::Option(name) => parts.options.get(&**name).map(|text| Cow::Borrowed(text.as_str())),
        }
    }

    /// Returns the pointer, if the place is in the payload.
    pub(crate) fn pointer(&self) -> Option<&Pointer> {
        match self {
            Self::Payload(at) => Some(at),
            _ => None,
        }
    }

    /// Returns whether there is anything at this place, text or not.
    pub(crate) fn is_there(&self, parts: RequestParts<'_>, payload: &Value) -> bool {
        match self {
            Self::Payload(at) => at.follow(payload).is_some(),
            _ => self.text(parts, payload).is_some(),
        }
    }

    /// Like [`Place::text`], but if an expanded object is there in place of its id, returns the `id` of that object.
    pub(crate) fn id<'a>(&self, parts: RequestParts<'a>, payload: &'a Value) -> Option<Cow<'a, str>> {
        match self {
            Self::Payload(at) => at.id(payload),
            _ => self.text(parts, payload),
        }
    }
}

impl<'a> RequestParts<'a> {
    /// Returns the text of a header that occurs once. If it occurs twice, it is not clear which one was signed.
    pub(crate) fn header(self, name: &HeaderName) -> Option<&'a str> {
        only(self.headers.get_all(name).iter())?.to_str().ok()
    }

    /// Returns the text of a query parameter that occurs once.
    pub(crate) fn query(self, name: &str) -> Option<Cow<'a, str>> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        only(pairs.filter(|(key, _)| key == name).map(|(_, value)| value))
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_followed() {
        let mut headers = HeaderMap::new();
        headers.append("x-one", "1".parse().unwrap());
        headers.append("x-two", "2".parse().unwrap());
        headers.append("x-two", "2".parse().unwrap());
        let options = OptionValues::from([("url".to_owned(), "https://a.example".to_owned())]);
        let parts =
            RequestParts { headers: &headers, query: "data.id=7%2F8&a=1&a=2&empty", options: &options };
        let payload = serde_json::json!({ "a": { "id": "x" }, "n": 5 });
        for (place, text, id) in [
            ("/n", Some("5"), Some("5")),
            ("/a", None, Some("x")),
            ("header:X-One", Some("1"), Some("1")),
            ("header:x-two", None, None),
            ("query:data.id", Some("7/8"), Some("7/8")),
            ("query:a", None, None),
            ("query:empty", Some(""), Some("")),
            ("option:url", Some("https://a.example"), Some("https://a.example")),
            ("option:none", None, None),
        ] {
            let parsed: Place = place.parse().unwrap();
            assert_eq!(parsed.text(parts, &payload).as_deref(), text, "{place}");
            assert_eq!(parsed.id(parts, &payload).as_deref(), id, "{place}");
            assert_eq!(parsed.to_string(), place.to_lowercase());
        }
        for bad in ["n", "cookie:x", "header:x y", ""] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
