//! The forms of bodies: how a value is written in each, and how a further value is added to a body.

use serde::Deserialize;
use serde_json::Value;

/// The form of a provider's bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Notation {
    /// JSON.
    #[default]
    Json,
    /// The fields of an HTML form.
    Form,
    /// XML.
    Xml,
    /// No body at all.
    None,
}

impl Notation {
    /// The `Content-Type` of such a body, if there is a body.
    pub(super) const fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json"),
            Self::Form => Some("application/x-www-form-urlencoded"),
            Self::Xml => Some("text/xml"),
            Self::None => None,
        }
    }

    /// Writes a value as it stands inside the quotes, the element or the field of a template.
    pub(super) fn escape(self, value: &str) -> String {
        match self {
            Self::Json => {
                let quoted = Value::from(value).to_string();
                quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
            }
            Self::Form => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            Self::Xml => value
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
                .replace('\'', "&apos;"),
            Self::None => value.to_owned(),
        }
    }

    /// Adds a value to a body under a name of its own, which no preset reads. A body that is empty becomes JSON.
    pub(super) fn with(self, body: &str, name: &str, value: &str) -> String {
        let before = |end: &str, text: String| match body.rfind(end).and_then(|at| body.split_at_checked(at))
        {
            Some((head, tail)) => format!("{head}{text}{tail}"),
            None => body.to_owned(),
        };
        let written = self.escape(value);
        match self {
            Self::Json => before("}", format!(",\"{name}\":\"{written}\"")),
            Self::Form => format!("{body}&{name}={written}"),
            Self::Xml => before("</", format!("<{name}>{written}</{name}>")),
            Self::None => format!("{{\"{name}\":\"{}\"}}", Self::Json.escape(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_value_whatever_it_holds() {
        for (form, written) in [
            (Notation::Json, r#"a\"b<&' \\"#),
            (Notation::Form, "a%22b%3C%26%27+%5C"),
            (Notation::Xml, "a&quot;b&lt;&amp;&apos; \\"),
            (Notation::None, r#"a"b<&' \"#),
        ] {
            assert_eq!(form.escape(r#"a"b<&' \"#), written);
        }
    }

    #[test]
    fn a_further_value_stands_in_the_outermost_part_of_a_body() {
        for (form, body, expected) in [
            (Notation::Json, r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":1}],"note":"x y"}"#),
            (Notation::Form, "id=1", "id=1&note=x+y"),
            (Notation::Xml, "<a><b>1</b></a>", "<a><b>1</b><note>x y</note></a>"),
            (Notation::None, "", r#"{"note":"x y"}"#),
        ] {
            assert_eq!(form.with(body, "note", "x y"), expected);
        }
    }
}
