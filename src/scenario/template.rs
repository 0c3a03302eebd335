//! Templates: texts in which `$name` stands for a value, such as `{"id":"$payment","amount":$amount}`.

use super::{
    details::{Details, Field},
    notation::Notation,
};
use std::str::FromStr;
use strum::VariantNames as _;

/// A text that names values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template(Vec<TemplatePart>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum TemplatePart {
    /// This text itself.
    Text(String),
    /// A value.
    Value(Field),
}

/// A template names a value that does not exist.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no value `${0}`; the values are: {known}", known = Field::VARIANTS.join(", "))]
pub(super) struct UnknownField(String);

impl Template {
    /// Writes the text with its values, in the form of the body. Headers and queries are of no form.
    pub(super) fn fill(&self, details: &Details<'_>, form: Notation) -> String {
        let written = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Value(field) => form.escape(&details.value(*field)),
        };
        self.0.iter().map(written).collect()
    }
}

impl FromStr for Template {
    type Err = UnknownField;

    /// Parses a template. Its lines are joined, so that a long body may be written on several.
    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let text: String = text.lines().map(str::trim).collect();
        let mut parts = text.split('$');
        let mut known = vec![TemplatePart::Text(parts.next().unwrap_or_default().to_owned())];
        for part in parts {
            let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
            let (name, rest) = part.split_at(part.find(|letter| !is_name(letter)).unwrap_or(part.len()));
            known.push(TemplatePart::Value(name.parse().map_err(|_| UnknownField(name.to_owned()))?));
            known.push(TemplatePart::Text(rest.to_owned()));
        }
        Ok(Self(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_the_form_of_its_body() {
        let details = Details {
            payment: "a\"b",
            amount: 4200,
            part: 2100,
            currency: "EUR".parse().unwrap(),
            at: "2026-11-22T10:00:00.5Z".parse().unwrap(),
            event_id: "evt_1",
            event_type: "paid",
            status: "PAID",
        };
        let filled = |text: &str, form| text.parse::<Template>().unwrap().fill(&details, form);
        for (template, form, expected) in [
            (
                "{\"id\":\"$payment\",\n   \"amount\":$amount}",
                Notation::Json,
                "{\"id\":\"a\\\"b\",\"amount\":4200}",
            ),
            ("id=$payment&s=$status", Notation::Form, "id=a%22b&s=PAID"),
            ("<id>$payment</id>", Notation::Xml, "<id>a&quot;b</id>"),
            ("$type $event $currency $currency_lower $exponent", Notation::None, "paid evt_1 EUR eur 2"),
            ("$major $part $part_major $full", Notation::None, "42.00 2100 21.00 false"),
            (
                "$time $time_s $time_ms $date",
                Notation::None,
                "2026-11-22T10:00:00.500Z 1795341600 1795341600500 2026-11-22",
            ),
        ] {
            assert_eq!(filled(template, form), expected, "{template}");
        }
        let digest = filled("$digest", Notation::Json);
        assert!(digest.len() == 24 && digest.bytes().all(|byte| byte.is_ascii_lowercase()), "{digest}");
        let unknown = "$amout".parse::<Template>().unwrap_err().to_string();
        assert!(unknown.contains("`$amout`") && unknown.contains("part_major"), "{unknown}");
    }
}
