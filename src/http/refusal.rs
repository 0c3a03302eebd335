//! Why the head of an HTTP/1 request is refused before it is routed.
//!
//! What refuses it (`h1`) puts another head in its place, which names the refusal in a header, so that the refusal is answered
//! in its turn behind the requests before it, and like any other request. A client that sends the header itself is refused, too.

use super::problem::Problem;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use strum::{EnumString, IntoStaticStr};

/// The header that names the refusal, in the head that stands for a refused one.
const HEADER: &str = "paystream-refused";

/// What is wrong with a head. Two servers could read such heads in two ways, by which one request is smuggled in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Refusal {
    /// A line ends without a carriage return.
    BareLineFeed,
    /// A carriage return stands alone.
    BareCarriageReturn,
    /// It is no head of HTTP/1.0 or HTTP/1.1.
    MalformedHead,
    /// `Content-Length` is no number, or is there twice.
    BadContentLength,
    /// `Transfer-Encoding` is anything but `chunked` alone.
    UnknownTransferEncoding,
    /// Both of them are there.
    TwoLengths,
    /// `TE` names `chunked`, which no client may (RFC 9110, section 10.1.4).
    BadTe,
    /// It is longer than allowed.
    HeadTooLong,
    /// It has more headers than allowed.
    TooManyHeaders,
}

impl Refusal {
    /// The head that stands for the refused one.
    pub(super) fn head(self) -> String {
        let word: &'static str = self.into();
        format!("GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n{HEADER}: {word}\r\n\r\n")
    }

    /// The refusal for which a head stands.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let word = headers.get(HeaderName::from_static(HEADER))?;
        Some(word.to_str().ok().and_then(|word| word.parse().ok()).unwrap_or(Self::MalformedHead))
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::BareLineFeed => {
                "each line of a request head has to end with CR LF, and one ends with LF alone"
            }
            Self::BareCarriageReturn => "a request head contains a CR that is not followed by LF",
            Self::MalformedHead => "this is not the head of a request of HTTP/1.0 or HTTP/1.1",
            Self::BadContentLength => "Content-Length has to be one number",
            Self::UnknownTransferEncoding => "the only transfer encoding that is accepted is chunked, alone",
            Self::TwoLengths => "a request has either Content-Length or Transfer-Encoding, not both",
            Self::BadTe => "TE must not name chunked",
            Self::HeadTooLong => "the request head is too long",
            Self::TooManyHeaders => "the request has too many headers",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::HeadTooLong | Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, self.into(), self.detail())
            .with(header::CONNECTION, HeaderValue::from_static("close"))
            .into_response()
    }
}
