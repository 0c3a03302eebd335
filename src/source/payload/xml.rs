//! The parser of XML bodies, which returns payloads in the form that mappings read.
//!
//! An element becomes an object of its children, and a repeated element an array. Attributes become `@name`. An element of text
//! alone becomes that text; if it also has attributes, the text becomes its `#text`. A document may name a DOCTYPE, as those of some
//! providers do, but it may not declare entities: nothing here fetches or expands them.

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

/// How many levels deep elements may nest.
const MAX_DEPTH: usize = 32;

/// The most nodes that a document may have.
const MAX_NODES: u32 = 100_000;

/// Returns a document's root element under its name, or `None` if the body is not XML, declares entities or exceeds the bounds.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?;
    if text.contains("<!ENTITY") {
        return None;
    }
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    let mut payload = Map::new();
    payload.insert(root.tag_name().name().to_owned(), element(root, MAX_DEPTH)?);
    Some(Value::Object(payload))
}

/// Returns the value of an element, or `None` if it nests more than `depth` levels deep.
fn element(node: Node<'_, '_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut members = Map::new();
    for attribute in node.attributes() {
        members.insert(format!("@{}", attribute.name()), attribute.value().into());
    }
    let mut has_children = false;
    for child in node.children().filter(Node::is_element) {
        has_children = true;
        let value = element(child, depth)?;
        match members.get_mut(child.tag_name().name()) {
            None => drop(members.insert(child.tag_name().name().to_owned(), value)),
            Some(Value::Array(items)) => items.push(value),
            Some(first) => {
                let first = std::mem::take(first);
                members.insert(child.tag_name().name().to_owned(), Value::Array(vec![first, value]));
            }
        }
    }
    let texts = || node.children().filter(Node::is_text).filter_map(|child| child.text());
    let text = || texts().collect::<String>().trim().to_owned();
    Some(match (has_children, members.is_empty()) {
        (true, _) => Value::Object(members),
        (false, true) => Value::String(text()),
        (false, false) => {
            members.insert("#text".to_owned(), text().into());
            Value::Object(members)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn elements_attributes_and_texts_have_their_places() {
        let xml = r#"<?xml version="1.0"?><!DOCTYPE a PUBLIC "-//X//DTD v1//EN" "http://dtd.example/x.dtd">
            <a v="1"><!-- none --><b> x &amp; y </b><c t="i">5</c><d/><e>1</e><e>2</e><e>3</e></a>"#;
        let expected = json!({ "a": { "@v": "1", "b": "x & y", "c": { "@t": "i", "#text": "5" }, "d": "",
                                      "e": ["1", "2", "3"] } });
        assert_eq!(parse(xml.as_bytes()), Some(expected));
    }

    #[test]
    fn a_comment_is_no_part_of_a_text() {
        let xml = "<a><b>1<!-- 2 -->3</b><c t='i'><!-- 4 --><![CDATA[5]]></c></a>";
        let expected = json!({ "a": { "b": "13", "c": { "@t": "i", "#text": "5" } } });
        assert_eq!(parse(xml.as_bytes()), Some(expected));
    }

    #[test]
    fn what_is_not_read_is_nothing() {
        let deep = "<a>".repeat(MAX_DEPTH + 1) + &"</a>".repeat(MAX_DEPTH + 1);
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>"#;
        let file = r#"<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"#;
        for text in ["", "<a>", "{}", "<a/><b/>", "<a>&b;</a>", &deep, bomb, file] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"<a>\xff</a>"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(body in "[<>/a&;!\\[\\]\"= ?-]{0,60}") {
            let _ = parse(body.as_bytes());
        }
    }
}
