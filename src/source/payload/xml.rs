//! The parser of XML bodies, which returns payloads in the form that mappings read.
//!
//! An element becomes an object of its children, and a repeated element an array. Attributes become `@name`. An element of text
//! alone becomes that text; if it also has attributes, the text becomes its `#text`. A document may name a DOCTYPE, as those of some
//! providers do, but no internal DTD, so it declares no entities: nothing here fetches or expands them.

mod bounds;
mod error;

pub(crate) use bounds::XmlBounds;
pub(crate) use error::XmlError;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

/// Returns a document's root element under its name, within the bounds of webhooks.
pub(crate) fn parse(body: &[u8]) -> Result<Value, XmlError> {
    parse_within(body, XmlBounds::WEBHOOK)
}

/// Returns a document's root element under its name. The time that this takes grows no faster than the length of the body.
pub(crate) fn parse_within(body: &[u8], bounds: XmlBounds) -> Result<Value, XmlError> {
    let text = std::str::from_utf8(body).map_err(|_| XmlError::Malformed)?;
    bounds.check(text)?;
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| XmlError::Malformed)?;
    let root = document.root_element();
    let value = element(root, bounds.depth).ok_or(XmlError::TooDeep)?;
    Ok(Value::Object(Map::from_iter([(root.tag_name().name().to_owned(), value)])))
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
        assert_eq!(parse(xml.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_comment_is_no_part_of_a_text() {
        let xml = "<a><b>1<!-- 2 -->3</b><c t='i'><!-- 4 --><![CDATA[5]]></c></a>";
        let expected = json!({ "a": { "b": "13", "c": { "@t": "i", "#text": "5" } } });
        assert_eq!(parse(xml.as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_no_xml_or_has_a_dtd_of_its_own_is_malformed() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>"#;
        let file = r#"<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"#;
        let parameter = r#"<!DOCTYPE a [<!ENTITY % b SYSTEM "http://dtd.example/x.dtd"> %b;]><a/>"#;
        let quoted = r#"<!DOCTYPE a SYSTEM ">" [<!ENTITY b "c">]><a>&b;</a>"#;
        for text in
            ["", "<a>", "{}", "<a/><b/>", "<a>&b;</a>", "<!DOCTYPE a []><a/>", bomb, file, parameter, quoted]
        {
            assert_eq!(parse(text.as_bytes()), Err(XmlError::Malformed), "{text}");
        }
        assert_eq!(parse(b"<a>\xff</a>"), Err(XmlError::Malformed));
    }

    /// A tag with so many attributes.
    fn tag(attributes: usize) -> String {
        let attributes: String = (0..attributes).map(|number| format!(" a{number}='>'")).collect();
        format!("<a{attributes}/>")
    }

    #[test]
    fn what_exceeds_a_bound_is_refused_and_what_reaches_it_is_not() {
        let XmlBounds { bytes, attributes, name_spaces, depth } = XmlBounds::WEBHOOK;
        let deep = |levels| "<a>".repeat(levels) + &"</a>".repeat(levels);
        let long = |bytes| format!("<a>{}</a>", "x".repeat(bytes - 7));
        let spaces = |number| format!("<a>{}</a>", "<b xmlns='c'/>".repeat(number));
        let many = |number| format!("<a>{}</a>", "<b c='1' d='2'/>".repeat(number));
        for (within, beyond, why) in [
            (deep(depth), deep(depth + 1), XmlError::TooDeep),
            (long(bytes), long(bytes + 1), XmlError::TooLong),
            (tag(attributes), tag(attributes + 1), XmlError::TooManyAttributes),
            (spaces(name_spaces), spaces(name_spaces + 1), XmlError::TooManyAttributes),
            (many(4000), many(5000), XmlError::TooLong),
        ] {
            assert!(parse(within.as_bytes()).is_ok(), "{within}");
            assert_eq!(parse(beyond.as_bytes()), Err(why), "{beyond}");
        }
    }

    #[test]
    fn attributes_are_counted_wherever_they_hide() {
        let many = tag(XmlBounds::WEBHOOK.attributes + 1);
        for (before, after) in [
            ("<!-- <a b=\" -->", ""),
            ("<?x <a b=' ?>", ""),
            ("<!DOCTYPE a SYSTEM \">\">", ""),
            ("<!DOCTYPE a PUBLIC '<!--' \"<![CDATA[\">", ""),
            ("<r b='>' c=\"'\"><![CDATA[<b c=\"]]>", "</r>"),
            ("<r>\"</r>'", ""),
        ] {
            let text = format!("{before}{many}{after}");
            assert_eq!(parse(text.as_bytes()), Err(XmlError::TooManyAttributes), "{text}");
        }
        for before in ["<!--", "<r><![CDATA[", "<?x "] {
            let closing = match before {
                "<!--" => "--><r/>",
                "<?x " => "?><r/>",
                _ => "]]></r>",
            };
            assert!(parse(format!("{before}{many}{closing}").as_bytes()).is_ok(), "{before} is no tag");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(body in "[<>/a&;!\\[\\]\"= ?-]{0,60}") {
            let _ = parse(body.as_bytes());
        }
    }
}
