//! The address under which a provider's API shows one payment.

use super::api::origin;
use crate::payment::Name;
use http::{Uri, uri::Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for the payment's id in addresses.
const PAYMENT: &str = "/{payment}";

/// All but RFC 3986's unreserved characters: an id is one segment of the path, whatever it holds.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a payment is found: `https://HOST/before/{payment}/after`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// `https://HOST`
    origin: String,
    /// `/before/`
    before: String,
    /// `/after?with=query`, or nothing.
    after: String,
}

impl Address {
    /// From `https://HOST/before/{payment}/after`; nothing if it is not of this form.
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

    /// The same at another scheme and host, if one is given.
    pub(super) fn at(self, origin: Option<String>) -> Self {
        Self { origin: origin.unwrap_or(self.origin), ..self }
    }

    /// The address of one payment.
    pub(super) fn of(&self, payment: &Name) -> String {
        let Self { origin, before, after } = self;
        format!("{origin}{before}{}{after}", utf8_percent_encode(payment.as_str(), SEGMENT))
    }
}
