//! The address at which a provider's API shows one payment.

use super::api::origin;
use crate::payment::Name;
use http::{Uri, uri::Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The placeholder for the payment's id in an address, with the slash before it.
const PAYMENT: &str = "/{payment}";

/// The characters to escape: all but the unreserved ones of RFC 3986. So an id is one segment of the path, whatever it holds.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a payment with the id left open: `https://HOST/before/{payment}/after`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// The scheme and host, `https://HOST`.
    origin: String,
    /// The path before the id, `/before/`.
    before: String,
    /// What follows the id, such as `/after?with=query`, or nothing.
    after: String,
}

impl Address {
    /// Parses `https://HOST/before/{payment}/after`. Returns `None` if the text is not of this form.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (start, after) = url.split_once(PAYMENT)?;
        let is_segment = after.is_empty() || after.starts_with(['/', '?']);
        if !is_segment || url.matches('{').count() != 1 || format!("{start}/x{after}").parse::<Uri>().is_err()
        {
            return None;
        }
        let uri: Uri = start.parse().ok()?;
        let origin =
            origin(&uri).filter(|_| uri.scheme() == Some(&Scheme::HTTPS) && uri.query().is_none())?;
        let before = format!("{}/", uri.path().trim_end_matches('/'));
        Some(Self { origin, before, after: after.to_owned() })
    }

    /// Returns the same address at another scheme and host, if one is given.
    pub(super) fn at(self, origin: Option<String>) -> Self {
        Self { origin: origin.unwrap_or(self.origin), ..self }
    }

    /// Returns the address of one payment.
    pub(super) fn of(&self, payment: &Name) -> String {
        let Self { origin, before, after } = self;
        format!("{origin}{before}{}{after}", utf8_percent_encode(payment.as_str(), SEGMENT))
    }
}
