//! The address at which a provider's API shows one payment.

use super::api::{ApiError, origin};
use crate::{payment::Name, source::payload::OptionValues};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The placeholder for the payment's id in an address.
const PAYMENT: &str = "{payment}";

/// The scheme of all addresses in presets.
const HTTPS: &str = "https://";

/// The characters to escape: all but the unreserved ones of RFC 3986. So an id is one segment of the path, or one value of the query,
/// whatever it holds.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a payment with the id and the source's options left open:
/// `https://HOST/before/{option:name}/{payment}/after`, or `https://HOST/path?id={payment}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// The scheme and host, `https://HOST`. `None` if each customer of the provider has a host of its own.
    origin: Option<String>,
    /// The path before the id with its last character, `/before/{option:name}/` or `/path?id=`.
    before: String,
    /// What follows the id, such as `/after?with=query`, or nothing.
    after: String,
}

/// The address of a payment at the API that one source asks, with only the id left open.
pub(super) struct PaymentAddress {
    /// The scheme, the host, and what stands before the id.
    before: String,
    /// What follows the id.
    after: String,
}

impl Address {
    /// Parses `https://HOST/before/{option:name}/{payment}/after` or `https://HOST/path?id={payment}`, or the same without scheme and
    /// host. Returns `None` if the text is not of this form.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (start, after) = url.split_once(PAYMENT)?;
        let (host, before) = match start.strip_prefix(HTTPS) {
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/')?);
                (Some(host), path)
            }
            None => (None, start),
        };
        let is_whole = match before.split_once('?') {
            Some((_, query)) => {
                query.ends_with('=')
                    && !query.contains(['/', '?'])
                    && (after.is_empty() || after.starts_with('&'))
            }
            None => before.ends_with('/') && (after.is_empty() || after.starts_with(['/', '?', '.'])),
        };
        if !is_whole || !before.starts_with('/') || before.contains('#') || after.contains(['{', '}', '#']) {
            return None;
        }
        let path = filled(before, |_| Some("x".to_owned()))?;
        let example: Uri = format!("{HTTPS}{}{path}x{after}", host.unwrap_or("x")).parse().ok()?;
        let origin = match host {
            Some(_) => Some(origin(&example)?),
            None => None,
        };
        Some(Self { origin, before: before.to_owned(), after: after.to_owned() })
    }

    /// Returns the names of the options in the address.
    pub(crate) fn options(&self) -> impl Iterator<Item = &str> {
        self.before.split('/').filter_map(option)
    }

    /// Returns the scheme and host to ask: the given ones, or else those of this address. Fails if there are none.
    pub(super) fn origin(&self, given: Option<String>) -> Result<String, ApiError> {
        given.or_else(|| self.origin.clone()).ok_or(ApiError::NoUrl)
    }

    /// Returns the address at this scheme and host, with the source's options. Fails if one of them cannot be part of a path.
    pub(super) fn at(&self, origin: &str, options: &OptionValues) -> Result<PaymentAddress, ApiError> {
        let value =
            |name: &str| options.get(name).filter(|value| is_segment(value)).map(|value| escaped(value));
        let missing = || self.options().find(|name| value(name).is_none()).unwrap_or_default();
        let before = filled(&self.before, value).ok_or_else(|| ApiError::Option(missing().to_owned()))?;
        Ok(PaymentAddress { before: format!("{origin}{before}"), after: self.after.clone() })
    }
}

impl PaymentAddress {
    /// Returns the address of one payment, or `None` if its id cannot be part of a path.
    pub(super) fn of(&self, payment: &Name) -> Option<Uri> {
        let Self { before, after } = self;
        let id = Some(payment.as_str()).filter(|id| is_segment(id))?;
        format!("{before}{}{after}", escaped(id)).parse().ok()
    }
}

/// Returns whether a text names something in a path. Dots alone are steps to another folder.
fn is_segment(text: &str) -> bool {
    !["", ".", ".."].contains(&text)
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Returns the name of the option that a segment of a path stands for, if it stands for one.
fn option(segment: &str) -> Option<&str> {
    segment.strip_prefix("{option:")?.strip_suffix('}')
}

/// Puts a value in the place of each option in a path. Returns `None` if there is no value for one of them, or if another brace is
/// left.
fn filled(path: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let segment = |segment: &str| match option(segment) {
        Some(name) => value(name),
        None if segment.contains(['{', '}']) => None,
        None => Some(segment.to_owned()),
    };
    Some(path.split('/').map(segment).collect::<Option<Vec<_>>>()?.join("/"))
}
