//! Properties of the XML parser, and a writer of payloads as XML.

use crate::source::payload::parse_xml as parse;
use serde_json::Value;
use std::borrow::Cow;

/// A document is read as one element made of objects, arrays and texts. If this is written as XML, with comments in its texts, it
/// is read as the same.
pub fn xml(input: &[u8]) {
    let Some(payload) = parse(input) else { return };
    let root = payload.as_object().expect("a document is an object");
    let (name, value) = root.iter().next().expect("a document has a root");
    assert_eq!(root.len(), 1);
    check(value);
    // A prefix is not kept, so the written attribute would declare a name space.
    if !declares(value) {
        let mut out = String::new();
        write(name, value, "<!-- no part of it -->", &mut out);
        assert_eq!(parse(out.as_bytes()).as_ref(), Some(&payload), "{out}");
    }
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
