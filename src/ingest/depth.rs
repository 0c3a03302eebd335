//! How deep a JSON text nests, counted before it is parsed.

/// Whether brackets nest no deeper than `limit`. Says nothing about whether the text is JSON.
pub(super) fn is_within(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
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
