//! The same JSON as other programs write it. Members keep their order and numbers their digits, so whatever only parsed a body and wrote
//! it again is undone.

/// The deepest nesting that is written again.
const MAX_DEPTH: usize = 64;

/// Where a program puts spaces and line breaks.
#[derive(Clone, Copy)]
enum Layout {
    /// None at all, as JavaScript, PHP, Go and Java write.
    Compact,
    /// One behind each comma and colon, as Python writes.
    Spaced,
    /// Each member on a line of its own, with so many spaces for each level.
    Lines(usize),
}

/// How a program writes texts.
#[derive(Clone, Copy)]
enum Texts {
    /// As they are.
    Kept,
    /// Only what has to be escaped is, as JavaScript writes.
    Plain,
    /// What is not ASCII is escaped, as Python writes.
    Ascii,
    /// That, and slashes, as PHP writes.
    AsciiAndSlashes,
    /// `<`, `>` and `&` are escaped, as Go writes.
    Markup,
}

/// Returns a JSON text as other programs write it. There are none if it is not JSON.
pub(super) fn writings(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let text = std::str::from_utf8(body).ok();
    let text = text.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let layouts = [Layout::Compact, Layout::Spaced, Layout::Lines(2), Layout::Lines(4)];
    let texts = [Texts::Kept, Texts::Plain, Texts::Ascii, Texts::AsciiAndSlashes, Texts::Markup];
    let styles = layouts.into_iter().flat_map(move |layout| texts.map(|texts| (layout, texts)));
    text.into_iter().flat_map(move |text| {
        styles.clone().filter_map(move |(layout, texts)| Some(write(text, layout, texts)?.into_bytes()))
    })
}

/// Writes a valid JSON text again. Returns `None` if it nests too deep.
fn write(text: &str, layout: Layout, texts: Texts) -> Option<String> {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let (string, length) = string(rest)?;
                write_text(&mut out, string, texts);
                length
            }
            '{' | '[' => {
                let inside = rest.get(1..)?.trim_start();
                out.push(first);
                if inside.starts_with(['}', ']']) {
                    out.push_str(inside.get(..1)?);
                    rest.len() - inside.len() + 1
                } else {
                    depth += 1;
                    new_line(&mut out, layout, depth);
                    1
                }
            }
            '}' | ']' => {
                depth = usize::checked_sub(depth, 1)?;
                new_line(&mut out, layout, depth);
                out.push(first);
                1
            }
            ',' => {
                out.push(',');
                match layout {
                    Layout::Spaced => out.push(' '),
                    _ => new_line(&mut out, layout, depth),
                }
                1
            }
            ':' => {
                out.push(':');
                if !matches!(layout, Layout::Compact) {
                    out.push(' ');
                }
                1
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        if depth > MAX_DEPTH {
            return None;
        }
        rest = rest.get(length..)?.trim_start();
    }
    Some(out)
}

fn new_line(out: &mut String, layout: Layout, depth: usize) {
    if let Layout::Lines(spaces) = layout {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', spaces * depth));
    }
}

/// Returns the string with which a text begins, without its quotes, and its length with them.
fn string(text: &str) -> Option<(&str, usize)> {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some((text.get(1..place)?, place + 1)),
            _ => {}
        }
    }
    None
}

/// Writes a string, given without its quotes, in a style.
fn write_text(out: &mut String, string: &str, texts: Texts) {
    use std::fmt::Write as _;
    let decoded = match texts {
        Texts::Kept => None,
        // Half of a surrogate pair alone cannot be decoded, and stays as it is.
        _ => serde_json::from_str::<String>(&format!("\"{string}\"")).ok(),
    };
    out.push('"');
    match decoded {
        None => out.push_str(string),
        Some(decoded) => {
            for char in decoded.chars() {
                match char {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\u{8}' => out.push_str("\\b"),
                    '\u{c}' => out.push_str("\\f"),
                    '/' if matches!(texts, Texts::AsciiAndSlashes) => out.push_str("\\/"),
                    '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if matches!(texts, Texts::Markup) => {
                        let _written = write!(out, "\\u{:04x}", u32::from(char));
                    }
                    char if char < ' '
                        || !char.is_ascii() && matches!(texts, Texts::Ascii | Texts::AsciiAndSlashes) =>
                    {
                        for unit in char.encode_utf16(&mut [0; 2]) {
                            let _written = write!(out, "\\u{unit:04x}");
                        }
                    }
                    char => out.push(char),
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_other_programs_write_it() {
        let text = r#"{"a":[1.0,{"b":"ü/<\n"}],"e":{},"f":[ ],"g":null}"#;
        for (layout, texts, expected) in [
            (Layout::Compact, Texts::Kept, r#"{"a":[1.0,{"b":"ü/<\n"}],"e":{},"f":[],"g":null}"#),
            (
                Layout::Spaced,
                Texts::Ascii,
                r#"{"a": [1.0, {"b": "\u00fc/<\n"}], "e": {}, "f": [], "g": null}"#,
            ),
            (
                Layout::Compact,
                Texts::AsciiAndSlashes,
                r#"{"a":[1.0,{"b":"\u00fc\/<\n"}],"e":{},"f":[],"g":null}"#,
            ),
            (Layout::Compact, Texts::Markup, r#"{"a":[1.0,{"b":"ü/\u003c\n"}],"e":{},"f":[],"g":null}"#),
        ] {
            assert_eq!(write(text, layout, texts).as_deref(), Some(expected));
        }
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let lines = write(&value.to_string(), Layout::Lines(2), Texts::Kept).unwrap();
        assert_eq!(lines, serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(writings(b"{\"a\":").count(), 0, "what is not JSON is not written again");
        assert_eq!(writings(b"\xff").count(), 0);
        let escaped = r#"{"a":"\u00fc\/","b":"\ud83d\ude00","c":"\ud83d"}"#;
        assert_eq!(
            write(escaped, Layout::Compact, Texts::Plain).unwrap(),
            r#"{"a":"ü/","b":"😀","c":"\ud83d"}"#
        );
    }
}
