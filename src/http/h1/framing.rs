//! Where the requests of an HTTP/1 connection begin and end, and which heads are refused.
//!
//! [`Framing`] follows the bytes that a client sends. hyper reads the same bytes after it, and takes more than it should: lines
//! that end with LF alone, `Content-Length` beside `Transfer-Encoding`, transfer encodings besides `chunked`. A proxy in front
//! that reads such a head in another way would let one request be smuggled in another, so they are refused. Bodies are only
//! measured, by the same rules as hyper's, so that the next head is found; a body that breaks them ends the connection there.
//!
//! The decisions are made here, without I/O.

use super::chunks::{Chunks, Step};
use crate::http::refusal::Refusal;
use http::Uri;
use memchr::memchr2_iter;

/// The limits of a head.
#[derive(Clone, Copy)]
pub(super) struct HeadLimits {
    /// Its length in bytes.
    bytes: u32,
    /// Its headers.
    headers: u32,
}

impl HeadLimits {
    /// Allows heads of so many bytes and headers.
    pub(super) fn new(bytes: usize, headers: usize) -> Self {
        let short = |limit| u32::try_from(limit).unwrap_or(u32::MAX);
        Self { bytes: short(bytes), headers: short(headers) }
    }
}

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// A head begins, or has begun.
    Head,
    /// So many bytes of a body follow.
    Length(u64),
    /// A chunked body.
    Chunked(Chunks),
    /// Neither: the head was refused, or the body is broken.
    Lost,
}

/// How far the bytes may be passed on.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Passed {
    /// All of them.
    All,
    /// So many; the rest is the beginning of a head.
    Until(usize),
    /// So many; then comes a head that is refused.
    Refused(usize, Refusal),
}

impl Framing {
    /// Follows `bytes`. They begin where those that were passed on before ended.
    pub(super) fn follow(&mut self, bytes: &[u8], limits: HeadLimits) -> Passed {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self {
                Self::Head => match head(rest, limits) {
                    Ok(Some((len, body))) => {
                        at += len;
                        *self = body;
                    }
                    Ok(None) => return Passed::Until(at),
                    Err(refusal) => {
                        *self = Self::Lost;
                        return Passed::Refused(at, refusal);
                    }
                },
                Self::Length(left) => {
                    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    at += len;
                    *left -= len as u64;
                    if *left == 0 {
                        *self = Self::Head;
                    }
                }
                Self::Chunked(chunks) => match chunks.follow(rest) {
                    Step::All => return Passed::All,
                    Step::End(len) => {
                        at += len;
                        *self = Self::Head;
                    }
                    Step::Broken => *self = Self::Lost,
                },
                Self::Lost => return Passed::All,
            }
        }
        Passed::All
    }
}

/// Reads a head. Returns its length and what follows it, or `None` if it is not complete yet.
fn head(bytes: &[u8], limits: HeadLimits) -> Result<Option<(usize, Framing)>, Refusal> {
    let most = limits.bytes as usize;
    let Some(len) = end_of_head(bytes)? else {
        // One that is as long as allowed and is not complete will be too long.
        return if bytes.len() < most { Ok(None) } else { Err(Refusal::HeadTooLong) };
    };
    if len > most {
        return Err(Refusal::HeadTooLong);
    }
    let head = bytes.get(..len).unwrap_or_default();
    let mut few = [httparse::EMPTY_HEADER; 128];
    let mut many = Vec::new();
    let headers = limits.headers as usize;
    let fields = few.get_mut(..headers).unwrap_or_else(|| {
        many.resize(headers, httparse::EMPTY_HEADER);
        &mut many
    });
    let mut request = httparse::Request::new(fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(parsed)) if parsed == len => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyHeaders),
        _ => return Err(Refusal::MalformedHead),
    }
    if !request.path.is_some_and(is_target) {
        return Err(Refusal::MalformedHead);
    }
    let is_http_11 = request.version == Some(1);
    body(request.headers, is_http_11).map(|body| Some((len, body)))
}

/// The length of a head: up to the end of its first empty line, apart from empty lines before the request line, which some
/// clients send after a body. `None` if it is not complete.
fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut line = 0;
    let mut has_begun = false;
    let mut return_at = None;
    for at in memchr2_iter(b'\r', b'\n', bytes) {
        let follows_return = at.checked_sub(1).is_some_and(|before| return_at == Some(before));
        if bytes.get(at) == Some(&b'\r') {
            if return_at.is_some() {
                return Err(Refusal::BareCarriageReturn);
            }
            return_at = Some(at);
            continue;
        }
        if !follows_return {
            let is_bare = return_at.is_none();
            return Err(if is_bare { Refusal::BareLineFeed } else { Refusal::BareCarriageReturn });
        }
        let is_empty = line + 1 == at;
        if is_empty && has_begun {
            return Ok(Some(at + 1));
        }
        has_begun |= !is_empty;
        return_at = None;
        line = at + 1;
    }
    // A CR at the very end may still be followed by LF.
    if return_at.is_some_and(|at| at + 1 < bytes.len()) {
        return Err(Refusal::BareCarriageReturn);
    }
    Ok(None)
}

/// Whether hyper can read a target; it would refuse others in its own words.
fn is_target(target: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%?=&".contains(&byte);
    // Nearly all are plain paths, and need not be parsed twice.
    (target.len() < 1024 && target.starts_with('/') && target.bytes().all(is_plain))
        || Uri::try_from(target).is_ok()
}

/// What body follows a head with these fields (RFC 9112, section 6.3).
fn body(fields: &[httparse::Header<'_>], is_http_11: bool) -> Result<Framing, Refusal> {
    let mut length = None;
    let mut is_chunked = false;
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            let digits =
                str::from_utf8(field.value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let number = digits.and_then(|digits| digits.parse::<u64>().ok());
            if length.replace(number.ok_or(Refusal::BadContentLength)?).is_some() {
                return Err(Refusal::BadContentLength);
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if is_chunked || !is_http_11 || !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::UnknownTransferEncoding);
            }
            is_chunked = true;
        } else if field.name.eq_ignore_ascii_case("te") && names_chunked(field.value) {
            return Err(Refusal::BadTe);
        }
    }
    match (length, is_chunked) {
        (Some(_), true) => Err(Refusal::TwoLengths),
        (None, true) => Ok(Framing::Chunked(Chunks::begin())),
        (None | Some(0), false) => Ok(Framing::Head),
        (Some(length), false) => Ok(Framing::Length(length)),
    }
}

/// Whether a list of codings, each with parameters, names `chunked`.
fn names_chunked(list: &[u8]) -> bool {
    let mut codings =
        list.split(|byte| *byte == b',').filter_map(|coding| coding.split(|byte| *byte == b';').next());
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests;
