use super::*;
use load::sse::{self, Item};

/// The items that both parsers report: comments, retries, and events with data.
fn seen_by_this_parser(text: &[u8], cut: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    let mut last_id = String::new();
    for piece in text.chunks(cut) {
        kept.extend_from_slice(piece);
        let mut at = 0;
        while let Some((step, used)) = step(&kept[at..]) {
            at += used;
            match step {
                Step::Comment => seen.push("comment".to_owned()),
                Step::Retry(ms) => seen.push(format!("retry {ms}")),
                Step::Nothing => {}
                Step::Block(block) => {
                    seen.extend(block.retry_ms.map(|ms| format!("retry {ms}")));
                    if let Some(id) = block.id {
                        last_id = String::from_utf8_lossy(id).into_owned();
                    }
                    if let Some(data) = block.data {
                        let kind = if block.event.is_empty() { b"message" } else { block.event };
                        seen.push(format!(
                            "{last_id} {} {}",
                            String::from_utf8_lossy(kind),
                            String::from_utf8_lossy(&data)
                        ));
                    }
                }
            }
        }
        kept.drain(..at);
    }
    seen
}

fn seen_by_the_library(text: &[u8]) -> Vec<String> {
    let mut items = Vec::new();
    sse::Parser::default().push(text, &mut items);
    let told = |item| match item {
        Item::Comment(_) => Some("comment".to_owned()),
        Item::Retry(ms) => Some(format!("retry {ms}")),
        Item::Event(event) if event.data.is_empty() => None,
        Item::Event(event) => Some(format!("{} {} {}", event.id, event.kind, event.data)),
    };
    items.into_iter().filter_map(told).collect()
}

#[test]
fn both_parsers_see_the_same_however_the_bytes_arrive() {
    for text in [
        "",
        ":\n:\n",
        "retry: 2731\nid: k3f9xa-4\ndata: {\"seq\":4}\n\n",
        "id: a\ndata: one\ndata: two\n\n:\nid: b\ndata: three\n\n",
        "event: heartbeat\ndata: {}\nid: c\n\n",
        "retry: 5\n\ndata: x\n\n",
        "data: x\r\n\r\ndata:y\r\n\r\n",
        "id: only\n\ndata: later\n\n",
        "unknown: field\ndata: x\n\n",
        "retry: soon\ndata: x\n\n",
        "data: unfinished\n",
    ] {
        let expected = seen_by_the_library(text.as_bytes());
        for cut in [1, 2, 3, 7, 1000] {
            assert_eq!(seen_by_this_parser(text.as_bytes(), cut), expected, "{text:?} in pieces of {cut}");
        }
    }
}

fn decoded(mut body: Body, bytes: &[u8], cut: usize) -> Result<(Vec<u8>, bool), Broken> {
    let mut content = Vec::new();
    for piece in bytes.chunks(cut) {
        let mut rest = piece;
        while !rest.is_empty() && body != Body::Done {
            let (data, after) = body.take(rest)?;
            content.extend_from_slice(data);
            rest = after;
        }
    }
    Ok((content, body == Body::Done))
}

#[test]
fn bodies_are_decoded_however_they_arrive() {
    let chunked = Body::ChunkSize { so_far: 0 };
    for (body, bytes, content, done) in [
        (chunked, "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", "abc0123456789", true),
        (chunked, "3\r\nabc\r\n", "abc", false),
        (chunked, "1\r\na\r\n0\r\nx-trailer: 1\r\n\r\n", "a", true),
        (Body::Length(4), "abcd", "abcd", true),
        (Body::Length(5), "abcd", "abcd", false),
        (Body::UntilClosed, "abcd", "abcd", false),
    ] {
        for cut in [1, 2, 5, 1000] {
            let expected = Ok((content.as_bytes().to_vec(), done));
            assert_eq!(decoded(body, bytes.as_bytes(), cut), expected, "{bytes:?} in pieces of {cut}");
        }
    }
    assert!(decoded(chunked, b"zz\r\n", 9).is_err());
    assert!(decoded(chunked, b"1\r\nabc", 9).is_err());
}

#[test]
fn heads_tell_status_and_framing() {
    for (text, expected) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nrest",
            (200, Body::ChunkSize { so_far: 0 }, false),
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 12\r\nConnection: close\r\n\r\n", (200, Body::Length(12), true)),
        ("HTTP/1.1 204 No Content\r\n\r\n", (204, Body::Done, false)),
        ("HTTP/1.0 200 OK\r\n\r\n", (200, Body::UntilClosed, false)),
    ] {
        let head = Head::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.closes), expected, "{text:?}");
        assert_eq!(
            &text.as_bytes()[head.length..],
            if expected.0 == 200 && text.ends_with("rest") { &b"rest"[..] } else { b"" }
        );
    }
    assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\n"), Ok(None));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(Head::parse(many.as_bytes()), Err("a response with too many headers"));
    assert!(Head::parse(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
    assert!(Head::parse(b"SSH-2.0-x\r\n\r\n").is_err());
}
