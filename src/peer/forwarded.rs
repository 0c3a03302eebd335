//! The addresses in the headers by which proxies name their clients, from the last to the first. Pure.
//!
//! Both headers are lists to whose end each proxy adds the address that connected to it. Whatever came before may be what the
//! client itself has written.

use http::HeaderMap;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};
use strum::{Display, EnumString};

/// The header in which proxies name their clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Display, EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which nearly all proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ForwardedHeader {
    /// Whether the request has the header.
    pub(super) fn is_in(self, headers: &HeaderMap) -> bool {
        headers.contains_key(self.to_string())
    }

    /// The addresses, from the last to the first. `None` stands for an entry that is no address.
    pub(super) fn addresses(self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let name = self.to_string();
        // Lossy, because a client may put any bytes before what the proxy adds.
        let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        let mut addresses: Vec<_> = match self {
            Self::XForwardedFor => lines
                .flat_map(|line: Cow<'_, str>| line.split(',').map(address).collect::<Vec<_>>())
                .collect(),
            Self::Forwarded => lines.flat_map(|line| elements(&line).unwrap_or_else(|| vec![None])).collect(),
        };
        addresses.reverse();
        addresses
    }
}

/// Reads an address, with or without a port; an IPv6 address may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Reads the addresses of one line of `Forwarded`. `None` if the line does not follow the grammar: then it cannot be told
/// where the client's own words end and those of the proxy begin.
fn elements(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let (mut addresses, mut rest) = (Vec::new(), line);
    loop {
        // An element without `for`, or with several, names nobody.
        let mut named = Vec::new();
        loop {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = value(after)?;
            let name = name.trim();
            if name.is_empty() || name.contains([',', ';', '"', ' ']) {
                return None;
            }
            if name.eq_ignore_ascii_case("for") {
                named.push(address(value));
            }
            rest = after.trim_start();
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        addresses.push(if let [one] = named[..] { one } else { None });
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(addresses),
        }
    }
}

/// Splits off the value of a parameter, a token or a quoted text. A text with escapes is never an address and is refused.
fn value(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = quoted.split_once('"')?;
        return (!value.contains('\\')).then_some((value, rest));
    }
    let end = text.find([',', ';']).unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    (!value.contains('"')).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: ForwardedHeader, lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.to_string().parse::<http::HeaderName>().unwrap(), line.parse().unwrap());
        }
        let shown = |address: Option<IpAddr>| address.map_or("-".to_owned(), |address| address.to_string());
        header.addresses(&headers).into_iter().map(shown).collect()
    }

    #[test]
    fn x_forwarded_for_is_read_from_its_end() {
        for (lines, expected) in [
            (&["1.2.3.4"][..], &["1.2.3.4"][..]),
            (&["1.2.3.4, 5.6.7.8:4711"], &["5.6.7.8", "1.2.3.4"]),
            (
                &["1.2.3.4", " 2001:db8::1 ,[2001:db8::2]:80,[2001:db8::3]"],
                &["2001:db8::3", "2001:db8::2", "2001:db8::1", "1.2.3.4"],
            ),
            (&["evil\", 1.2.3.4"], &["1.2.3.4", "-"]),
            (&["unknown,,_hidden,1.2.3"], &["-", "-", "-", "-"]),
        ] {
            assert_eq!(read(ForwardedHeader::XForwardedFor, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_by_its_grammar() {
        for (lines, expected) in [
            (&["for=1.2.3.4"][..], &["1.2.3.4"][..]),
            (
                &["For=\"[2001:db8::1]:4711\";proto=https, for=1.2.3.4;by=10.0.0.1"],
                &["1.2.3.4", "2001:db8::1"],
            ),
            (&["for=1.2.3.4", "for=5.6.7.8;host=\"a,b\""], &["5.6.7.8", "1.2.3.4"]),
            (&["for=unknown, proto=https, for=_x"], &["-", "-", "-"]),
            // A `Host` that the client chose does not become an entry.
            (&["for=1.2.3.4;host=\"a, for=6.6.6.6\""], &["1.2.3.4"]),
            // An open quote of the client does not swallow what the proxy adds, nor add to it.
            (&["for=\"evil, for=1.2.3.4"], &["-"]),
            (&["for=1.1.1.1;x=\", for=1.2.3.4;host=\"evil\""], &["-"]),
            (&["for=1.1.1.1;for=2.2.2.2"], &["-"]),
            (&["1.2.3.4"], &["-"]),
            (&[""], &["-"]),
        ] {
            assert_eq!(read(ForwardedHeader::Forwarded, lines), expected, "{lines:?}");
        }
    }

    proptest::proptest! {
        /// Whatever a client writes, the first address that is read is the one that the proxy has added, or none.
        #[test]
        fn what_a_client_writes_does_not_hide_what_the_proxy_adds(
            forged in "[ -~]{0,40}", letters in r#"[for=";,.0-9 \\a-z]{0,40}"#
        ) {
            for forged in [forged, letters] {
                let x = read(ForwardedHeader::XForwardedFor, &[&format!("{forged}, 203.0.113.5")]);
                proptest::prop_assert_eq!(&x[0], "203.0.113.5");
                let forwarded = read(ForwardedHeader::Forwarded, &[&format!("{forged}, for=203.0.113.5")]);
                proptest::prop_assert!(["203.0.113.5", "-"].contains(&&*forwarded[0]), "{forwarded:?}");
            }
        }
    }
}
