//! Properties of the XML parser, and a writer of payloads as XML.

use crate::source::payload::{XmlBounds, XmlError, parse_xml as parse, parse_xml_within as parse_within};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Bounds that the fuzzer's short inputs reach.
const TIGHT: XmlBounds = XmlBounds { bytes: 1024, attributes: 3, name_spaces: 2, depth: 4 };

/// The longest time in which a document within the bounds is read, and one beyond them is refused, as the time that the processor spends on
/// it. It takes some milliseconds at most; 8,000 attributes of one tag, compared with each other, take 100 ms with optimization.
const LONGEST_MS: i64 = 50;

/// One of so many inputs is stretched to the length that documents may have, which takes as long as some hundred short ones.
const STRETCHED: u32 = 128;

/// A document is read as one element made of objects, arrays and texts. If this is written as XML, with comments in its texts, it
/// is read as the same. Length, attributes and depth are bounded, and so is the time.
pub fn xml(input: &[u8]) {
    is_bounded(input);
    if crc32fast::hash(input).is_multiple_of(STRETCHED) {
        stays_fast(input);
    }
    let Ok(payload) = parse(input) else { return };
    let (name, value) = root(&payload);
    check(value);
    // A prefix is not kept, so the written attribute would declare a name space.
    if !declares(value) {
        let mut out = String::new();
        write(name, value, "<!-- no part of it -->", &mut out);
        assert_eq!(parse(out.as_bytes()).as_ref(), Ok(&payload), "{out}");
    }
}

/// Returns the name and the value of a document's root element.
fn root(payload: &Value) -> (&str, &Value) {
    let root = payload.as_object().expect("a document is an object");
    let (name, value) = root.iter().next().expect("a document has a root");
    assert_eq!(root.len(), 1);
    (name, value)
}

/// What is read within tight bounds does not exceed them by a count of the payload, and what is refused by them does.
fn is_bounded(input: &[u8]) {
    let (tight, all) = (parse_within(input, TIGHT), parse(input));
    if let Ok(payload) = &tight {
        let (_, value) = root(payload);
        assert_eq!(tight, all);
        assert!(input.len() <= TIGHT.bytes && attributes(value) <= TIGHT.attributes);
        assert!(depth(value) <= TIGHT.depth);
    }
    match (tight, &all) {
        (Err(XmlError::TooLong), _) => assert!(input.len() > TIGHT.bytes),
        (Err(XmlError::Malformed), _) => assert!(all.is_err()),
        (Err(XmlError::TooDeep), Ok(payload)) => assert!(depth(root(payload).1) > TIGHT.depth),
        // A payload has neither the declarations of name spaces nor two attributes that differ by their prefix.
        (Err(XmlError::TooManyAttributes), Ok(payload)) if !input.contains(&b':') => {
            let text = String::from_utf8_lossy(input);
            assert!(attributes(root(payload).1) > TIGHT.attributes || text.contains("xmlns"), "{text}");
        }
        _ => {}
    }
}

/// Returns the most attributes of an element.
fn attributes(value: &Value) -> usize {
    let own = |members: &Map<String, Value>| members.keys().filter(|key| key.starts_with('@')).count();
    match value {
        Value::Array(items) => items.iter().map(attributes).max().unwrap_or_default(),
        Value::Object(members) => {
            members.values().map(attributes).max().unwrap_or_default().max(own(members))
        }
        _ => 0,
    }
}

/// Returns how many levels deep elements nest.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => {
            let is_element = |key: &str| !key.starts_with('@') && key != "#text";
            let children = members.iter().filter(|(key, _)| is_element(key));
            1 + children.map(|(_, child)| depth(child)).max().unwrap_or_default()
        }
        _ => 1,
    }
}

/// The input, with its middle repeated to the length that documents may have, is read or refused in time. The parts of an input are
/// separated by the byte 1E; in the middle one, the byte 1F stands for the number of the repetition.
fn stays_fast(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == 0x1e);
    let (Some(start), Some(middle), Some(end)) = (parts.next(), parts.next(), parts.next()) else { return };
    let mut document = start.to_vec();
    for number in 0.. {
        let digits = format!("{number:x}");
        let of_byte = |byte: &u8| if *byte == 0x1f { digits.clone().into_bytes() } else { vec![*byte] };
        let repeated: Vec<u8> = middle.iter().flat_map(of_byte).collect();
        if repeated.is_empty() || document.len() + repeated.len() + end.len() > XmlBounds::WEBHOOK.bytes {
            break;
        }
        document.extend(repeated);
    }
    document.extend(end);
    // The time by the clock would count also what other processes do meanwhile.
    let now_ms = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    };
    let started_ms = now_ms();
    let _ = parse(&document);
    let took_ms = now_ms() - started_ms;
    assert!(took_ms <= LONGEST_MS, "{took_ms} ms: {}", String::from_utf8_lossy(&document));
}

fn check(value: &Value) {
    match value {
        Value::String(text) => assert_eq!(text, text.trim()),
        Value::Array(items) => {
            assert!(items.len() > 1);
            items.iter().for_each(|item| assert!(!item.is_array()));
            items.iter().for_each(check);
        }
        Value::Object(members) => {
            assert!(!members.is_empty());
            for (key, value) in members {
                // The text of an attribute keeps its white space.
                if key.starts_with('@') { assert!(value.is_string()) } else { check(value) }
            }
        }
        other => panic!("{other} is nothing that XML has"),
    }
}

fn declares(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(declares),
        Value::Object(members) => members.iter().any(|(key, value)| key == "@xmlns" || declares(value)),
        _ => false,
    }
}

/// Writes an element, or several of the same name, with `aside` in the middle of each text. A value that XML has no form for is
/// written as its JSON.
pub(crate) fn write(name: &str, value: &Value, aside: &str, out: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| write(name, item, aside, out)),
        Value::Object(members) => {
            out.push('<');
            out.push_str(name);
            for (key, value) in members {
                if let Some(key) = key.strip_prefix('@') {
                    out.push_str(&format!(" {key}=\"{}\"", escaped(&text(value))));
                }
            }
            out.push('>');
            for (key, value) in members {
                match key.as_str() {
                    "#text" => put(&text(value), aside, out),
                    key if key.starts_with('@') => {}
                    key => write(key, value, aside, out),
                }
            }
            out.push_str(&format!("</{name}>"));
        }
        scalar => {
            out.push_str(&format!("<{name}>"));
            put(&text(scalar), aside, out);
            out.push_str(&format!("</{name}>"));
        }
    }
}

fn text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

fn put(text: &str, aside: &str, out: &mut String) {
    let middle = text.char_indices().nth(1).map_or(text.len(), |(at, _)| at);
    let (start, end) = text.split_at(middle);
    out.push_str(&format!("{}{aside}{}", escaped(start), escaped(end)));
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '"' | '\t' | '\r' | '\n' => out.push_str(&format!("&#{};", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out
}
