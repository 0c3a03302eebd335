//! The nesting depth of a JSON text, counted before the text is parsed.

use memchr::memchr2;

/// Returns whether brackets nest at most `limit` levels deep. This does not check that the text is JSON.
pub(crate) fn is_within(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut rest) = (0_usize, text);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_string(after),
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// Returns what follows the string that has begun.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_escape = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + 1 + usize::from(is_escape)..).unwrap_or_default();
        if !is_escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (text, depth) in [
            ("1", 0),
            ("{}", 1),
            (r#"[{"a":[]},[[]]]"#, 3),
            (r#"{"a":"[[[[{{{{"}"#, 1),
            (r#"{"a":"\"[[[["}"#, 1),
            (r#"{"a":"\\","b":[[]]}"#, 3),
            ("]]]][[", 2),
        ] {
            assert!(is_within(text.as_bytes(), depth), "{text}");
            assert!(depth == 0 || !is_within(text.as_bytes(), depth - 1), "{text}");
        }
    }
}
