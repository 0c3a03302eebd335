//! Places: where in a delivery, or in what its source was configured with, a text stands.
//!
//! Written in presets as `/json/pointer`, `header:NAME`, `query:NAME` or `option:NAME`. Which of them a signature covers is
//! the recipe's to say.

use super::pointer::{Pointer, PointerError};
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

/// What a source says to the options of its preset.
pub(crate) type OptionValues = BTreeMap<String, String>;

/// What there is beside a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestParts<'a> {
    /// The headers of the request.
    pub(crate) headers: &'a HeaderMap,
    /// Its query, as it came, without the question mark.
    pub(crate) query: &'a str,
    /// What the source was configured with.
    pub(crate) options: &'a OptionValues,
}

/// Where a text stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In the payload.
    Payload(Pointer),
    /// In a header of the request.
    Header(HeaderName),
    /// In the query of the request.
    Query(Box<str>),
    /// In the source's options.
    Option(Box<str>),
}

/// Why a text names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    /// No pointer into the payload, and nothing else.
    #[error("{0}; allowed: a JSON pointer, header:NAME, query:NAME, option:NAME")]
    Pointer(#[from] PointerError),
    /// Not a name that a header can have.
    #[error("it is no header name")]
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
    /// The text that stands there, if it stands there once.
    pub(crate) fn text<'a>(&self, around: RequestParts<'a>, payload: &'a Value) -> Option<Cow<'a, str>> {
        match self {
            Self::Payload(at) => at.text(payload),
            Self::Header(name) => around.header(name).map(Cow::Borrowed),
            Self::Query(name) => around.query(name),
            Self::Option(name) => around.options.get(&**name).map(|text| Cow::Borrowed(text.as_str())),
        }
    }

    /// Where in the payload, if it stands there.
    pub(crate) fn pointer(&self) -> Option<&Pointer> {
        match self {
            Self::Payload(at) => Some(at),
            _ => None,
        }
    }

    /// Whether anything stands there, text or not.
    pub(crate) fn is_there(&self, around: RequestParts<'_>, payload: &Value) -> bool {
        match self {
            Self::Payload(at) => at.follow(payload).is_some(),
            _ => self.text(around, payload).is_some(),
        }
    }

    /// Like [`Place::text`], but where an expanded object stands in place of its id, its `id` is what is meant.
    pub(crate) fn id<'a>(&self, around: RequestParts<'a>, payload: &'a Value) -> Option<Cow<'a, str>> {
        match self {
            Self::Payload(at) => at.id(payload),
            _ => self.text(around, payload),
        }
    }
}

impl<'a> RequestParts<'a> {
    /// The text of a header that stands once. Where it stands twice it is not clear which was signed.
    pub(crate) fn header(self, name: &HeaderName) -> Option<&'a str> {
        only(self.headers.get_all(name).iter())?.to_str().ok()
    }

    /// The text of a query's key that stands once.
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
        let around =
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
            assert_eq!(parsed.text(around, &payload).as_deref(), text, "{place}");
            assert_eq!(parsed.id(around, &payload).as_deref(), id, "{place}");
            assert_eq!(parsed.to_string(), place.to_lowercase());
        }
        for bad in ["n", "cookie:x", "header:x y", ""] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
