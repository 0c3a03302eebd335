//! Heads that pass and heads that are refused.

use super::*;

const HOST: &str = "GET / HTTP/1.1\r\nhost: a\r\n";

fn limits() -> HeadLimits {
    HeadLimits::new(300, 10)
}

fn follow(bytes: &str) -> (Framing, Passed) {
    let mut framing = Framing::Head;
    let passed = framing.follow(bytes.as_bytes(), limits());
    (framing, passed)
}

#[test]
fn heads_that_two_servers_may_read_in_two_ways_are_refused() {
    use Refusal::{
        BadContentLength, BadTe, BareCarriageReturn, BareLineFeed, MalformedHead, TwoLengths,
        UnknownTransferEncoding,
    };
    for (fields, refusal) in [
        ("x: y\n\r\n", BareLineFeed),
        ("x: y\n", BareLineFeed),
        ("\n", BareLineFeed),
        ("x: y\rz: w\r\n\r\n", BareCarriageReturn),
        ("x: y\r\r\n\r\n", BareCarriageReturn),
        ("x: \ry", BareCarriageReturn),
        ("x : y\r\n\r\n", MalformedHead),
        (" x: y\r\n\r\n", MalformedHead),
        ("x: y\r\n z\r\n\r\n", MalformedHead),
        ("x: y\r\n\tz\r\n\r\n", MalformedHead),
        ("x: \0\r\n\r\n", MalformedHead),
        ("x\r\n\r\n", MalformedHead),
        (": y\r\n\r\n", MalformedHead),
        ("content-length: 3\r\ncontent-length: 3\r\n\r\n", BadContentLength),
        ("content-length: 3\r\nContent-Length: 4\r\n\r\n", BadContentLength),
        ("content-length: 3, 3\r\n\r\n", BadContentLength),
        ("content-length: +3\r\n\r\n", BadContentLength),
        ("content-length: 0x3\r\n\r\n", BadContentLength),
        ("content-length: -1\r\n\r\n", BadContentLength),
        ("content-length:\r\n\r\n", BadContentLength),
        ("content-length: 99999999999999999999\r\n\r\n", BadContentLength),
        ("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", TwoLengths),
        ("transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n", TwoLengths),
        ("transfer-encoding: gzip, chunked\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: chunked, chunked\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: identity\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: xchunked\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: chunked;q=1\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: \"chunked\"\r\n\r\n", UnknownTransferEncoding),
        ("transfer-encoding: chunked\u{b}\r\n\r\n", MalformedHead),
        ("transfer-encoding:\r\n\r\n", UnknownTransferEncoding),
        ("te: gzip, chunked\r\n\r\n", BadTe),
        ("TE: Chunked;q=0.5\r\n\r\n", BadTe),
    ] {
        let (framing, passed) = follow(&format!("{HOST}{fields}"));
        assert_eq!(passed, Passed::Refused(0, refusal), "{fields:?}");
        assert_eq!(framing, Framing::Lost);
    }
    for head in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET http:// HTTP/1.1\r\n\r\n",
        "GET /<> HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        assert!(matches!(follow(head).1, Passed::Refused(0, _)), "{head:?}");
    }
}

#[test]
fn heads_over_their_limits_are_refused_before_they_are_complete() {
    let long = format!("{HOST}x: {}", "y".repeat(300));
    assert_eq!(follow(&long).1, Passed::Refused(0, Refusal::HeadTooLong));
    let just_too_long = format!("{HOST}x: {}\r\n\r\n", "y".repeat(300 - HOST.len() - 6));
    assert_eq!(just_too_long.len(), 301);
    assert_eq!(follow(&just_too_long).1, Passed::Refused(0, Refusal::HeadTooLong));
    assert_eq!(follow(&just_too_long.replacen('y', "", 1)).1, Passed::All);
    let many = format!("{HOST}{}\r\n", "x: y\r\n".repeat(10));
    assert_eq!(follow(&many).1, Passed::Refused(0, Refusal::TooManyHeaders));
    let empty_lines = "\r\n".repeat(150);
    assert_eq!(follow(&empty_lines).1, Passed::Refused(0, Refusal::HeadTooLong));
}

#[test]
fn honest_requests_pass_and_their_bodies_are_no_heads() {
    let requests = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\nGET /v1/events?a=b HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a/b?c HTTP/1.1\r\nte: trailers, deflate;q=0.5\r\nx-empty:\r\nx-utf: \u{e9}\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 12\r\n\r\nx: y\n\n a\r\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n",
    ];
    let all = requests.concat();
    for cut in 0..all.len() {
        let mut framing = Framing::Head;
        let (first, _) = all.split_at_checked(cut).unwrap_or_default();
        let rest = match framing.follow(first.as_bytes(), limits()) {
            Passed::All => first.len(),
            Passed::Until(end) => end,
            Passed::Refused(..) => panic!("cut at {cut}: {framing:?}"),
        };
        assert_eq!(framing.follow(&all.as_bytes()[rest..], limits()), Passed::All, "cut at {cut}");
        assert_eq!(framing, Framing::Head);
    }
}

#[test]
fn a_refused_head_behind_a_good_request_leaves_that_alone() {
    let good = "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nok";
    let (_, passed) = follow(&format!("{good}GET / HTTP/1.1\n\n"));
    assert_eq!(passed, Passed::Refused(good.len(), Refusal::BareLineFeed));
}

#[test]
fn after_a_broken_body_nothing_is_taken_for_a_head() {
    let (framing, passed) =
        follow("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\n\n");
    assert_eq!((framing, passed), (Framing::Lost, Passed::All));
}

/// What `framing` makes of `bytes` in pieces of `size`, as the gate follows them: how many pass, and whether a head is refused.
fn in_pieces(bytes: &[u8], size: usize) -> (usize, bool) {
    let mut framing = Framing::Head;
    let mut passed = 0;
    for end in (0..bytes.len()).step_by(size).map(|begin| (begin + size).min(bytes.len())) {
        match framing.follow(&bytes[passed..end], HeadLimits::new(1 << 20, 100)) {
            Passed::All => passed = end,
            Passed::Until(more) => passed += more,
            Passed::Refused(more, _) => return (passed + more, true),
        }
    }
    (passed, false)
}

proptest::proptest! {
    /// A refusal must not depend on how the network cuts what the client sends.
    #[test]
    fn the_cut_of_the_bytes_decides_nothing(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n", "host: a\r\n", "content-length: 5\r\n", "\r\n",
            "transfer-encoding: chunked\r\n", "5\r\nab\ncd\r\n", "0\r\n", "x: y", "\n", "\r", "a", ";", " ",
        ]), 0..30),
    ) {
        let bytes = parts.concat().into_bytes();
        let whole = in_pieces(&bytes, bytes.len().max(1));
        for size in 1..bytes.len() {
            proptest::prop_assert_eq!(in_pieces(&bytes, size), whole, "in pieces of {}", size);
        }
    }
}
